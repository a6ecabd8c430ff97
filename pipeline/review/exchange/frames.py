"""Times of the canonical rate as frames, which others count from 1 with both ends in."""

from __future__ import annotations

import math
from typing import Any

# Of a frame: a time that was made of one and written with four digits may lie below it.
_SLACK = 0.01


def range_of(start_s: float, end_s: float, fps: float) -> tuple[int, int]:
    """First and last frame, from 1, of what is shown from one time until another.

    A frame is shown from its time on for 1/fps; one at least is in it.
    """
    first = math.floor(start_s * fps + _SLACK) + 1
    last = math.ceil(end_s * fps - _SLACK)
    return first, max(first, last)


def start_of(first: Any, last: Any, fps: float) -> float:
    """From which time on frames are shown, first to last, counted from 1.

    Raises:
        ValueError: one of them is no number of a frame, or they are none in order.
    """
    # `True` is a number to Python, and none of a frame.
    if not (type(first) is type(last) is int and 1 <= first <= last):
        raise ValueError(f"frames {first} to {last}, which count from 1")
    return (first - 1) / fps
