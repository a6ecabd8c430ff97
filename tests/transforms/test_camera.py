from __future__ import annotations

import numpy as np
import pytest

from pipeline.app import compose
from pipeline.config import AugmentConfig
from pipeline.transforms import camera
from tests.conftest import moving_frames

EVERY = {
    "distortion": 0.2,
    "rotation_deg": 5.0,
    "scale": 0.5,
    "defocus_sigma_px": 1.2,
    "motion_blur_px": 5,
    "motion_blur_deg": 30.0,
    "brightness": 0.1,
    "contrast": 0.2,
    "gamma": 0.2,
    "saturation": 0.4,
    "hue": 0.03,
}


def config() -> AugmentConfig:
    cfg = compose("augment", "camera.p=1")
    assert isinstance(cfg, AugmentConfig)
    return cfg


@pytest.mark.parametrize("name", [n for n in EVERY if n != "motion_blur_deg"])
def test_each_transform_changes_frames_and_treats_all_alike(name: str) -> None:
    still = np.repeat(moving_frames(0, 1, 64), 4, axis=0)
    drawn = {k: v for k, v in EVERY.items() if k == name or k.startswith(name[:11])}
    changed = camera.apply(still, drawn)
    assert changed.shape == still.shape
    assert changed.dtype == np.uint8
    assert np.abs(changed[0].astype(int) - still[0]).mean() > 0.3
    assert all(np.array_equal(changed[0], frame) for frame in changed)


def test_brightness_raises_every_value_alike() -> None:
    frames = np.full((2, 8, 8, 3), 100, np.uint8)
    changed = camera.apply(frames, {"brightness": 0.1})
    assert abs(int(changed.mean()) - 125) <= 1


def test_every_drawn_parameter_is_in_its_range_and_makes_the_same_frames_again() -> None:
    look, frames = config().camera, moving_frames(1, 3, 64)
    for seed in range(20):
        drawn = camera.draw(look, np.random.default_rng(seed))
        assert set(drawn) == set(EVERY)
        assert abs(drawn["rotation_deg"]) <= look.rotation_deg
        assert look.min_scale <= drawn["scale"] <= 1
        assert drawn["motion_blur_px"] in range(3, look.motion_blur_px + 1, 2)
    assert np.array_equal(camera.apply(frames, drawn), camera.apply(frames, drawn))


def test_nothing_drawn_changes_nothing() -> None:
    frames = moving_frames(0, 2)
    assert camera.apply(frames, {}) is frames
