"""What the frames of a film tell of its editing: cuts, bars, black and still stretches.

A cut is a change of camera. Muzzle flashes, strobes and fast turns of a head-worn camera change a
picture as much; but after a flash the old picture comes back, and a turn moves it and keeps its
colours. So a cut counts only if no frame shortly before looks like any frame shortly after.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Thumbnail = NDArray[np.float32]
Box = tuple[int, int, int, int]

NUM_AROUND = 10
"""Pictures on each side of a place that are compared: at 15 a second, what hides all else for up to
0.6 s, a flash or a fireball that bursts before the eyes, is no cut, nor is a scene so short."""

# Mean change of a thumbnail, in levels, below which nothing has happened.
_MIN_CHANGE = 6.0
_MIN_DISTANCE = 4.0
# A logistic regression on the edits, flashes, strobes and turns of benchmarks/cuts.py: weights of
# the logarithm of the least distance, of its ratio to the usual one, of the best match and of the
# least difference in colours.
_WEIGHTS = (0.81, 0.77, -11.26, 12.5)
_BIAS = 1.75

_DARK_MEAN, _DARK_STD = 28.0, 6.0

_FLAT_STD = 2.0
_STILL_CELL, _STILL_MEAN, _STILL_MAX = 4, 0.25, 5.0

_BAR_LEVEL = 32
_BAR_STD = 2.5
_EDGE_LEVEL = 44
_EDGE_SHARE = 0.35
_EDGE_DEPTH, _EDGE_BLUR = 4, 1
_MIN_BAR, _MAX_BAR_SHARE = 2, 0.75


@dataclass(frozen=True, slots=True)
class Sample:
    """A sampled frame: anything of the caller's, its thumbnail, and whether a break precedes it.

    The thumbnail is float32 (3, H, W), 0 to 255: luma and two colour differences. A sample that
    `repeats` shows the very picture of the one before, which stays on the screen.
    """

    item: Any
    thumbnail: Thumbnail
    after_break: bool = False
    repeats: bool = False


def divide(samples: Iterable[Sample]) -> Iterator[tuple[Any, str]]:
    """Yield each item with what separates it from the one before: "", "cut" or "break".

    Looks `NUM_AROUND` pictures ahead, and holds no more.
    """
    # Samples of one picture are one: else each picture of a slow video would differ from the
    # sample before it, and from nothing else around.
    ahead: deque[list[Sample]] = deque()
    past = _Past()
    for sample in samples:
        if sample.repeats and not sample.after_break and ahead:
            ahead[-1].append(sample)
            continue
        if len(ahead) == NUM_AROUND:
            yield from _next(ahead, past)
        if sample.after_break:
            while ahead:
                yield from _next(ahead, past)
            past = _Past()
        ahead.append([sample])
    while ahead:
        yield from _next(ahead, past)


class _Past:
    """The last frames of a scene, and the last of them in which there was light."""

    def __init__(self) -> None:
        self.last: deque[Thumbnail] = deque(maxlen=NUM_AROUND)
        self.lit: deque[Thumbnail] = deque(maxlen=NUM_AROUND)

    def add(self, thumbnail: Thumbnail) -> None:
        self.last.append(thumbnail)
        if not _is_dark(thumbnail):
            self.lit.append(thumbnail)


def _next(ahead: deque[list[Sample]], past: _Past) -> Iterator[tuple[Any, str]]:
    sample, *repeats = ahead[0]
    kind = "break" if sample.after_break else ""
    after = [others[0].thumbnail for others in ahead]
    if past.last and (is_cut(list(past.last), after) or _is_faded_in(past, after)):
        kind = "cut"
        past.last.clear()
        past.lit.clear()
    past.add(sample.thumbnail)
    ahead.popleft()
    yield sample.item, kind
    for one in repeats:
        yield one.item, ""


def _is_faded_in(past: _Past, after: Sequence[Thumbnail]) -> bool:
    """Whether light comes back after black, and on another scene than the one it left."""
    if not past.lit or not _is_dark(past.last[-1]) or _is_dark(after[0]):
        return False
    return is_cut(list(past.lit), [other for other in after if not _is_dark(other)])


def _is_dark(thumbnail: Thumbnail) -> bool:
    return float(thumbnail[0].mean()) < _DARK_MEAN and float(thumbnail[0].std()) < _DARK_STD


def is_cut(before: Sequence[Thumbnail], after: Sequence[Thumbnail]) -> bool:
    """Whether a cut lies between the last frame of `before` and the first of `after`."""
    if _distance(before[-1], after[0]) < _MIN_CHANGE:
        return False
    pairs = [(one, other) for one in reversed(before) for other in after]
    least = min(_distance(one, other) for one, other in pairs)
    if least < _MIN_DISTANCE:
        return False
    usual = max(_usual_change(before), _usual_change(after))
    colours = _least_difference([_colours(one) for one in before], [_colours(one) for one in after])
    features = np.log(least), np.log((least + 1) / (usual + 1)), 0.0, colours
    # The score of a match of 0; a match costs far more to compute than all the rest.
    score = float(np.dot(_WEIGHTS, features)) + _BIAS
    return score > 0 and all(score + _WEIGHTS[2] * likeness(*pair) > 0 for pair in pairs)


def _distance(one: Thumbnail, other: Thumbnail) -> float:
    """Mean difference of the pixels, summed over the three planes."""
    return float(np.abs(one - other).mean()) * 3


def _usual_change(thumbnails: Sequence[Thumbnail]) -> float:
    changes = [_distance(one, other) for one, other in pairwise(thumbnails)]
    return float(np.median(changes)) if changes else 0.0


def _colours(thumbnail: Thumbnail) -> NDArray[np.float32]:
    """A smooth histogram of the colour differences, which brightness leaves alone."""
    import cv2

    bins = ((thumbnail[1:] - 128) / 6 + 8).clip(0, 15.99).astype(np.int64)
    counts = np.bincount((bins[0] * 16 + bins[1]).ravel(), minlength=256)
    smooth = cv2.GaussianBlur(counts.astype(np.float32).reshape(16, 16), (5, 5), 1.0)
    return np.asarray(smooth / smooth.sum(), np.float32)


def _least_difference(
    before: Sequence[NDArray[np.float32]], after: Sequence[NDArray[np.float32]]
) -> float:
    """The share of the colours, 0 to 1, in which the two most alike histograms differ."""
    return min(float(np.abs(one - other).sum()) / 2 for one in before for other in after)


def likeness(one: Thumbnail, other: Thumbnail) -> float:
    """How well a half of one picture is found in another, whatever its brightness: -1 to 1.

    Halves are matched by normalised correlation, so a turn by half a picture is followed.
    """
    import cv2

    flat = [bool(image[0].std() < _FLAT_STD) for image in (one, other)]
    if any(flat):
        return float(all(flat))
    height, width = one.shape[1:]
    # Without the blur, a turn by half a cell of the thumbnail would spoil the match.
    one_image, other_image = (cv2.blur(np.moveaxis(image, 0, -1), (3, 3)) for image in (one, other))
    top, bottom = height // 6, height - height // 6
    best = -1.0
    for left in (0, width // 4, width // 2):
        half = one_image[top:bottom, left : left + width // 2]
        match = cv2.matchTemplate(other_image, half, cv2.TM_CCOEFF_NORMED)
        best = max(best, float(match.max()))
    return best


@dataclass(frozen=True)
class Bars:
    """Black bars in pixels at the four sides of stored pictures."""

    left: int
    top: int
    right: int
    bottom: int

    def content(self, width: int, height: int) -> Box:
        """Left, top, width, height of what the bars leave."""
        return self.left, self.top, width - self.left - self.right, height - self.top - self.bottom


def find_bars(lumas: Sequence[NDArray[np.uint8]], known: Bars | None = None) -> Bars:
    """Find the black bars around some frames.

    A bar is black and even in every frame, and ends at once along a good part of its side. A
    night sky ends in a skyline, or has noise.

    Args:
        lumas: uint8 (H, W) of frames of one scene; black is 0 or 16.
        known: bars of earlier frames of the file, which hold where the picture is too dark to tell.
    """
    known = known or Bars(0, 0, 0, 0)
    height = lumas[0].shape[0]
    top, bottom = _find_two(list(lumas), known.top, known.bottom)
    inner = [luma[top : height - bottom].T for luma in lumas]
    left, right = _find_two(inner, known.left, known.right)
    return Bars(left, top, right, bottom)


def _find_two(lumas: list[NDArray[np.uint8]], known_near: int, known_far: int) -> tuple[int, int]:
    """Number of black rows at the top and at the bottom."""
    if all(max(int(luma[row].max()) for luma in lumas) > _BAR_LEVEL for row in (0, -1)):
        return 0, 0
    brightest = np.maximum.reduce(lumas)
    near, far = _bar(brightest, known_near), _bar(brightest[::-1], known_far)
    return (near, far) if near + far <= len(brightest) * _MAX_BAR_SHARE else (0, 0)


def _bar(brightest: NDArray[np.uint8], known: int) -> int:
    is_dark = brightest.max(axis=1) <= _BAR_LEVEL
    num_rows = len(is_dark) if is_dark.all() else int(np.argmin(is_dark))
    if num_rows < _MIN_BAR or brightest[:num_rows].std() > _BAR_STD:
        return 0
    # Scaling and compression have blurred the edge.
    found = num_rows + _EDGE_BLUR
    edge = brightest[num_rows : num_rows + _EDGE_DEPTH]
    is_plain = edge.size and (edge.max(axis=0) > _EDGE_LEVEL).mean() >= _EDGE_SHARE
    if known <= found and (not is_plain or found - known <= _EDGE_DEPTH):
        return known
    return found if is_plain else 0


def blank_reason(pixels: NDArray[np.uint8]) -> str:
    """Why a window shows nothing: "black" (or all of one colour), "still", or "" if it does.

    The noise of a camera's sensor counts as movement.

    Args:
        pixels: uint8 (T, H, W, 3).
    """
    if all(frame.std() < _FLAT_STD for frame in pixels):
        return "black"
    first = _cell_means(pixels[0])
    # The last frames first: they differ most, so most windows need one comparison only.
    for frame in pixels[:0:-1]:
        change = np.abs(_cell_means(frame) - first)
        if change.mean() > _STILL_MEAN or change.max() > _STILL_MAX:
            return ""
    return "still"


def _cell_means(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means over cells: encoders refine the details of a still picture, but not its means."""
    rows, columns = frame.shape[0] // _STILL_CELL, frame.shape[1] // _STILL_CELL
    cropped = frame[: rows * _STILL_CELL, : columns * _STILL_CELL]
    cells = cropped.reshape(rows, _STILL_CELL, columns, _STILL_CELL, 3)
    return np.asarray(cells.mean(axis=(1, 3), dtype=np.float32))
