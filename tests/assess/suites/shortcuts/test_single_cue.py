from __future__ import annotations

import numpy as np
import pytest

from pipeline.assess.suites.shortcuts import single_cue
from pipeline.copies.fingerprint import luma
from tests.conftest import moving_frames

FRAMES = moving_frames(1, 16, 64)
GREY = 127


@pytest.mark.parametrize("name", single_cue.CHANGES)
def test_a_change_keeps_the_form_and_leaves_the_clip_as_it_is(name: str) -> None:
    frames = FRAMES.copy()
    out = single_cue.CHANGES[name](frames, "clip")
    assert out.shape == FRAMES.shape
    assert out.dtype == np.uint8
    assert np.array_equal(frames, FRAMES)
    assert not np.array_equal(out, FRAMES)
    assert np.array_equal(out, single_cue.CHANGES[name](frames, "clip"))


def test_shuffled_frames_are_the_same_frames_in_an_order_of_the_clip() -> None:
    one, other = (single_cue.shuffled(FRAMES, clip) for clip in ("a", "b"))
    assert sorted(frame.tobytes() for frame in one) == sorted(frame.tobytes() for frame in FRAMES)
    assert not np.array_equal(one, other)


def test_a_frozen_clip_does_not_move() -> None:
    out = single_cue.frozen(FRAMES, "")
    assert (out == FRAMES[0]).all()


def test_normalised_frames_have_no_colour_and_one_brightness_and_contrast() -> None:
    flash = FRAMES // 3
    flash[5] = FRAMES[5] // 2 + 120
    out = single_cue.normalised(flash, "")
    assert (out[..., 0] == out[..., 1]).all()
    assert (out[..., 0] == out[..., 2]).all()
    brightness = luma(out)
    assert np.ptp(brightness.mean(axis=(1, 2))) < 1
    assert np.ptp(brightness.std(axis=(1, 2))) < 1
    assert np.corrcoef(brightness[3].ravel(), luma(flash)[3].ravel())[0, 1] > 0.999


def test_the_noise_of_a_black_frame_is_not_blown_up() -> None:
    black = np.random.default_rng(0).integers(0, 2, (2, 64, 64, 3)).astype(np.uint8)
    assert single_cue.normalised(black, "").std() < 12


def test_border_and_centre_share_a_clip_between_them() -> None:
    border, centre = single_cue.border_only(FRAMES, ""), single_cue.centre_only(FRAMES, "")
    # A sixteenth of 64.
    assert (border[:, 4:-4, 4:-4] == GREY).all()
    assert np.array_equal(centre[:, 4:-4, 4:-4], FRAMES[:, 4:-4, 4:-4])
    for rim in (np.s_[:, :4], np.s_[:, -4:], np.s_[:, :, :4], np.s_[:, :, -4:]):
        assert np.array_equal(border[rim], FRAMES[rim])
        assert (centre[rim] == GREY).all()


def test_overlays_leave_corners_and_strips() -> None:
    out = single_cue.overlays_only(FRAMES, "")
    for kept in (np.s_[:, :8], np.s_[:, -8:], np.s_[:, :16, :16], np.s_[:, -16:, -16:]):
        assert np.array_equal(out[kept], FRAMES[kept])
    assert (out[:, 16:-16] == GREY).all()
    assert (out[:, 8:-8, 16:-16] == GREY).all()
