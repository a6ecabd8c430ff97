"""Reads the editing of a film from its frames: cuts, bars, black and still stretches.

A cut is a change of camera. Muzzle flashes, strobes and fast turns of a head-worn camera change a
picture as much; but after a flash the old picture comes back, and a turn moves it and keeps its
colours. So a cut counts only if no frame shortly before looks like any frame shortly after.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import median
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
class SampledFrame:
    """A sampled frame: anything of the caller's, its thumbnail, and whether a break precedes it.

    The thumbnail is float32 (3, H, W), 0 to 255: luma and two colour differences. A frame that
    `repeats` shows the very picture of the one before, which stays on the screen.
    """

    item: Any
    thumbnail: Thumbnail
    after_break: bool = False
    repeats: bool = False


def divide(frames: Iterable[SampledFrame]) -> Iterator[tuple[Any, str]]:
    """Yield each item with what separates it from the one before: "", "cut" or "break".

    Looks `NUM_AROUND` pictures ahead, and holds no more.
    """
    # Frames of one picture are one: else each picture of a slow video would differ from the
    # frame before it, and from nothing else around.
    ahead: deque[_Ahead] = deque()
    past = _Past()
    for frame in frames:
        if frame.repeats and not frame.after_break and ahead:
            ahead[-1].frames.append(frame)
            continue
        if len(ahead) == NUM_AROUND:
            yield from _next(ahead, past)
        if frame.after_break:
            while ahead:
                yield from _next(ahead, past)
            past = _Past()
        ahead.append(_Ahead([frame], _KnownFrame(frame.thumbnail)))
    while ahead:
        yield from _next(ahead, past)


class _KnownFrame:
    """A thumbnail, and what was found out about it and the ones after it.

    Nearly every picture is compared with the `NUM_AROUND` before and after it at as many places,
    so that nothing is computed twice. It refers to later ones alone, and outlives none of them.
    """

    def __init__(self, thumbnail: Thumbnail) -> None:
        self._thumbnail = thumbnail
        self._distances: dict[_KnownFrame, float] = {}
        self._differences: dict[_KnownFrame, float] = {}

    def distance(self, later: _KnownFrame) -> float:
        """Mean difference of the pixels, summed over the three planes."""
        known = self._distances.get(later)
        if known is None:
            change = np.abs(self._thumbnail - later._thumbnail)
            known = self._distances[later] = float(change.mean()) * 3
        return known

    def difference(self, later: _KnownFrame) -> float:
        """The share of the colours, 0 to 1, in which the histograms differ."""
        known = self._differences.get(later)
        if known is None:
            change = np.abs(self._colours - later._colours)
            known = self._differences[later] = float(change.sum()) / 2
        return known

    def matches(self, other: _KnownFrame) -> Iterator[float]:
        """Yield how well a half of this picture is found in another, whatever its brightness: -1 to
        1.

        Halves are matched by normalised correlation, so a turn by half a picture is followed.
        Yields the best match of each of three halves, or one number where a picture is flat.
        """
        import cv2

        if self._is_flat or other._is_flat:
            yield float(self._is_flat and other._is_flat)
            return
        height, width = self._thumbnail.shape[1:]
        top, bottom = height // 6, height - height // 6
        for left in (0, width // 4, width // 2):
            half = self._blurred[top:bottom, left : left + width // 2]
            match = cv2.matchTemplate(other._blurred, half, cv2.TM_CCOEFF_NORMED)
            yield float(match.max())

    @cached_property
    def is_dark(self) -> bool:
        """Return whether there is next to no light in it."""
        luma = self._thumbnail[0]
        return float(luma.mean()) < _DARK_MEAN and float(luma.std()) < _DARK_STD

    @cached_property
    def _is_flat(self) -> bool:
        return bool(self._thumbnail[0].std() < _FLAT_STD)

    @cached_property
    def _blurred(self) -> NDArray[np.float32]:
        """The picture as (H, W, 3): unblurred, a turn by half a cell would spoil the match."""
        import cv2

        return np.asarray(cv2.blur(np.moveaxis(self._thumbnail, 0, -1), (3, 3)), np.float32)

    @cached_property
    def _colours(self) -> NDArray[np.float32]:
        """A smooth histogram of the colour differences, which brightness leaves alone."""
        import cv2

        bins = ((self._thumbnail[1:] - 128) / 6 + 8).clip(0, 15.99).astype(np.int64)
        counts = np.bincount((bins[0] * 16 + bins[1]).ravel(), minlength=256)
        smooth = cv2.GaussianBlur(counts.astype(np.float32).reshape(16, 16), (5, 5), 1.0)
        return np.asarray(smooth / smooth.sum(), np.float32)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A picture that is still to be judged, and the frames that show it."""

    frames: list[SampledFrame]
    known: _KnownFrame


