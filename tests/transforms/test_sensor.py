from __future__ import annotations

import numpy as np

from pipeline.config import SensorLook
from pipeline.transforms import sensor


def test_noise_is_another_one_in_every_frame_and_the_same_in_every_run() -> None:
    frames = np.full((3, 64, 64, 3), 128, np.uint8)
    drawn = {"gauss_std": 0.05, "seed": 5}
    noisy = sensor.apply(frames, drawn)
    assert not np.array_equal(noisy[0], noisy[1])
    assert np.array_equal(noisy, sensor.apply(frames, drawn))
    assert abs((noisy.astype(float) - 128).std() / 255 - 0.05) < 0.005


def test_strengths_stay_in_their_range_and_the_seed_is_recorded() -> None:
    look = SensorLook(p=1.0, gauss_std=0.06, iso_intensity=0.3)
    for seed in range(20):
        drawn = sensor.draw(look, np.random.default_rng(seed))
        assert 0 <= drawn["gauss_std"] <= 0.06
        assert 0.05 <= drawn["iso_intensity"] <= 0.3
        assert drawn["seed"] >= 0
    assert sensor.draw(SensorLook(0.0, 0.06, 0.3), np.random.default_rng(0)) == {}
