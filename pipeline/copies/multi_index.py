"""Multi-index hashing: the hashes within a distance, without a look at most of the others.

Hashes are cut into 16 chunks of 16 bits. Two that differ in at most 31 bits differ in at most one
bit of some chunk, so that a look at the 17 buckets of each chunk that are so near misses nothing
(Norouzi, Punjani, Fleet: "Fast Exact Search in Hamming Space with Multi-Index Hashing", 2014).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.copies.hamming import hash_distance

NUM_CHUNKS = CHUNK_BITS = 16
NUM_STARTS = 2**CHUNK_BITS + 1
MAX_SEARCH_DISTANCE = 2 * NUM_CHUNKS - 1
"""Most bits in which hashes may differ so that none is missed."""

Words = NDArray[np.uint64]
Bools = NDArray[np.bool_]
Numbers = NDArray[np.uint32]


@njit(cache=True, nogil=True)
def _chunk(word: Words, number: int) -> np.int64:
    """Sixteen bits of a hash (4,)."""
    return np.int64((word[number >> 2] >> np.uint64(16 * (number & 3))) & np.uint64(0xFFFF))


@njit(cache=True, nogil=True)
def fill(straight: Words, mirror: Words, starts: Numbers, entries: Numbers) -> None:
    """Sort hashes and their mirror images by each chunk of theirs.

    Args:
        straight, mirror: (N, 4), the hashes.
        starts: uint32 (16, NUM_STARTS), zeros; written: where each bucket begins in `entries`.
        entries: uint32 (16, 2 N), written: twice the place of a hash, and one more of its mirror
            image.
    """
    for number in range(NUM_CHUNKS):
        begins, held = starts[number], entries[number]
        for i in range(len(straight)):
            begins[_chunk(straight[i], number) + 1] += np.uint32(1)
            begins[_chunk(mirror[i], number) + 1] += np.uint32(1)
        for bucket in range(1, NUM_STARTS):
            begins[bucket] += begins[bucket - 1]
        # Each start moves to that of the next bucket, and is moved back at the end.
        for i in range(len(straight)):
            for side in range(2):
                at = _chunk(straight[i] if side == 0 else mirror[i], number)
                held[begins[at]] = np.uint32(2 * i + side)
                begins[at] += np.uint32(1)
        for bucket in range(NUM_STARTS - 1, 0, -1):
            begins[bucket] = begins[bucket - 1]
        begins[0] = np.uint32(0)


@njit(cache=True, nogil=True)
def find(
    query: Words,
    straight: Words,
    mirror: Words,
    starts: Numbers,
    entries: Numbers,
    owners: Numbers,
    found: Bools,
    hit: Bools,
) -> None:
    """Mark the owners of hashes within `MAX_SEARCH_DISTANCE` of any of a query, and what is near.

    Args:
        query: (Q, 4).
        straight, mirror: (N, 4), what was sorted.
        starts, entries: as `fill` wrote them.
        owners: uint32 (N,).
        found: by owner, written.
        hit: by hash of the query, written.
    """
    begins = np.empty(CHUNK_BITS + 1, np.uint32)
    ends = np.empty(CHUNK_BITS + 1, np.uint32)
    for number in range(NUM_CHUNKS):
        for i in range(len(query)):
            value = _chunk(query[i], number)
            # Loads that do not wait for each other.
            for bit in range(CHUNK_BITS + 1):
                bucket = value if bit == CHUNK_BITS else value ^ (1 << bit)
                begins[bit], ends[bit] = starts[number, bucket], starts[number, bucket + 1]
            for bit in range(CHUNK_BITS + 1):
                for place in range(begins[bit], ends[bit]):
                    entry = np.int64(entries[number, place])
                    j = entry >> 1
                    near = hash_distance(query[i], straight[j] if entry & 1 == 0 else mirror[j])
                    if near <= MAX_SEARCH_DISTANCE:
                        found[owners[j]] = True
                        hit[i] = True


@njit(cache=True, nogil=True)
def scan(
    query: Words, straight: Words, mirror: Words, owners: Numbers, found: Bools, hit: Bools
) -> None:
    """Do what `find` does by a look at every hash."""
    for j in range(len(owners)):
        for i in range(len(query)):
            if (
                hash_distance(query[i], straight[j]) <= MAX_SEARCH_DISTANCE
                or hash_distance(query[i], mirror[j]) <= MAX_SEARCH_DISTANCE
            ):
                found[owners[j]] = True
                hit[i] = True


@njit(cache=True, nogil=True)
def checksum(words: Words) -> np.uint64:
    """A number that damage changes; of words of 64 bits (N,)."""
    value = np.uint64(0xCBF29CE484222325)
    for word in words:
        value = (value ^ word) * np.uint64(0x100000001B3)
        value ^= value >> np.uint64(29)
    return value