class _Past:
    """The last frames of a scene, and the last of them in which there was light."""

    def __init__(self) -> None:
        self.last: deque[_KnownFrame] = deque(maxlen=NUM_AROUND)
        self.lit: deque[_KnownFrame] = deque(maxlen=NUM_AROUND)

    def add(self, frame: _KnownFrame) -> None:
        self.last.append(frame)
        if not frame.is_dark:
            self.lit.append(frame)


def _next(ahead: deque[_Ahead], past: _Past) -> Iterator[tuple[Any, str]]:
    frame, *repeats = ahead[0].frames
    kind = "break" if frame.after_break else ""
    after = [one.known for one in ahead]
    if past.last and (_is_cut(list(past.last), after) or _is_faded_in(past, after)):
        kind = "cut"
        past.last.clear()
        past.lit.clear()
    past.add(after[0])
    ahead.popleft()
    yield frame.item, kind
    for one in repeats:
        yield one.item, ""


def _is_faded_in(past: _Past, after: Sequence[_KnownFrame]) -> bool:
    """Return whether light comes back after black, and on another scene than the one it left."""
    if not past.lit or not past.last[-1].is_dark or after[0].is_dark:
        return False
    return _is_cut(list(past.lit), [other for other in after if not other.is_dark])


def _is_cut(before: Sequence[_KnownFrame], after: Sequence[_KnownFrame]) -> bool:
    """Return whether a cut lies between the last frame of `before` and the first of `after`."""
    one, other = before[-1], after[0]
    nearest = one.distance(other)
    if nearest < _MIN_CHANGE:
        return False
    usual = max(_usual_change(before), _usual_change(after))
    # All pairs together score no higher than the nearest one does, which moving pictures mostly
    # tell by: what it rules out needs no other pair.
    if not _differ(one, other, _score(nearest, usual, one.difference(other))):
        return False
    pairs = [(one, other) for one in reversed(before) for other in after]
    least = min(one.distance(other) for one, other in pairs)
    if least < _MIN_DISTANCE:
        return False
    score = _score(least, usual, min(one.difference(other) for one, other in pairs))
    return all(_differ(one, other, score) for one, other in pairs)


def _score(least: float, usual: float, colours: float) -> float:
    """Log odds of a cut, were nothing of one picture found in another; rises with all but usual."""
    features = np.log(least), np.log((least + 1) / (usual + 1)), 0.0, colours
    return float(np.dot(_WEIGHTS, features)) + _BIAS


def _differ(one: _KnownFrame, other: _KnownFrame, score: float) -> bool:
    """Whether two pictures match so little that a cut may lie between them."""
    # A match costs far more to compute than all the rest.
    return score > 0 and all(score + _WEIGHTS[2] * match > 0 for match in one.matches(other))


def _usual_change(frames: Sequence[_KnownFrame]) -> float:
    changes = [one.distance(other) for one, other in pairwise(frames)]
    return median(changes) if changes else 0.0


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
    """Return why a window shows nothing: "black" (or all of one colour), "still", or "" if it does.

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
