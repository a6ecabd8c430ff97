"""Where the sound of a video is that of an item of a bank: runs of near items of Chromaprint.

Every item of the sound of the video is compared with every item of the other, in each alignment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.copies.chromaprint import ITEM_S, SPAN_S
from pipeline.copies.hamming import num_ones

WINDOW = 48
"""Items that have to agree one after the other. They begin in six seconds, and are of 8.5 s of
sound, as each is of the next 2.7 s."""
MAX_BITS = 4.5
"""Most bits, of 32, in which the items of a window differ on average."""
MIN_DISTINCT = 16
"""Different items that a window needs on both sides: hums and tones, which hold fewer, are alike
wherever they come from."""
NARROW_WINDOW, NARROW_MIN_DISTINCT = 64, 21
"""The same of a narrow band, where music is more often alike: 10.5 s of sound."""
MAX_STRETCHES = 8
"""Most stretches of one item that are looked for in one video."""
SAME_OFFSET_S = 0.5
"""Stretches at the same seconds of a video whose offsets are nearer are one."""

Words = NDArray[np.uint64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class SoundStretch:
    """A part of the sound of a video that is a part of the sound of an item.

    Attributes:
        start_s, end_s: of the part of the video.
        item_start_s, item_end_s: of the part of the item.
        offset_s: what is added to a time of the video to get that of the item.
        mean_distance: bits of 32 in which their items differ on average.
        num_items: pairs of items that agree.
        num_between: all pairs from the first of them to the last.
        narrow: they are of a narrow band, `chromaprint.NARROW_HZ`.
    """

    start_s: float
    end_s: float
    item_start_s: float
    item_end_s: float
    offset_s: float
    mean_distance: float
    num_items: int
    num_between: int
    narrow: bool = False

    def is_that_of(self, other: SoundStretch) -> bool:
        """Whether one of all sound and one of a narrow band say the same of some seconds."""
        overlap = self.start_s < other.end_s and other.start_s < self.end_s
        same = overlap and abs(self.offset_s - other.offset_s) <= SAME_OFFSET_S
        return same and self.narrow != other.narrow


def of_both(
    video: tuple[NDArray[Any], NDArray[Any]], item: tuple[NDArray[Any], NDArray[Any]]
) -> list[SoundStretch]:
    """The stretches of a video whose sound is that of an item, all of it or a narrow band.

    Where one of each says the same, that with more items is told, and of equals that of all sound.

    Args:
        video: its moments, and those of the narrow band, `records.SOUND_RECORD` (N,) and (K,).
        item: the same of the item of the bank.

    Returns:
        At most `MAX_STRETCHES`, those of most items first.
    """
    found = [
        one
        for shown, known, narrow in zip(video, item, (False, True), strict=True)
        for one in stretches(
            shown["time_ms"], np.ascontiguousarray(shown["print"]), known, narrow=narrow
        )
    ]
    told: list[SoundStretch] = []
    for one in _sorted(found):
        if not any(one.is_that_of(other) for other in told):
            told.append(one)
    return told[:MAX_STRETCHES]


def _sorted(found: list[SoundStretch]) -> list[SoundStretch]:
    return sorted(found, key=lambda one: (-one.num_items, one.narrow, one.start_s))


def stretches(
    times_ms: NDArray[np.uint32],
    items: NDArray[np.uint32],
    records: NDArray[Any],
    *,
    narrow: bool = False,
) -> list[SoundStretch]:
    """The stretches of a video whose sound is that of an item of a bank, the longest first.

    A moment belongs to one stretch at most.

    Args:
        times_ms: uint32 (N,), when each item of the video begins, ascending.
        items: uint32 (N,), of Chromaprint.
        records: `banks.SOUND_RECORD` (M,), those of the item of the bank.
        narrow: both are of a narrow band.
    """
    if not len(items) or not len(records):
        return []
    window, min_distinct = rule(narrow=narrow)
    query, is_there = _on_a_grid(times_ms, items)
    free = _windows(query, is_there, window, min_distinct)
    known, is_there = _on_a_grid(records["time_ms"], records["print"])
    windows = _windows(known, is_there, window, min_distinct)
    shift_s = (int(records["time_ms"][0]) - int(times_ms[0])) / 1000
    found: list[SoundStretch] = []
    while len(found) < MAX_STRETCHES:
        num_windows, offset = _best(query, free, known, windows, window)
        if not num_windows:
            break
        agree, distance = _agreeing(query, free, known, windows, offset, window)
        first, last = _ends(agree, distance)
        free[max(0, first - window + 1) : last + 1] = False
        agree, distance = agree[first : last + 1], distance[first : last + 1]
        start_s = int(times_ms[0]) / 1000 + first * ITEM_S
        length_s = (last - first) * ITEM_S + SPAN_S
        offset_s = shift_s + offset * ITEM_S
        found.append(
            SoundStretch(
                start_s=round(start_s, 3),
                end_s=round(start_s + length_s, 3),
                item_start_s=round(start_s + offset_s, 3),
                item_end_s=round(start_s + length_s + offset_s, 3),
                offset_s=round(offset_s, 3),
                mean_distance=round(float(distance[agree].mean()), 2),
                num_items=int(agree.sum()),
                num_between=last + 1 - first,
                narrow=narrow,
            )
        )
    return _sorted(found)


def rule(*, narrow: bool) -> tuple[int, int]:
    """The items of a window of all sound, or of a narrow band, and how many have to differ."""
    return (NARROW_WINDOW, NARROW_MIN_DISTINCT) if narrow else (WINDOW, MIN_DISTINCT)


def can_match(records: NDArray[Any], *, narrow: bool = False) -> bool:
    """Whether the sound of an item, `banks.SOUND_RECORD` (M,), is long and varied enough."""
    if not len(records):
        return False
    grid = _on_a_grid(records["time_ms"], records["print"])
    return bool(_windows(*grid, *rule(narrow=narrow)).any())


def _on_a_grid(times_ms: NDArray[np.uint32], items: NDArray[np.uint32]) -> tuple[Words, Bools]:
    """Items by their place, one every `ITEM_S` from the first on, and which are there.

    Items are left out where there is silence, so that they do not follow each other without gaps.
    """
    places = np.rint((times_ms.astype(np.int64) - int(times_ms[0])) / (1000 * ITEM_S)).astype(int)
    values = np.zeros(places[-1] + 1, np.uint64)
    is_there = np.zeros(len(values), bool)
    values[places], is_there[places] = items, True
    return values, is_there


def _ends(agree: Bools, distance: Words) -> tuple[int, int]:
    """The first and the last place of a part that agrees.

    A window reaches beyond the place where the sound becomes another one, so the part is that whose
    distances are the furthest below `2 * MAX_BITS`, summed up.
    """
    gains = np.where(agree, 2 * MAX_BITS - distance.astype(np.float64), 0.0)
    sums = np.concatenate([[0.0], np.cumsum(gains)])
    lowest = np.minimum.accumulate(sums[:-1])
    last = int(np.argmax(sums[1:] - lowest))
    return last - int(np.argmin(sums[last::-1])), last


@njit(cache=True, nogil=True)
def _windows(values: Words, is_there: Bools, window: int, min_distinct: int) -> Bools:
    """At which places a window begins that is whole and holds enough different items."""
    found = np.zeros(len(values), np.bool_)
    for start in range(len(values) - window + 1):
        if is_there[start : start + window].all():
            part = np.sort(values[start : start + window])
            found[start] = 1 + np.count_nonzero(part[1:] != part[:-1]) >= min_distinct
    return found


@njit(cache=True, nogil=True)
def _best(query: Words, free: Bools, known: Words, windows: Bools, window: int) -> tuple[int, int]:
    """How many windows agree in the alignment in which most do, and that alignment.

    It is what is added to a place of the video to get that of the item. Of alignments in which as
    many agree, as in music that repeats itself, it is the one in which they differ least.

    Args:
        query, known: items of the video and of the item.
        free, windows: at which places of each a window begins that counts.
        window: its items.
    """
    most_bits = int(MAX_BITS * window)
    most, best, least = 0, 0, np.uint64(0)
    for offset in range(window - len(query), len(known) - window + 1):
        first, end = max(0, -offset), min(len(query), len(known) - offset)
        if not _may_agree(query, known, offset, first, end, window):
            continue
        bits, num_windows, differing = np.uint64(0), 0, np.uint64(0)
        for i in range(first, end):
            bits += num_ones(query[i] ^ known[i + offset])
            start = i - window + 1
            if start < first:
                continue
            if bits <= most_bits and free[start] and windows[start + offset]:
                num_windows += 1
                differing += bits
            bits -= num_ones(query[start] ^ known[start + offset])
        if num_windows > most or (num_windows == most and differing < least):
            most, best, least = num_windows, offset, differing
    return most, best


@njit(cache=True, nogil=True)
def _may_agree(query: Words, known: Words, offset: int, first: int, end: int, window: int) -> bool:
    """Whether a window from `first` to `end` could agree, told from one part after the other.

    Parts lie so close that each window holds a whole one, which differs in no more bits than it.
    """
    # Long enough that parts of unrelated sound seldom differ as little as a whole window may.
    part, most_bits = window // 2, int(MAX_BITS * window)
    for start in range(first, end - part + 1, window - part + 1):
        bits = np.uint64(0)
        for i in range(start, start + part):
            bits += num_ones(query[i] ^ known[i + offset])
        if bits <= most_bits:
            return True
    return False


@njit(cache=True, nogil=True)
def _agreeing(
    query: Words, free: Bools, known: Words, windows: Bools, offset: int, window: int
) -> tuple[Bools, Words]:
    """Which places of the video are in a window that agrees, and in how many bits each differs."""
    agree = np.zeros(len(query), np.bool_)
    distance = np.zeros(len(query), np.uint64)
    first, end = max(0, -offset), min(len(query), len(known) - offset)
    for i in range(first, end):
        distance[i] = num_ones(query[i] ^ known[i + offset])
    for start in range(first, end - window + 1):
        counts = free[start] and windows[start + offset]
        if counts and distance[start : start + window].sum() <= int(MAX_BITS * window):
            agree[start : start + window] = True
    return agree, distance
