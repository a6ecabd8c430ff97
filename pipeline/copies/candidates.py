"""Which items of a bank may be in what has just been shown, by one look at all of its records.

Nothing that `matching` or `sound_matching` would find in it is left out; they say where it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.copies import sound_matching
from pipeline.copies.banks import Bank
from pipeline.copies.hamming import hash_distance, num_ones
from pipeline.copies.matching import MAX_DISTANCE

SOUND_PART = sound_matching.WINDOW // 2
"""A window of sound that agrees has a half that agrees as well."""
_MOST_BITS = int(sound_matching.MAX_BITS * SOUND_PART)

Owners = NDArray[np.uint32]


def by_pictures(hashes: NDArray[np.uint8], bank: Bank) -> list[int]:
    """Numbers of the items with a picture near any of some hashes, uint8 (N, 32), ascending."""
    records = bank.hashes
    if not len(records) or not len(hashes):
        return []
    query = np.ascontiguousarray(hashes).view("<u8")
    sides = [np.asarray(records[name]).view("<u8") for name in ("pdq", "mirror")]
    found = np.zeros(_num_numbers(records), np.bool_)
    _near_pictures(query, sides[0], sides[1], np.asarray(records["item"]), found, MAX_DISTANCE)
    return _present(found, bank)


def by_sound(items: NDArray[np.uint32], num_new: int, bank: Bank) -> list[int]:
    """Numbers of the items with sound near the end of some, uint32 (N,), ascending.

    Args:
        items: of Chromaprint, one after the other.
        num_new: how many of them are new; what agrees ends with one of these.
        bank: to look in.
    """
    records = bank.sounds
    if not len(records):
        return []
    found = np.zeros(_num_numbers(records), np.bool_)
    owners, prints = np.asarray(records["item"]), np.asarray(records["print"])
    _near_sounds(items, num_new, prints, owners, found, SOUND_PART, _MOST_BITS)
    return _present(found, bank)


def _num_numbers(records: NDArray[Any]) -> int:
    return int(records["item"].max()) + 1


def _present(found: NDArray[np.bool_], bank: Bank) -> list[int]:
    return [number for number in np.flatnonzero(found).tolist() if number in bank.items]


@njit(cache=True, nogil=True)
def _near_pictures(
    query: NDArray[np.uint64],
    straight: NDArray[np.uint64],
    mirror: NDArray[np.uint64],
    owners: Owners,
    found: NDArray[np.bool_],
    max_distance: int,
) -> None:
    for j in range(len(owners)):
        if found[owners[j]]:
            continue
        for i in range(len(query)):
            if (
                hash_distance(query[i], straight[j]) <= max_distance
                or hash_distance(query[i], mirror[j]) <= max_distance
            ):
                found[owners[j]] = True
                break


@njit(cache=True, nogil=True)
def _near_sounds(
    items: NDArray[np.uint32],
    num_new: int,
    prints: NDArray[np.uint32],
    owners: Owners,
    found: NDArray[np.bool_],
    part: int,
    most_bits: int,
) -> None:
    for start in range(max(0, len(items) - num_new - part + 1), len(items) - part + 1):
        for j in range(len(prints) - part + 1):
            if found[owners[j]] or owners[j] != owners[j + part - 1]:
                continue
            bits = 0
            for k in range(part):
                bits += num_ones(np.uint64(items[start + k] ^ prints[j + k]))
                if bits > most_bits:
                    break
            if bits <= most_bits:
                found[owners[j]] = True
