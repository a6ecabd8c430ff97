"""Screens in a picture: the four-sided areas that what somebody has filmed from a screen fills.

A screen that is filmed from beside is no rectangle, and no window of a picture shows it. But its
edges are in view: around what is shown lies a bezel, or a black bar, that is darker. Lines along
which a picture gets brighter inwards are found by a Hough transform for each side, and four of them
are a screen where edges run along most of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 4
"""Screens that are looked at in a picture, those with most edges along their sides first."""
MIN_SUPPORT = 0.5
"""Share of its sides along which a screen has an edge, at the least."""

_LONGER_SIDE = 480
_BLUR = 1.6
_CANNY = 4.0, 12.0
_LINES = 3
_STEEPEST = 0.5
_MIN_LENGTH, _MOST_PEAKS = 0.2, 60
_NEAR_PX, _MIN_PIXELS = 2.0, 10
# Two lines are one where both ends are nearer, as a share of the other side of the picture.
_APART = 0.015
_OUT_OF_VIEW, _MIN_SIDE = 0.06, 0.3
_ALONG = np.linspace(0.02, 0.98, 40)

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def flattened(luma: Pixels, side: int) -> list[NDArray[np.float32]]:
    """The screens in a picture, each as it would look from straight ahead.

    Args:
        luma: uint8 (H, W), brightness.
        side: of the squares that they are brought to, in pixels.

    Returns:
        At most `MOST` pictures, float32 (side, side), those that are surest first.
    """
    import cv2

    small = _reduced(luma)
    last = side - 0.5
    square = np.array([[-0.5, -0.5], [last, -0.5], [last, last], [-0.5, last]], np.float32)
    found = []
    for corners in corners_of(small):
        matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), square)
        seen = cv2.warpPerspective(small, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
        found.append(np.asarray(seen, np.float32))
    return found


def corners_of(small: Pixels) -> list[Floats]:
    """The corners of screens in a picture, (4, 2) each: x and y, clockwise from the upper left."""
    import cv2

    edges = _edges(small)
    top, bottom, left, right = (_lines(one) for one in edges)
    if not (top and bottom and left and right):
        return []
    rows, columns = np.array(top + bottom), np.array(left + right)
    chosen = np.stack(
        np.meshgrid(
            np.arange(len(top)),
            len(top) + np.arange(len(bottom)),
            np.arange(len(left)),
            len(left) + np.arange(len(right)),
            indexing="ij",
        ),
        axis=-1,
    ).reshape(-1, 4)
    corners = _corners(rows[chosen[:, :2]], columns[chosen[:, 2:]])
    height, width = small.shape
    corners = corners[_is_plausible(corners, width, height)]
    wide = [cv2.dilate(one, np.ones((3, 3), np.uint8)) > 0 for one in edges]
    wide[2:] = [one.T for one in wide[2:]]
    ends = ((0, 1), (3, 2), (0, 3), (1, 2))
    support = np.mean(
        [
            _support(one, corners[:, first], corners[:, last])
            for one, (first, last) in zip(wide, ends, strict=True)
        ],
        axis=0,
    )
    order = np.argsort(-support, kind="stable")
    return [corners[number] for number in order[:MOST] if support[number] >= MIN_SUPPORT]


def _reduced(luma: Pixels) -> Pixels:
    import cv2

    scale = _LONGER_SIDE / max(luma.shape)
    height, width = (max(1, round(side * scale)) for side in luma.shape)
    small = cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _edges(small: Pixels) -> list[Pixels]:
    """Where it gets brighter downwards, upwards, to the right and to the left: 0 or 255.

    The last two are transposed, so that sides of a screen run along rows in all of them.
    """
    import cv2

    blurred = cv2.GaussianBlur(small, (0, 0), _BLUR)
    across = cv2.Sobel(blurred, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(blurred, cv2.CV_32F, 0, 1)
    is_edge = cv2.Canny(blurred, *_CANNY) > 0
    is_row = is_edge & (np.abs(down) > 1.5 * np.abs(across))
    is_column = is_edge & (np.abs(across) > 1.5 * np.abs(down))
    found = (
        is_row & (down > 0),
        is_row & (down < 0),
        (is_column & (across > 0)).T,
        (is_column & (across < 0)).T,
    )
    return [np.ascontiguousarray(one).astype(np.uint8) * 255 for one in found]


def _lines(edges: Pixels) -> list[tuple[float, float]]:
    """The lines with most edges that run from left to right: y at x = 0, and the slope."""
    import cv2

    height, width = edges.shape
    steepest = float(np.arctan(_STEEPEST))
    peaks: Any = cv2.HoughLines(
        edges,
        1,
        np.pi / 360,
        round(_MIN_LENGTH * width),
        min_theta=np.pi / 2 - steepest,
        max_theta=np.pi / 2 + steepest,
    )
    found: list[tuple[float, float]] = []
    if peaks is None:
        return found
    y, x = np.nonzero(edges)

    def is_new(line: tuple[float, float]) -> bool:
        return all(_apart(line, other, width) > _APART * height for other in found)

    for rho, theta in np.reshape(peaks, (-1, 2))[:_MOST_PEAKS].astype(float):
        line = rho / np.sin(theta), -np.cos(theta) / np.sin(theta)
        # Most peaks are neighbours of one that is told already, and need no fit.
        if is_new(line) and is_new(line := _fitted(x, y, *line)):
            found.append(line)
            if len(found) == _LINES:
                break
    return found


def _fitted(
    x: NDArray[np.intp], y: NDArray[np.intp], start: float, slope: float
) -> tuple[float, float]:
    """A line moved to the middle of the edges about it."""
    for _ in range(2):
        is_near = np.abs(start + slope * x - y) <= _NEAR_PX
        if is_near.sum() < _MIN_PIXELS:
            break
        slope, start = np.polyfit(x[is_near], y[is_near], 1)
    return float(start), float(slope)


def _apart(one: Sequence[float], other: Sequence[float], width: int) -> float:
    off = one[0] - other[0]
    return max(abs(off), abs(off + (one[1] - other[1]) * width))


def _corners(rows: Floats, columns: Floats) -> Floats:
    """Where lines meet: (N, 2, 2) top and bottom, left and right, to (N, 4, 2)."""
    met = []
    for row, column in ((0, 0), (0, 1), (1, 1), (1, 0)):
        start, slope = rows[:, row].T
        across, lean = columns[:, column].T
        x = (across + lean * start) / (1 - slope * lean)
        met.append(np.stack([x, start + slope * x], axis=-1))
    return np.stack(met, axis=1)


def _is_plausible(corners: Floats, width: int, height: int) -> Bools:
    """Whether a screen is in view and large enough; of corners (N, 4, 2)."""
    size = np.array([width, height])
    is_in_view = (np.abs(corners - size / 2) <= size * (0.5 + _OUT_OF_VIEW)).all(axis=(1, 2))
    across = corners[:, [1, 2], 0] - corners[:, [0, 3], 0]
    down = corners[:, [3, 2], 1] - corners[:, [0, 1], 1]
    is_large = (across >= _MIN_SIDE * width) & (down >= _MIN_SIDE * height)
    return np.asarray(is_in_view & is_large.all(axis=1))


def _support(is_edge: Bools, first: Floats, last: Floats) -> Floats:
    """The share of the way from some corners to others along which there are edges: (N,)."""
    height, width = is_edge.shape
    on = first[:, None] + (last - first)[:, None] * _ALONG[:, None]
    x, y = np.moveaxis(on.round().astype(int), -1, 0)
    is_seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    found = is_edge[y.clip(0, height - 1), x.clip(0, width - 1)] & is_seen
    return np.asarray(found.mean(axis=1))
