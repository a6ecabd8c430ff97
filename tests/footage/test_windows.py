from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.config import ClipFormat
from pipeline.footage import foreign
from pipeline.footage.foreign import ScreenFrame
from pipeline.footage.windows import Window, WindowMaker
from pipeline.store import video
from tests.conftest import moving_frames
from tests.made import scene

CLIP = ClipFormat(num_frames=8, size=64, fps=15.0, crf=18)


def pictures(frames: NDArray[np.uint8]) -> list[ScreenFrame]:
    shown = (av.VideoFrame.from_ndarray(frame, "rgb24") for frame in frames)
    return [
        ScreenFrame(4 + i, frame.reformat(format="yuv420p"), 1, i, False, False)
        for i, frame in enumerate(shown)
    ]


def maker(*, as_shown: bool = False, max_output_mb: float = 1.0) -> WindowMaker:
    return WindowMaker(1.0, CLIP, foreign.Budget(max_output_mb), as_shown=as_shown)


def test_pictures_become_a_clip_of_their_centre() -> None:
    made = maker().make(pictures(scene(1, 8, 64, 96)), {"short"})
    assert isinstance(made, Window)
    assert (made.start_frame, made.box, made.marks) == (4, (16, 0, 64, 64), ("short",))
    assert video.decode(made.mp4).shape == (8, 64, 64, 3)


def test_what_is_black_is_none() -> None:
    assert maker(as_shown=True).make(pictures(np.zeros((8, 64, 64, 3), np.uint8)), set()) == "black"


def test_of_a_picture_that_stays_one_window_is_kept_where_all_is_that_is_shown() -> None:
    still = pictures(np.repeat(moving_frames(1, 1), 8, axis=0))
    assert maker().make(still, set()) == "still"
    shown = maker(as_shown=True)
    first = shown.make(still, set())
    assert isinstance(first, Window)
    assert first.marks == ("still",)
    assert shown.make(still, set()) == "still"


def test_a_timelapse_is_nothing_to_train_on() -> None:
    frames = pictures(moving_frames(1, 8))
    shown = [replace(picture, number=picture.number // 7) for picture in frames]
    assert maker().make(shown, set()) == "few_pictures"


def test_too_much_output_is_refused() -> None:
    with pytest.raises(foreign.DecodeError, match="take more than"):
        maker(max_output_mb=1e-5).make(pictures(moving_frames(1, 8)), set())
