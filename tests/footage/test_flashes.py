from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.config import ClipFormat
from pipeline.footage import canonical, foreign
from pipeline.footage.foreign import flashes
from pipeline.footage.foreign.picture import ScreenFrame
from pipeline.store import video
from tests.made import scene, write_video

GRID_FPS = 15.0
RATES = [12.0, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0, 120.0, 240.0]
LIMITS = foreign.DecodingLimits(max_pixels=4096 * 4096, max_duration_s=600)


def picture(image: np.ndarray, number: int, **fields: object) -> ScreenFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    given = {"reduction": 1, "damaged": False, "after_break": False} | fields
    return ScreenFrame(index=0, frame=frame, number=number, **given)


def on_grid(images: Sequence[np.ndarray], fps: float) -> Iterator[tuple[ScreenFrame, bool]]:
    """Frames at a constant rate, as `keep` takes them."""
    index = 0
    for number, image in enumerate(images):
        one, first = picture(image, number), index
        while index / GRID_FPS < (number + 1) / fps - 1e-3:
            yield one, True
            index += 1
        if index == first:
            yield one, False


def shown(images: Sequence[np.ndarray], fps: float) -> list[int]:
    return [one.number for one in flashes.keep(on_grid(images, fps))]


def on_time(images: Sequence[np.ndarray], fps: float) -> list[int]:
    return [one.number for one, is_on_screen in on_grid(images, fps) if is_on_screen]


def flash(images: np.ndarray, number: int, side: int = 12) -> np.ndarray:
    """A flash that fills 1 % of pictures of 96 by 128 pixels."""
    images = images.copy()
    images[number, 30 : 30 + side, 70 : 70 + side] = 250
    return images


@pytest.mark.parametrize("fps", RATES)
def test_a_flash_of_one_frame_is_shown_once_and_in_its_interval_at_every_rate(fps: float) -> None:
    images = scene(4, 40, speed_px=60 / fps, noise=2) // 2
    usual = on_time(images, fps)
    for number in range(1, usual[-1] - 1):
        found = shown(flash(images, number), fps)
        assert number in found
        if fps >= GRID_FPS:
            assert found.count(number) == 1
        assert sum(a != b for a, b in zip(found, usual, strict=True)) == (number not in usual)
        if number not in usual:
            assert found.index(number) == int(number / fps * GRID_FPS)


@pytest.mark.parametrize("fps", RATES)
def test_without_a_flash_nothing_is_exchanged_however_camera_and_lamps_move(fps: float) -> None:
    images = scene(5, 60, speed_px=400 / fps, noise=6) // 3
    for number, image in enumerate(images):
        at = int(number * 700 / fps) % 110
        image[40:52, at : at + 12] = 240
    assert shown(images, fps) == on_time(images, fps)


@pytest.mark.parametrize("change", ["cut", "light", "flicker"])
def test_changes_that_last_are_no_flash(change: str) -> None:
    images = scene(6, 40, speed_px=0.5) // 2
    if change == "cut":
        images[18:] = scene(7, 22)
    elif change == "light":
        images[18:] = images[18:] * 2
    else:
        images[::2] = images[::2] + 12
    assert shown(images, 60) == on_time(images, 60)


def test_a_flash_that_the_grid_shows_already_is_not_shown_again() -> None:
    images = scene(8, 24) // 2
    for number in (8, 9):
        images = flash(images, number)
    assert shown(images, 60) == on_time(images, 60)


def test_of_two_flashes_between_two_times_the_larger_is_shown() -> None:
    images = flash(flash(scene(8, 24) // 2, 9), 11, side=20)
    assert 11 in shown(images, 60)
    assert 9 not in shown(images, 60)


def test_a_damaged_frame_stands_for_no_other() -> None:
    images = flash(scene(9, 24) // 2, 9)
    frames = [
        (picture(images[one.number], one.number, damaged=one.number == 9), is_on_screen)
        for one, is_on_screen in on_grid(images, 60)
    ]
    assert [one.number for one in flashes.keep(frames)] == on_time(images, 60)


def test_a_frame_of_another_shape_stands_for_no_other() -> None:
    images = list(flash(scene(9, 24) // 2, 9))
    images[9] = images[9][:64]
    assert shown(images, 60) == on_time(images, 60)


def test_no_flash_is_looked_for_across_a_break() -> None:
    images = flash(scene(9, 24) // 2, 9)
    frames = [
        (picture(images[one.number], one.number, after_break=one.number == 9), is_on_screen)
        for one, is_on_screen in on_grid(images, 60)
    ]
    assert [one.number for one in flashes.keep(frames)] == on_time(images, 60)


def test_what_was_on_the_screen_before_an_error_is_given_before_it_is_raised() -> None:
    def broken() -> Iterator[tuple[ScreenFrame, bool]]:
        yield from on_grid(scene(9, 3), 60)
        raise ValueError("broken")

    given = flashes.keep(broken())
    assert next(given).number == 0
    with pytest.raises(ValueError, match="broken"):
        next(given)


@pytest.mark.parametrize("times", ["constant", "variable"])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
def test_the_clip_shows_the_flash_where_the_label_says(
    tmp_path: Path, times: str, pix_fmt: str
) -> None:
    images = scene(10, 70, speed_px=0.5) // 2
    steps = [1] * 70 if times == "constant" else np.random.default_rng(3).integers(1, 4, 70)
    stamps = np.cumsum(steps).tolist()
    clip = ClipFormat(num_frames=16, size=64, fps=GRID_FPS, crf=18)
    codec = {"yuv420p": "libx264", "yuv420p10le": "libx265"}[pix_fmt]
    for number in (13, 22, 31, 43):
        path = write_video(
            tmp_path / f"{number}.mkv",
            flash(images, number),
            stamps,
            codec=codec,
            pix_fmt=pix_fmt,
            rate=60,
            options={"crf": "30"},
        )
        windows = canonical.canonicalise(path, clip, 16, LIMITS).windows
        assert [window.start_frame for window in windows][:1] == [0]
        luma = np.concatenate([video.decode(window.mp4).mean(-1) for window in windows])
        # The square in the middle of 96 by 128 pixels is shown at 64 by 64.
        bright = luma[:, 22:26, 38:42].mean((1, 2))
        assert bright.max() > np.median(bright) + 60
        assert abs(int(bright.argmax()) - int(stamps[number] / 60 * GRID_FPS)) <= 1
