"""One picture of a foreign file, small enough to be held beside others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Larger pictures are halved as they arrive, or the held ones would not fit into memory.
MAX_HELD_PIXELS = 4096 * 2304


@dataclass(frozen=True, slots=True)
class ScreenFrame:
    """The frame on the screen at time index / fps.

    Attributes:
        index: place on the grid of times.
        frame: the `av.VideoFrame`, unconverted but for a reduction of giants.
        reduction: how many stored pixels a pixel of `frame` is wide and high.
        number: of the frame in the file; the same while it stays on the screen.
        damaged: the decoder may have papered over missing or wrong data.
        after_break: not the continuation of the picture before.
    """

    index: int
    frame: Any
    reduction: int
    number: int
    damaged: bool
    after_break: bool


def shape(frame: Any) -> tuple[Any, ...]:
    """Width, height and pixel format of a frame."""
    return frame.width, frame.height, frame.format.name


def reduced(frame: Any) -> tuple[Any, int]:
    """A frame small enough to hold many of, and how many times it was reduced each way."""
    reduction = 1
    while frame.width * frame.height > MAX_HELD_PIXELS * reduction**2:
        reduction *= 2
    if reduction == 1:
        return frame, 1
    name = frame.format.name
    small = frame.reformat(
        width=frame.width // reduction,
        height=frame.height // reduction,
        format=name if name.startswith(("yuv", "gray")) else "rgba",
        interpolation="AREA",
        threads=1,
    )
    return small, reduction
