"""Where a video shows an item of a bank: pairs of near hashes that agree on one offset of time.

Every hash of the video is compared with every hash of the item of its kind and with that of its
mirror image, so that nothing within the distance is missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.copies.fingerprint import HASH_BITS
from pipeline.copies.hamming import hash_distance

MAX_DISTANCE = 31
"""Most bits, of 256, in which two hashes of one picture differ: the industry's threshold of PDQ."""
MIN_FRAMES = 3
"""Frames that have to agree on an offset."""
MIN_FRAMES_AT_SPEED = 5
"""Frames that have to agree on an offset and on a speed that is not the item's own."""
TOLERANCE_MS = 1000
"""How far the offset of a frame may lie from the one that it agrees on."""
MAX_STRETCHES = 8
"""Most stretches of one item that are looked for in one video."""

_STEP_MS = 250
_AROUND = TOLERANCE_MS // _STEP_MS
_OWN_SPEED = np.ones(1)
# Half to twice as fast, those nearest to the item's own speed first.
_OTHER_SPEEDS = 1.05 ** np.array(sorted({*range(-14, 15)} - {0}, key=abs), np.float64)
# Another speed explains so many frames more.
_MORE_FRAMES, _MORE_SHARE = 2, 0.1
_MOST_OFF_SPEED = 0.3

Words = NDArray[np.uint64]
Times = NDArray[np.int64]
Floats = NDArray[np.float64]
Kinds = NDArray[np.uint8]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class VideoStretch:
    """A part of a video that shows a part of an item.

    Attributes:
        start_s, end_s: of the first and last frame of the video that agree.
        item_start_s, item_end_s: of what they show of the item.
        offset_s: what is added to a time of the video, times `speed`, to get that of the item: a
            median.
        mirrored: the video shows the mirror image of the item.
        median_distance: bits of 256 in which the hashes of a frame and its partner differ.
        num_frames: of the video that agree.
        num_between: hashed frames of the video from the first to the last that agree, these
            included.
        speed: how many seconds of the item a second of the video shows; 1 where no other speed
            explains more frames.
        num_in_part: frames that agree in a part of the picture alone, as those of a crop do.
    """

    start_s: float
    end_s: float
    item_start_s: float
    item_end_s: float
    offset_s: float
    mirrored: bool
    median_distance: float
    num_frames: int
    num_between: int
    speed: float = 1.0
    num_in_part: int = 0


@dataclass(frozen=True)
class _Query:
    """What is looked up: words (N, 4), their times, ascending, and what each is of."""

    words: Words
    times_ms: Times
    kinds: Kinds

    def where(self, counts: Bools) -> _Query:
        return _Query(self.words[counts], self.times_ms[counts], self.kinds[counts])


@dataclass(frozen=True)
class _Side:
    """The item, or its mirror image: words (M, 4), their times and what each is of."""

    words: Words
    times_ms: Times
    kinds: Kinds


@dataclass(frozen=True)
class _Line:
    """A time of an item is `speed` times that of the video, and an offset."""

    num_votes: int
    offset_ms: int
    speed: float


