"""What lost packets and a busy recorder do to decoded frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]

_BLOCK = 16
_DROPPED_SHARE, _DAMAGED_SHARE = 0.15, 0.08
# Zeros in all three planes of Y'CbCr, as a decoder leaves what it never received.
_EMPTY = np.array((0, 135, 0), np.uint8)
_RATIOS = (None, 1.85, 2.0, 2.39)
_RATIO_ODDS = (0.65, 0.1, 0.1, 0.15)
_KINDS = ("smear", "smear", "stuck", "empty", "grey", "shifted")


def suffer(frames: Frames, fps: float, rng: np.random.Generator, *, can_bar: bool = True) -> Frames:
    """Return frames (T, H, W, 3) as recorders that lose some, and then uploads, show them.

    Most recordings stay as they are. Every origin goes through this, so that neither damage nor
    letterbox bars tell one; films, which bring bars of their own, get no others (`can_bar`). What
    is lost lasts equally long at every rate, `fps` frames a second.
    """
    frames = frames.copy()
    if len(frames) > 1:
        _drop_frames(rng, frames, fps)
        _lose_packets(rng, frames, fps)
    ratio = draw_ratio(rng)
    if can_bar and ratio is not None:
        rim = (frames.shape[1] - picture_height(ratio, *frames.shape[2:0:-1])) // 2
        frames[:, :rim] = frames[:, len(frames[0]) - rim :] = 0
    return frames


def draw_ratio(rng: np.random.Generator) -> float | None:
    """Draw the aspect ratio of the picture between letterbox bars, None for no bars."""
    return _RATIOS[rng.choice(len(_RATIOS), p=_RATIO_ODDS)]


def picture_height(ratio: float, width: int, height: int) -> int:
    """Return the height in pixels between the bars, even and at most `height`."""
    return min(height, round(width / ratio / 2) * 2)


def _drop_frames(rng: np.random.Generator, frames: Frames, fps: float) -> None:
    """Repeat a frame here and there in some recordings, in place, as a busy recorder does."""
    if rng.random() >= _DROPPED_SHARE:
        return
    for first in np.sort(rng.integers(1, len(frames), 3)):
        for index in range(first, min(first + _length(rng, (1, 4), fps), len(frames))):
            frames[index] = frames[first - 1]


def _lose_packets(rng: np.random.Generator, frames: Frames, fps: float) -> None:
    """Damage runs of macroblocks in some recordings, in place, until the next key frame.

    `frames` (T, H, W, 3). A smear goes on predicting from a broken reference.
    """
    if rng.random() >= _DAMAGED_SHARE:
        return
    for _ in range(int(rng.integers(1, 4))):
        first = int(rng.integers(1, max(2, len(frames) - 2)))
        last = min(len(frames), first + _length(rng, (2, 22), fps))
        _damage(rng, frames, first, last)


def _length(rng: np.random.Generator, limits: tuple[int, int], fps: float) -> int:
    """Draw a number of frames, of the rate of `fps`, between limits that are frames of 15 fps."""
    return max(1, round(int(rng.integers(*limits)) * fps / 15))


def _damage(rng: np.random.Generator, frames: Frames, first: int, last: int) -> None:
    _, height, width, _ = frames.shape
    across, down = -(-width // _BLOCK), -(-height // _BLOCK)
    start = int(rng.integers(across * down))
    length = int(rng.integers(across // 2 + 1, across * down // 2 + 2))
    run = np.zeros(across * down, bool)
    run[start : start + length] = True
    if rng.random() < 0.5:
        run &= rng.random(across * down) < rng.uniform(0.3, 0.9)
    grid = run.reshape(down, across)
    lost = np.kron(grid, np.ones((_BLOCK, _BLOCK), bool))[:height, :width]
    kind = _KINDS[rng.integers(len(_KINDS))]
    shift = (int(rng.integers(-2, 3)) * 4, int(rng.integers(-8, 9)) * 4)
    true_before = frames[first - 1].astype(np.int16)
    shown = np.roll(true_before, shift, (0, 1)) if kind == "smear" else true_before
    for index in range(first, last):
        truth = frames[index].astype(np.int16)
        if kind == "smear":
            shown = np.clip(shown + truth - true_before, 0, 255)
        elif kind == "shifted":
            shown = np.roll(truth, shift, (0, 1))
        elif kind != "stuck":
            shown = np.broadcast_to(_EMPTY if kind == "empty" else np.uint8(128), truth.shape)
        frames[index][lost] = shown[lost]
        true_before = truth
