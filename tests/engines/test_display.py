from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from pipeline.engines.display import adjust, show


def picture(low: int, high: int) -> np.ndarray:
    return np.random.default_rng(1).integers(low, high, (3, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("wanted", [70.0, 90.0, 120.0])
def test_brightness_becomes_what_is_wanted(wanted: float) -> None:
    assert adjust(picture(10, 120), wanted, 1.0).mean() == pytest.approx(wanted, abs=1)


def test_what_is_nearly_black_stays_dark() -> None:
    assert adjust(picture(0, 3), 120.0, 1.0).mean() < 60


def test_without_saturation_the_picture_is_grey() -> None:
    shown = adjust(picture(10, 200), 90.0, 0.0)
    assert (shown[..., 0] == shown[..., 2]).all()
    assert shown.std() > 5


def test_settings_differ_by_draw_and_follow_from_it() -> None:
    frames = picture(0, 160)
    means = [show(frames, np.random.default_rng(number)).mean() for number in range(12)]
    assert np.ptp(means) > 25
    np.testing.assert_array_equal(
        show(frames, np.random.default_rng(5)), show(frames, np.random.default_rng(5))
    )


def test_edges_are_softened_as_much_as_a_lens_does() -> None:
    frames = np.zeros((2, 32, 32, 3), np.uint8)
    frames[:, :, 16:] = 200
    shown = show(frames, np.random.default_rng(2)).astype(int)
    assert 0.2 < np.abs(np.diff(shown, axis=2)).max() / np.ptp(shown) < 0.8


def test_frames_are_adjusted_one_at_a_time() -> None:
    frames = np.full((60, 120, 160, 3), 40, np.uint8)
    tracemalloc.start()
    adjust(frames, 90.0, 0.5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * frames.nbytes
