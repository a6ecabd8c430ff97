"""Which items of a bank may be in what is looked up, by its index and one look at all of its sound.

Nothing that `matching` or `sound_matching` would find in it is left out; they say where it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.copies import matching, sound_matching
from pipeline.copies.banks import Bank
from pipeline.copies.hamming import num_ones
from pipeline.copies.hash_index import Index
from pipeline.copies.matching import VideoStretch

Owners = NDArray[np.uint32]


def shown_items(
    index: Index,
    times_ms: NDArray[np.uint32],
    hashes: NDArray[np.uint8],
    kinds: NDArray[np.uint8],
    is_window: NDArray[np.bool_],
) -> dict[int, list[VideoStretch]]:
    """Where a video shows items of a bank, by their number: those that it shows, ascending.

    Args:
        index: of the bank.
        times_ms: uint32 (N,), when a picture is on the screen; in any order.
        hashes: uint8 (N, 32), of it or of parts of it.
        kinds: uint8 (N,), which kind of records each is compared with.
        is_window: bool (N,), of which a part alone was hashed.
    """
    order = np.argsort(times_ms, kind="stable")
    times_ms, hashes = times_ms[order], hashes[order]
    kinds, is_window = kinds[order], is_window[order]
    numbers, is_near = index.near(hashes)
    # What is near nothing is of no use, but that there was such a picture is.
    is_near[np.unique(times_ms, return_index=True)[1]] = True
    query = times_ms[is_near], hashes[is_near]
    found = {
        number: matching.stretches(
            *query,
            index.bank.all_hashes_of(index.bank.items[number]),
            kinds[is_near],
            is_window[is_near],
        )
        for number in numbers
    }
    return {number: stretches for number, stretches in found.items() if stretches}


def by_sound(
    items: NDArray[np.uint32], num_new: int, bank: Bank, *, narrow: bool = False
) -> list[int]:
    """Numbers of the items with sound near the end of some, uint32 (N,), ascending.

    Args:
        items: of Chromaprint, one after the other.
        num_new: how many of them are new; what agrees ends with one of these.
        bank: to look in.
        narrow: the items are of a narrow band, and are compared with such ones.
    """
    records = bank.sounds
    if not len(records):
        return []
    found = np.zeros(_num_numbers(records), np.bool_)
    owners, prints = np.asarray(records["item"]), np.asarray(records["print"])
    part, is_asked = sound_part(narrow=narrow), bank.is_narrow == narrow
    most_bits = int(sound_matching.MAX_BITS * part)
    _near_sounds(items, num_new, prints, owners, is_asked, found, part, most_bits)
    return _present(found, bank)


def sound_part(*, narrow: bool) -> int:
    """The items of half a window of sound: a window that agrees has a half that agrees as well."""
    return sound_matching.rule(narrow=narrow)[0] // 2


def _num_numbers(records: NDArray[Any]) -> int:
    return int(records["item"].max()) + 1


def _present(found: NDArray[np.bool_], bank: Bank) -> list[int]:
    return [number for number in np.flatnonzero(found).tolist() if number in bank.items]


@njit(cache=True, nogil=True)
def _near_sounds(
    items: NDArray[np.uint32],
    num_new: int,
    prints: NDArray[np.uint32],
    owners: Owners,
    is_asked: NDArray[np.bool_],
    found: NDArray[np.bool_],
    part: int,
    most_bits: int,
) -> None:
    for start in range(max(0, len(items) - num_new - part + 1), len(items) - part + 1):
        for j in range(len(prints) - part + 1):
            last = j + part - 1
            if found[owners[j]] or owners[j] != owners[last]:
                continue
            if not (is_asked[j] and is_asked[last]):
                continue
            bits = 0
            for k in range(part):
                bits += num_ones(np.uint64(items[start + k] ^ prints[j + k]))
                if bits > most_bits:
                    break
            if bits <= most_bits:
                found[owners[j]] = True
