"""Where a video shows an item of a bank: pairs of near hashes that agree on one offset of time.

Every hash of the video is compared with every hash of the item and with that of its mirror image,
so that nothing within the distance is missed.
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
TOLERANCE_MS = 1000
"""How far the offset of a frame may lie from the one that it agrees on."""
MAX_STRETCHES = 8
"""Most stretches of one item that are looked for in one video."""

_STEP_MS = 250
_AROUND = TOLERANCE_MS // _STEP_MS

Words = NDArray[np.uint64]
Times = NDArray[np.int64]


@dataclass(frozen=True)
class Stretch:
    """A part of a video that shows a part of an item.

    Attributes:
        start_s, end_s: of the first and last frame of the video that agree.
        item_start_s, item_end_s: of what they show of the item.
        offset_s: what is added to a time of the video to get that of the item: a median.
        mirrored: the video shows the mirror image of the item.
        median_distance: bits of 256 in which the hashes of a frame and its partner differ.
        num_frames: of the video that agree.
        num_between: hashed frames of the video from the first to the last that agree, these
            included.
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


def stretches(
    times_ms: NDArray[np.uint32], hashes: NDArray[np.uint8], records: NDArray[Any]
) -> list[Stretch]:
    """The stretches of a video that show an item, those of most frames first.

    A frame belongs to one stretch at most, and agrees where any of its hashes does.

    Args:
        times_ms: uint32 (N,), of the hashed frames of the video, ascending; equal where a frame has
            several hashes.
        hashes: uint8 (N, 32), PDQ of these frames.
        records: `banks.RECORD` (M,), the item.
    """
    if not len(times_ms) or not len(records):
        return []
    # Where they lie on the disk, these are views of them.
    sides = [np.asarray(records[name]).view("<u8") for name in ("pdq", "mirror")]
    query = np.ascontiguousarray(hashes).view("<u8")
    if not _any_near(query, sides[0], sides[1], MAX_DISTANCE):
        return []
    # An item, or a video, too short for so many frames has to agree in all of them.
    item_ms = records["time_ms"].astype(np.int64)
    query_ms = times_ms.astype(np.int64)
    num_needed = min(MIN_FRAMES, len(np.unique(query_ms)), len(np.unique(item_ms // 1000)))
    is_free = np.ones(len(query), bool)
    found: list[Stretch] = []
    while len(found) < MAX_STRETCHES:
        votes = [_most_votes(query, query_ms, is_free, side, item_ms) for side in sides]
        is_mirrored = votes[1][0] > votes[0][0]
        num_votes, offset_ms = votes[is_mirrored]
        if num_votes < num_needed:
            break
        partner, distance = _partners(
            query, query_ms, is_free, sides[is_mirrored], item_ms, offset_ms, MAX_DISTANCE
        )
        agree = _one_a_frame(query_ms, partner, distance)
        is_free &= ~np.isin(query_ms, query_ms[agree])
        found.append(
            _stretch(query_ms, item_ms, agree, partner[agree], distance[agree], is_mirrored)
        )
    return found


def _one_a_frame(query_ms: Times, partner: Times, distance: Times) -> NDArray[np.intp]:
    """Of each frame that has a partner, the hash that is nearest to it, in order of time."""
    agree = np.flatnonzero(partner >= 0)
    nearest_first = agree[np.lexsort((distance[agree], query_ms[agree]))]
    _, first = np.unique(query_ms[nearest_first], return_index=True)
    return nearest_first[first]


def _stretch(
    query_ms: Times,
    item_ms: Times,
    agree: NDArray[np.intp],
    partner: Times,
    distance: Times,
    is_mirrored: bool,
) -> Stretch:
    shown = item_ms[partner]
    return Stretch(
        start_s=float(query_ms[agree[0]]) / 1000,
        end_s=float(query_ms[agree[-1]]) / 1000,
        item_start_s=float(shown.min()) / 1000,
        item_end_s=float(shown.max()) / 1000,
        offset_s=float(np.median(shown - query_ms[agree])) / 1000,
        mirrored=is_mirrored,
        median_distance=float(np.median(distance)),
        num_frames=len(agree),
        num_between=len(np.unique(query_ms[agree[0] : agree[-1] + 1])),
    )


def _most_votes(
    query: Words, query_ms: Times, is_free: NDArray[np.bool_], side: Words, item_ms: Times
) -> tuple[int, int]:
    """How many frames agree on the offset that most agree on, and that offset in milliseconds."""
    lowest_ms = int(item_ms[0] - query_ms[-1]) - TOLERANCE_MS
    num_steps = (int(item_ms[-1] - query_ms[0]) + TOLERANCE_MS - lowest_ms) // _STEP_MS + 1
    votes = _votes(query, query_ms, is_free, side, item_ms, lowest_ms, num_steps, MAX_DISTANCE)
    most = int(votes.max())
    # Around an offset that all agree on lie others within the tolerance: the middle one is it.
    first = int(votes.argmax())
    ends = np.flatnonzero(votes[first:] != most)
    length = int(ends[0]) if len(ends) else num_steps - first
    return most, lowest_ms + (first + (length - 1) // 2) * _STEP_MS


@njit(cache=True, nogil=True)
def _any_near(query: Words, straight: Words, mirror: Words, max_distance: int) -> bool:
    """Whether any hash of a video is near one of an item, or near its mirror image."""
    for i in range(len(query)):
        for j in range(len(straight)):
            if hash_distance(query[i], straight[j]) <= max_distance:
                return True
            if hash_distance(query[i], mirror[j]) <= max_distance:
                return True
    return False


@njit(cache=True, nogil=True)
def _votes(
    query: Words,
    query_ms: Times,
    is_free: NDArray[np.bool_],
    item: Words,
    item_ms: Times,
    lowest_ms: int,
    num_steps: int,
    max_distance: int,
) -> Times:
    """The number of frames that agree on each offset from `lowest_ms` on, within the tolerance."""
    votes = np.zeros(num_steps, np.int64)
    last_ms = np.full(num_steps, -1, np.int64)
    for i in range(len(query)):
        if not is_free[i]:
            continue
        for j in range(len(item)):
            if hash_distance(query[i], item[j]) > max_distance:
                continue
            middle = (item_ms[j] - query_ms[i] - lowest_ms + _STEP_MS // 2) // _STEP_MS
            for step in range(max(0, middle - _AROUND), min(num_steps, middle + _AROUND + 1)):
                if last_ms[step] != query_ms[i]:
                    last_ms[step] = query_ms[i]
                    votes[step] += 1
    return votes


@njit(cache=True, nogil=True)
def _partners(
    query: Words,
    query_ms: Times,
    is_free: NDArray[np.bool_],
    item: Words,
    item_ms: Times,
    offset_ms: int,
    max_distance: int,
) -> tuple[Times, Times]:
    """For each frame the nearest hash of the item at about that offset, or -1, and its distance."""
    partner = np.full(len(query), -1, np.int64)
    distance = np.full(len(query), HASH_BITS + 1, np.int64)
    for i in range(len(query)):
        if not is_free[i]:
            continue
        least_off = 0
        for j in range(len(item)):
            off = abs(item_ms[j] - query_ms[i] - offset_ms)
            if off > TOLERANCE_MS + _STEP_MS // 2:
                continue
            found = hash_distance(query[i], item[j])
            if found > max_distance or found > distance[i]:
                continue
            if found < distance[i] or off < least_off:
                partner[i], distance[i], least_off = j, found, off
    return partner, distance
