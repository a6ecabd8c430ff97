"""Files that show the same pictures, by the PDQ hashes of their seconds: one task a cluster.

Two files are joined where enough seconds of the shorter one have a near hash in the other. Hashes
are compared that agree in one of 16 runs of 16 bits, in a crowd with the last ones only: copies
agree in many seconds, of which one is enough to be found by.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.copies import hamming
from pipeline.copies.duplicates import as_words
from pipeline.copies.fingerprint import HASH_BITS
from pipeline.copies.hamming import MAX_COMPARED, hash_distance, is_blank
from pipeline.copies.matching import MAX_DISTANCE, MIN_FRAMES

_RUN_BITS = 16
_NUM_RUNS = HASH_BITS // _RUN_BITS

Labels = NDArray[np.int64]


def clusters(num_files: int, hashes: NDArray[np.uint8], owners: Labels, same: Labels) -> Labels:
    """Join files that show the same.

    Args:
        num_files: N.
        hashes: uint8 (M, 32), those of a file in a row.
        owners: (M,), the file that each belongs to, ascending.
        same: (N,), equal for files of equal bytes.

    Returns:
        (N,): for each file the first file of its cluster.
    """
    words = as_words(hashes.reshape(-1, hamming.WORDS * 8))
    first = np.searchsorted(owners, np.arange(num_files + 1))
    _, firsts, inverse = np.unique(same, return_index=True, return_inverse=True)
    parent = np.asarray(firsts[inverse], np.int64)
    # In a crowd the neighbours of a hash in order are the likeliest to be near it.
    runs = words.view(np.uint16).reshape(len(words), _NUM_RUNS)
    for run in range(_NUM_RUNS):
        order = np.lexsort((*words.T, runs[:, run]))
        _join(order, runs[:, run], words, owners, first, parent)
    return np.asarray(hamming.roots(parent))


@njit(cache=True, nogil=True)
def _join(
    order: Labels,
    run: NDArray[np.uint16],
    words: hamming.Words,
    owners: Labels,
    first: Labels,
    parent: Labels,
) -> None:
    start = 0
    for at in range(len(order)):
        i = order[at]
        if at == 0 or run[order[at - 1]] != run[i]:
            start = at
        if is_blank(words[i]):
            continue
        for other in range(max(start, at - MAX_COMPARED), at):
            j = order[other]
            if is_blank(words[j]):
                continue
            a, b = owners[i], owners[j]
            if hamming.root(parent, a) == hamming.root(parent, b):
                continue
            if hash_distance(words[i], words[j]) > MAX_DISTANCE:
                continue
            if _agree(words[first[a] : first[a + 1]], words[first[b] : first[b + 1]]):
                hamming.union(parent, a, b)


@njit(cache=True, nogil=True)
def _agree(a: hamming.Words, b: hamming.Words) -> bool:
    """Return whether enough hashes of the file that has fewer have a near one in the other."""
    if len(a) > len(b):
        a, b = b, a
    num_told = 0
    for i in range(len(a)):
        num_told += not is_blank(a[i])
    needed = min(MIN_FRAMES, num_told)
    found = 0
    for i in range(len(a)):
        if is_blank(a[i]):
            continue
        for j in range(len(b)):
            if not is_blank(b[j]) and hash_distance(a[i], b[j]) <= MAX_DISTANCE:
                found += 1
                break
        if found >= needed:
            return True
    return False