def stretches(
    times_ms: NDArray[np.uint32],
    hashes: NDArray[np.uint8],
    records: NDArray[Any],
    kinds: Kinds | None = None,
    is_window: Bools | None = None,
) -> list[VideoStretch]:
    """The stretches of a video that show an item, those of most frames first.

    A frame belongs to one stretch at most, and agrees where any of its hashes does. One of more
    than a thousand windows of a frame is near what it does not show too often to count where fewer
    than `MIN_FRAMES` can agree, as those of a still (docs/copies.md).

    Args:
        times_ms: uint32 (N,), of the hashed frames of the video, ascending; equal where a frame has
            several hashes.
        hashes: uint8 (N, 32), PDQ of these frames, or of parts of them.
        records: `banks.RECORD` (M,), the item.
        kinds: uint8 (N,), which kind of records each is compared with; without them, whole
            pictures.
        is_window: bool (N,), of which frames a part alone was hashed; without them, of none.
    """
    if not len(times_ms) or not len(records):
        return []
    of = np.zeros(len(times_ms), np.uint8) if kinds is None else kinds
    query = _Query(
        np.ascontiguousarray(hashes).view("<u8"), times_ms.astype(np.int64), np.asarray(of)
    )
    item_ms, item_kinds = records["time_ms"].astype(np.int64), np.asarray(records["kind"])
    # Where they lie on the disk, these are views of them.
    sides = [
        _Side(np.asarray(records[name]).view("<u8"), item_ms, item_kinds)
        for name in ("pdq", "mirror")
    ]
    if not any(_any_near(*_arrays(query), *_arrays(side), MAX_DISTANCE) for side in sides):
        return []
    # An item, or a video, too short for so many frames has to agree in all of them.
    num_frames, num_seconds = len(np.unique(query.times_ms)), len(np.unique(item_ms // 1000))
    num_needed = min(MIN_FRAMES, num_frames, num_seconds)
    if num_needed < MIN_FRAMES and is_window is not None:
        query = query.where(~is_window)
        if not len(query.words):
            return []
    is_free = np.ones(len(query.words), bool)
    found: list[VideoStretch] = []
    while len(found) < MAX_STRETCHES:
        lines = [_best_line(query, is_free, side) for side in sides]
        is_mirrored = lines[1].num_votes > lines[0].num_votes
        line, side = lines[is_mirrored], sides[is_mirrored]
        if line.num_votes < num_needed:
            break
        line, agree, partner, distance = _agreeing(query, is_free, side, line)
        is_free &= ~np.isin(query.times_ms, query.times_ms[agree])
        found.append(
            _stretch(query, side, line, agree, partner[agree], distance[agree], is_mirrored)
        )
    return found


def _arrays(one: _Query | _Side) -> tuple[Words, Kinds]:
    return one.words, one.kinds


def _agreeing(
    query: _Query, is_free: Bools, side: _Side, line: _Line
) -> tuple[_Line, NDArray[np.intp], Times, Times]:
    """What agrees on a line, which is moved to fit that as long as more agrees then."""
    both = query.words, query.times_ms, query.kinds, is_free, side.words, side.times_ms, side.kinds

    def on(one: _Line) -> tuple[NDArray[np.intp], Times, Times]:
        partner, distance = _partners(*both, one.offset_ms, one.speed, MAX_DISTANCE)
        return _one_a_frame(query.times_ms, partner, distance), partner, distance

    found = on(line)
    while line.speed != 1:
        agree, partner, _ = found
        speed, offset_ms = np.polyfit(query.times_ms[agree], side.times_ms[partner[agree]], 1)
        if abs(speed / line.speed - 1) > _MOST_OFF_SPEED:
            break
        fitted = _Line(line.num_votes, round(offset_ms), float(speed))
        better = on(fitted)
        if len(better[0]) < len(agree):
            break
        grew = len(better[0]) > len(agree)
        line, found = fitted, better
        if not grew:
            break
    return line, *found


def _one_a_frame(query_ms: Times, partner: Times, distance: Times) -> NDArray[np.intp]:
    """Of each frame that has a partner, the hash that is nearest to it, in order of time."""
    agree = np.flatnonzero(partner >= 0)
    nearest_first = agree[np.lexsort((distance[agree], query_ms[agree]))]
    _, first = np.unique(query_ms[nearest_first], return_index=True)
    return nearest_first[first]


def _stretch(
    query: _Query,
    side: _Side,
    line: _Line,
    agree: NDArray[np.intp],
    partner: Times,
    distance: Times,
    is_mirrored: bool,
) -> VideoStretch:
    query_ms = query.times_ms
    shown = side.times_ms[partner]
    return VideoStretch(
        start_s=float(query_ms[agree[0]]) / 1000,
        end_s=float(query_ms[agree[-1]]) / 1000,
        item_start_s=float(shown.min()) / 1000,
        item_end_s=float(shown.max()) / 1000,
        offset_s=round(float(np.median(shown - line.speed * query_ms[agree])) / 1000, 3),
        mirrored=is_mirrored,
        median_distance=float(np.median(distance)),
        num_frames=len(agree),
        num_between=len(np.unique(query_ms[agree[0] : agree[-1] + 1])),
        speed=round(line.speed, 3),
        num_in_part=int((side.kinds[partner] != 0).sum()),
    )


def _best_line(query: _Query, is_free: Bools, side: _Side) -> _Line:
    """The offset, and the speed, that most frames agree on; another speed has to explain more."""
    own, num_near = _most_votes(query, is_free, side, _OWN_SPEED)
    num_needed = max(
        MIN_FRAMES_AT_SPEED,
        own.num_votes + _MORE_FRAMES,
        round(own.num_votes * (1 + _MORE_SHARE)),
    )
    if num_near < num_needed:
        return own
    other, _ = _most_votes(query, is_free, side, _OTHER_SPEEDS)
    return other if other.num_votes >= num_needed else own


def _most_votes(query: _Query, is_free: Bools, side: _Side, speeds: Floats) -> tuple[_Line, int]:
    """The line that most frames agree on, and how many frames are near any picture of the item."""
    first, last = speeds * query.times_ms[0], speeds * query.times_ms[-1]
    lowest_ms = np.floor(side.times_ms.min() - last).astype(np.int64) - TOLERANCE_MS
    highest_ms = np.ceil(side.times_ms.max() - first).astype(np.int64) + TOLERANCE_MS
    num_steps = int((highest_ms - lowest_ms).max()) // _STEP_MS + 1
    both = query.words, query.times_ms, query.kinds, is_free, side.words, side.times_ms, side.kinds
    votes, num_near = _votes(*both, lowest_ms, num_steps, speeds, MAX_DISTANCE)
    # The first of several is nearest to the item's own speed.
    at = int(votes.max(axis=1).argmax())
    most = int(votes[at].max())
    # Around an offset that all agree on lie others within the tolerance: the middle one is it.
    start = int(votes[at].argmax())
    ends = np.flatnonzero(votes[at, start:] != most)
    length = int(ends[0]) if len(ends) else num_steps - start
    offset_ms = int(lowest_ms[at]) + (start + (length - 1) // 2) * _STEP_MS
    return _Line(most, offset_ms, float(speeds[at])), num_near


@njit(cache=True, nogil=True)
def _any_near(
    query: Words, kinds: Kinds, item: Words, item_kinds: Kinds, max_distance: int
) -> bool:
    """Whether any hash of a video is near one of an item."""
    for i in range(len(query)):
        for j in range(len(item)):
            if kinds[i] == item_kinds[j] and hash_distance(query[i], item[j]) <= max_distance:
                return True
    return False


@njit(cache=True, nogil=True)
def _votes(
    query: Words,
    query_ms: Times,
    kinds: Kinds,
    is_free: Bools,
    item: Words,
    item_ms: Times,
    item_kinds: Kinds,
    lowest_ms: Times,
    num_steps: int,
    speeds: Floats,
    max_distance: int,
) -> tuple[NDArray[np.int32], int]:
    """The number of frames that agree on each offset from `lowest_ms` on, within the tolerance.

    Returns:
        int32 (S, num_steps), a row a speed; and the number of frames near any picture of the item.
    """
    votes = np.zeros((len(speeds), num_steps), np.int32)
    last_ms = np.full((len(speeds), num_steps), -1, np.int64)
    num_near, last_near_ms = 0, np.int64(-1)
    for i in range(len(query)):
        if not is_free[i]:
            continue
        for j in range(len(item)):
            if kinds[i] != item_kinds[j] or hash_distance(query[i], item[j]) > max_distance:
                continue
            if last_near_ms != query_ms[i]:
                last_near_ms = query_ms[i]
                num_near += 1
            for at in range(len(speeds)):
                off_ms = item_ms[j] - speeds[at] * query_ms[i] - lowest_ms[at]
                middle = int(np.floor(off_ms / _STEP_MS + 0.5))
                first, end = max(0, middle - _AROUND), min(num_steps, middle + _AROUND + 1)
                for step in range(first, end):
                    if last_ms[at, step] != query_ms[i]:
                        last_ms[at, step] = query_ms[i]
                        votes[at, step] += 1
    return votes, num_near


@njit(cache=True, nogil=True)
def _partners(
    query: Words,
    query_ms: Times,
    kinds: Kinds,
    is_free: Bools,
    item: Words,
    item_ms: Times,
    item_kinds: Kinds,
    offset_ms: int,
    speed: float,
    max_distance: int,
) -> tuple[Times, Times]:
    """For each frame the nearest hash of the item at about that line, or -1, and its distance."""
    partner = np.full(len(query), -1, np.int64)
    distance = np.full(len(query), HASH_BITS + 1, np.int64)
    for i in range(len(query)):
        if not is_free[i]:
            continue
        least_off = 0.0
        for j in range(len(item)):
            off = abs(item_ms[j] - speed * query_ms[i] - offset_ms)
            if off > TOLERANCE_MS + _STEP_MS // 2 or kinds[i] != item_kinds[j]:
                continue
            found = hash_distance(query[i], item[j])
            if found > max_distance or found > distance[i]:
                continue
            if found < distance[i] or off < least_off:
                partner[i], distance[i], least_off = j, found, off
    return partner, distance
