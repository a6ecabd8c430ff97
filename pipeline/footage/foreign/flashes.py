"""A flash that lasts for one frame of the source and falls between two times of the grid.

Of a source of 60 frames a second the grid shows every fourth one, and so one muzzle flash in four.
A frame that is passed over is shown nevertheless where a part of it is bright that is bright
neither in the frame on the screen before nor in the one after. That part moves with nothing: a lamp
that the camera turns past is bright in all three, elsewhere, and is found by its area. So frames
are exchanged at flashes alone, each flash is shown as often as a source of the grid's own rate
shows it, and footage without flashes stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.footage.foreign.picture import ScreenFrame, reduced, shape

Cells = NDArray[np.uint8]

_HEIGHT, _WIDTH = 36, 64
# By how many levels a cell of a flash is brighter than all around it before and after.
_MIN_RISE = 24
# Cells that a flash fills at least: about 0.2 % of the picture.
_MIN_CELLS = 4
# How many of the cells that are as bright as the flash must be more than before and after.
_MIN_NEW_SHARE = 0.5
# What the camera's own motion may move between two frames, in cells to each side.
_AROUND = np.ones((5, 5), np.uint8)


def keep(frames: Iterable[tuple[ScreenFrame, bool]]) -> Iterator[ScreenFrame]:
    """Yield one picture an index: what is on the screen at its time, or a flash soon after.

    Two pictures and the brightness of three are held.

    Args:
        frames: every frame in order of time; whether it is on the screen at the time of its index,
            or is passed over between that time and the next.
    """
    keeper = Keeper()
    waiting: ScreenFrame | None = None
    last: ScreenFrame | None = None
    try:
        for picture, is_on_screen in frames:
            if picture.after_break and waiting is not None:
                yield _chosen(keeper, waiting, last)
                waiting = None
            if is_on_screen:
                if waiting is not None:
                    yield _chosen(keeper, waiting, picture)
                waiting = picture
                keeper.show(picture)
            elif waiting is not None:
                keeper.skip(picture)
            last = picture
    except Exception:
        # What was shown until then was shown.
        if waiting is not None:
            yield waiting
        raise
    if waiting is not None:
        yield _chosen(keeper, waiting, last)


def _chosen(keeper: Keeper, waiting: ScreenFrame, after: ScreenFrame | None) -> ScreenFrame:
    found = None if after is None else keeper.lost(after)
    if found is None:
        return waiting
    frame, reduction = reduced(found.frame)
    if shape(frame) != shape(waiting.frame):
        return waiting
    return replace(waiting, frame=frame, reduction=reduction, number=found.number)


class Keeper:
    """Holds, of the frames between two times of the grid, the one whose loss would lose a flash."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self._shown: ScreenFrame | None = None
        self._before: Cells | None = None
        self._around: Cells | None = None
        self._found: tuple[int, ScreenFrame, Cells] | None = None

    def show(self, picture: ScreenFrame) -> None:
        """Begin anew with a picture on the screen at a time of the grid."""
        self._shown, self._before, self._found = picture, None, None

    def skip(self, picture: ScreenFrame) -> None:
        """Pass over a picture that is on the screen at no time of the grid."""
        assert self._shown is not None
        if picture.damaged:
            return
        if self._before is None or self._around is None:
            self._before = self._cells(self._shown)
            self._around = _dilated(self._before)
        cells = self._cells(picture)
        rise = _rise(cells, self._around)
        if np.count_nonzero(rise > _MIN_RISE) < _MIN_CELLS:
            return
        risen = int(rise.sum(dtype=np.int64))
        if self._found is None or risen > self._found[0]:
            self._found = risen, picture, cells

    def lost(self, after: ScreenFrame) -> ScreenFrame | None:
        """The picture passed over whose flash neither the one shown nor the one after shows."""
        if self._found is None or self._before is None:
            return None
        _, picture, cells = self._found
        cells_after = self._cells(after)
        around = _dilated(np.maximum(self._before, cells_after))
        risen = cells[_rise(cells, around) > _MIN_RISE]
        if len(risen) < _MIN_CELLS:
            return None
        level = np.median(risen)
        others = max(np.count_nonzero(one >= level) for one in (self._before, cells_after))
        num_new = np.count_nonzero(cells >= level) - others
        return picture if num_new >= _MIN_NEW_SHARE * np.count_nonzero(risen >= level) else None

    def _cells(self, picture: ScreenFrame) -> Cells:
        """Mean luma of the cells of a grid over the picture, uint8 (36, 64)."""
        small = self._reformatter.reformat(
            picture.frame,
            width=_WIDTH,
            height=_HEIGHT,
            format="gray",
            interpolation="AREA",
            threads=1,
        )
        return np.asarray(small.to_ndarray())


def _dilated(cells: Cells) -> Cells:
    import cv2

    return np.asarray(cv2.dilate(cells, _AROUND), np.uint8)


def _rise(cells: Cells, around: Cells) -> Cells:
    """By how much cells are brighter than others, 0 where they are not."""
    import cv2

    return np.asarray(cv2.subtract(cells, around), np.uint8)
