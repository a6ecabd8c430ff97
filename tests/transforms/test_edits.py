from __future__ import annotations

import numpy as np
import pytest

from pipeline.commands.testcard import testcard as moving_scene
from pipeline.transforms.edits.filters import CURVES, MATRICES
from pipeline.transforms.registry import TRANSFORMS

SCENE = moving_scene(16, 64)


def apply(name: str, frames: np.ndarray = SCENE, **parameters: object) -> np.ndarray:
    drawn = TRANSFORMS[name].draw(np.random.default_rng(0), 1)
    return TRANSFORMS[name].apply(frames, {**drawn, **parameters})


def ramp() -> np.ndarray:
    """A clip whose frames tell their number: 10, 20, …"""
    numbers = 10 * np.arange(1, 17, dtype=np.uint8)
    return np.broadcast_to(numbers[:, None, None, None], (16, 8, 8, 3)).copy()


def test_a_speed_ramp_spans_the_clip_and_is_slowest_at_its_centre() -> None:
    shown = apply("speed", ramp(), slowest=0.3, centre=0.5, width=0.2)[:, 0, 0, 0].astype(int)
    assert shown[0] < 20
    assert shown[-1] > 150
    steps = np.diff(shown)
    assert (steps > 0).all()
    assert steps[0] > 12
    assert steps[6:9].mean() < 7


def test_a_flash_of_one_frame_outlives_any_speed_ramp() -> None:
    for moment in range(16):
        flash = np.zeros((16, 8, 8, 3), np.uint8)
        flash[moment] = 255
        for seed in range(3):
            drawn = TRANSFORMS["speed"].draw(np.random.default_rng(seed), 1)
            assert TRANSFORMS["speed"].apply(flash, drawn).max() > 70


@pytest.mark.parametrize("held", [2.0, 3.0, 4.0])
def test_a_lower_frame_rate_repeats_frames_of_the_clip(held: float) -> None:
    shown = apply("frame_rate", ramp(), held=held, phase=0.0, blend=False)[:, 0, 0, 0]
    assert shown.tolist() == [10 * (1 + int(n // held * held)) for n in range(16)]


def test_blended_frames_are_averages() -> None:
    shown = apply("frame_rate", ramp(), held=2.0, phase=0.0, blend=True)[:, 0, 0, 0]
    assert shown[:4].tolist() == [15, 15, 35, 35]


def test_a_mirror_image_turned_back_is_the_clip() -> None:
    assert np.array_equal(apply("mirror", zoom=1)[:, :, ::-1], SCENE)


def test_a_crop_shows_the_part_of_the_record() -> None:
    frames = np.zeros((2, 64, 64, 3), np.uint8)
    frames[:, 32:, 32:] = 255
    assert apply("crop", frames, kept=0.5, x=1, y=1).min() == 255
    assert apply("crop", frames, kept=0.5, x=0, y=0).max() == 0


@pytest.mark.parametrize("sides", ["all", "top_and_bottom", "left_and_right", "bottom"])
def test_a_border_leaves_the_window_filled(sides: str) -> None:
    frames = np.full((2, 64, 64, 3), 200, np.uint8)
    shown = apply("border", frames, share=0.25, sides=sides, ground="black")[0, :, :, 0]
    inside = shown[16:48, 16:48]
    assert (inside == 200).all()
    outside = {"all": 4, "top_and_bottom": 2, "left_and_right": 2, "bottom": 1}[sides]
    edges = [shown[0, 32], shown[-1, 32], shown[32, 0], shown[32, -1]]
    assert sum(int(value == 0) for value in edges) == outside


def test_a_picture_in_picture_is_the_clip_made_smaller_at_its_place() -> None:
    frames = np.full((2, 64, 64, 3), 200, np.uint8)
    shown = apply(
        "picture_in_picture", frames, inset="clip", scale=0.5, x=0, y=1, edge=0, ground="black"
    )[0, :, :, 0]
    assert (shown[32:, :32] == 200).all()
    assert shown[:32].max() == 0


def test_every_colour_filter_at_full_share_is_another_look() -> None:
    looks = [apply("colour_filter", filter=name, share=1) for name in (*MATRICES, *CURVES)]
    assert len({look.tobytes() for look in looks}) == len(looks)
    grey = apply("colour_filter", filter="grey", share=1)
    assert np.array_equal(grey[..., 0], grey[..., 2])


@pytest.mark.parametrize("kind", ["mosaic", "blur", "black"])
def test_a_blur_box_hides_its_box_and_nothing_else(kind: str) -> None:
    place = {"kind": kind, "x": 0.5, "y": 0.5, "width": 0.5, "height": 0.5, "travel": 0.0}
    noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    shown = apply("blur_box", noise, round=False, **place)
    assert np.array_equal(shown[:, :15], noise[:, :15])
    assert shown[0, 20:44, 20:44].std() < 0.5 * noise[0, 20:44, 20:44].std()


def test_a_tracking_box_moves() -> None:
    white = np.full((16, 64, 64, 3), 255, np.uint8)
    shown = apply("blur_box", white, kind="black", x=0.5, y=0.5, width=0.2, height=0.2, travel=0.2)
    assert len({frame.tobytes() for frame in shown}) > 3


def test_a_caption_that_starts_late_leaves_the_frames_before() -> None:
    shown = apply("caption", starts_at=0.25)
    assert np.array_equal(shown[:4], SCENE[:4])
    assert (shown[4:] != SCENE[4:]).any(axis=(1, 2, 3)).all()


def test_a_filmed_screen_has_bands_that_travel_and_a_cast() -> None:
    white = np.full((16, 64, 64, 3), 200, np.uint8)
    plain = {"moire": 0.0, "glare": 0.0, "vignette": 0.0, "haze": 0.0, "sway": 0.0}
    flat = [[0.0, 0.0]] * 4
    shown = apply("filmed_screen", white, corners=flat, cast=[0.8, 1, 1], band_hz=2.0, **plain)
    rows = shown[..., 1].mean(axis=2)
    assert np.ptp(rows[0]) > 20
    assert not np.allclose(rows[0], rows[3], atol=5)
    assert shown[..., 0].mean() / shown[..., 1].mean() == pytest.approx(0.8, abs=0.02)


def test_moire_is_coarser_than_the_screen_that_causes_it() -> None:
    grey = np.full((1, 128, 128, 3), 128, np.uint8)
    plain = {"glare": 0.0, "vignette": 0.0, "haze": 0.0, "sway": 0.0, "band_depth": 0.0}
    look = {"corners": [[0.0, 0.0]] * 4, "cast": [1, 1, 1], "defocus_share": 0.001}
    shown = apply("filmed_screen", grey, pitch=1.05, moire=0.2, **plain, **look)
    spectrum = np.abs(np.fft.rfft(shown[0, :, 8:120, 1].mean(axis=0) - shown[0, ..., 1].mean()))
    # 0.05 periods a pixel over 112 pixels.
    assert int(spectrum.argmax()) in (5, 6)


def test_a_cascade_loses_with_every_generation() -> None:
    one = {"crf": 34, "scale": 1.0, "keyint": 16}
    losses = [
        np.abs(apply("recompress", generations=[one] * num).astype(int) - SCENE).mean()
        for num in (1, 3)
    ]
    assert 0 < losses[0] < losses[1]
