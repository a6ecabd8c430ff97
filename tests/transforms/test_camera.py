from __future__ import annotations

import numpy as np
import pytest

from pipeline.transforms.registry import TRANSFORMS
from tests.conftest import moving_frames

STILL = np.repeat(moving_frames(0, 1, 64), 12, axis=0)


@pytest.mark.parametrize(
    "name",
    ["distortion", "roll", "softness", "defocus", "motion_blur", "vignette", "exposure", "colour"],
)
def test_one_draw_treats_all_frames_alike(name: str) -> None:
    drawn = TRANSFORMS[name].draw(np.random.default_rng(0), 1)
    changed = TRANSFORMS[name].apply(STILL, drawn)
    assert all(np.array_equal(changed[0], frame) for frame in changed)


def test_brightness_raises_every_value_alike() -> None:
    frames = np.full((2, 8, 8, 3), 100, np.uint8)
    drawn = {"brightness": 0.1, "contrast": 0, "gamma": 1}
    changed = TRANSFORMS["exposure"].apply(frames, drawn)
    assert abs(int(changed.mean()) - 125) <= 1


def test_warmth_gains_red_and_loses_blue() -> None:
    frames = np.full((1, 8, 8, 3), 100, np.uint8)
    drawn = {"saturation": 1, "hue": 0, "warmth": 0.2, "greenness": 0}
    assert TRANSFORMS["colour"].apply(frames, drawn)[0, 0, 0].tolist() == [120, 100, 80]


def test_a_vignette_leaves_the_centre_and_darkens_the_corners() -> None:
    frames = np.full((1, 64, 64, 3), 200, np.uint8)
    changed = TRANSFORMS["vignette"].apply(frames, {"loss": 0.5, "power": 1})
    assert changed[0, 32, 32, 0] == 200
    assert int(changed[0, 0, 0, 0]) == pytest.approx(100, abs=4)


def test_exposure_reaches_its_new_level_with_a_lag() -> None:
    frames = np.full((16, 4, 4, 3), 100, np.uint8)
    drawn = {"stops": 1.0, "start_s": 0.4, "lag_s": 0.1}
    levels = TRANSFORMS["auto_exposure"].apply(frames, drawn)[:, 0, 0, 0].astype(int)
    assert set(levels[:7]) == {round(100 * 2 ** (-0.5 / 2.2))}
    assert (np.diff(levels[6:]) >= 0).all()
    assert levels[-1] == pytest.approx(100 * 2 ** (0.5 / 2.2), abs=1)


def test_a_shaken_camera_moves_smoothly_and_shows_no_border() -> None:
    drawn = TRANSFORMS["shake"].draw(np.random.default_rng(1), 1)
    changed = TRANSFORMS["shake"].apply(STILL, drawn).astype(int)
    steps = np.abs(np.diff(changed, axis=0)).mean(axis=(1, 2, 3))
    assert (steps > 0.3).all()
    assert steps.max() < np.abs(changed - STILL).mean(axis=(1, 2, 3)).max() * 1.5
    assert TRANSFORMS["shake"].apply(np.full_like(STILL, 90), drawn).min() == 90


def test_rows_of_a_rolling_shutter_lean_by_their_own_time() -> None:
    frames = np.zeros((4, 64, 64, 3), np.uint8)
    frames[:, :, 30:34] = 255
    drawn = {"shift_share": 0.05, "hz": 8.0, "readout_s": 0.06, "phase": 0.1, "skew": False}
    changed = TRANSFORMS["rolling_shutter"].apply(frames, drawn)
    columns = (changed[..., 0] * np.arange(64.0)).sum(axis=2) / changed[..., 0].sum(axis=2)
    assert np.ptp(columns[0]) > 3
    assert np.abs(np.diff(columns, axis=1)).max() < 0.7
    assert not np.array_equal(changed[0], changed[1])
