from __future__ import annotations

import numpy as np
import pytest

from pipeline.transforms.base import Transform
from pipeline.transforms.registry import FAMILIES, TRANSFORMS

GREY = np.full((3, 64, 64, 3), 128, np.uint8)


@pytest.mark.parametrize("transform", FAMILIES["sensor"], ids=lambda t: t.name)
def test_noise_is_another_one_in_every_frame_and_the_same_in_every_run(
    transform: Transform,
) -> None:
    drawn = transform.draw(np.random.default_rng(3), 0.7)
    noisy = transform.apply(GREY, drawn)
    assert not np.array_equal(noisy[0], noisy[1])
    assert np.array_equal(noisy, transform.apply(GREY, drawn))
    assert not np.array_equal(noisy, transform.apply(GREY, {**drawn, "seed": drawn["seed"] + 1}))


def test_noise_has_the_deviation_of_its_record() -> None:
    noisy = TRANSFORMS["noise"].apply(GREY, {"std": 0.05, "seed": 5})
    assert abs((noisy.astype(float) - 128).std() / 255 - 0.05) < 0.005


def test_a_stop_less_light_is_half_the_light_and_its_noise_is_that_of_photons() -> None:
    drawn = {"stops": 1.0, "electrons": 1000, "row_std": 0.0, "seed": 1}
    light = (TRANSFORMS["low_light"].apply(GREY, drawn) / 255) ** 2.2
    expected = (128 / 255) ** 2.2 / 2
    assert light.mean() == pytest.approx(expected, rel=0.02)
    assert light.std() == pytest.approx(np.sqrt(expected / 1000 + 1e-6), rel=0.1)


def test_iso_noise_is_stronger_in_the_dark_and_more_so_in_colour() -> None:
    drawn = {"luma_std": 0.02, "chroma_std": 0.06, "blotch_px": 1.5, "seed": 2}
    spreads = []
    for level in (40, 200):
        noisy = TRANSFORMS["iso_noise"].apply(np.full_like(GREY, level), drawn).astype(float)
        luma = noisy.mean(axis=3)
        assert (noisy - luma[..., None]).std() > luma.std()
        spreads.append(noisy.std())
    assert spreads[0] > 1.5 * spreads[1]
