"""Near-duplicate clips: a join of perceptual hashes by Hamming distance, and union-find.

Two clips match when two frames of each are within a distance of frames, or of mirrored frames, of
the other, or one frame within a smaller distance. Two further descriptors find what such hashes of
whole frames miss: a part of a clip's picture, as a crop would show it, is near a frame of the
other; or the same half of both pictures is nearly equal, the other half being covered.

Few hashes are compared all with all. Many are compared where they agree in a random choice of their
bits, table after table (bit-sampling locality-sensitive hashing: Indyk and Motwani, "Approximate
Nearest Neighbors", 1998). Matches are joined as they are found and no list of pairs is kept, so
that thousands of clips with the same picture cost no memory. Which clips are joined depends neither
on the order of the matches nor on the number of threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.copies import hamming
from pipeline.copies.fingerprint import HASH_BITS, HASH_BYTES
from pipeline.copies.hamming import Labels, Words
from pipeline.errors import UserError, reading

EXACT_COMPARISONS = 1 << 32
"""Up to so many comparisons of two hashes, all are compared with all."""
STILL_DISTANCE = 4
"""Otherwise a frame that differs in no more bits from the last one of its recording is left out."""

_HASHES_PER_BUCKET = 128


@dataclass(frozen=True)
class Rule:
    """When two clips match, and how hard matches are looked for among many."""

    max_distance: int
    """Most bits, of 256, in which two matching frames differ."""
    max_single_distance: int
    """Most bits in which a frame alone differs from a frame, or from a part of one."""
    max_half_distance: int
    """Most bits in which the same half of two frames differs."""
    num_tables: int
    """Tables of the join: each finds a pair of hashes that differ in `d` bits with a probability
    of about (1 - d / 256) ** log2(number of hashes / 128)."""


@dataclass(frozen=True)
class Closest:
    """The closest pair of clips of different groups that do not match, and those that do."""

    pair: tuple[int, int] | None
    """None where there are no two groups, or only clips that cannot be hashed."""
    distance: int
    """Within which two frames of the pair match."""
    num_matching: int
    matching: tuple[int, int] | None
    """One of the pairs that match."""


def clusters(
    labels: Labels,
    fingerprints: NDArray[np.uint8],
    rule: Rule,
    *,
    parts: NDArray[np.uint8] | None = None,
    halves: NDArray[np.uint8] | None = None,
    num_threads: int = 2,
) -> Labels:
    """Join clips that match.

    Args:
        labels: (N,) the same for clips that belong together anyway, such as a recording's.
        fingerprints: uint8 (N, K, 2, 32) of `fingerprint.fingerprint`.
        rule: when two clips match.
        parts: uint8 (N, P, 32) of `fingerprint.part_hashes`, to find crops too.
        halves: uint8 (N, 4, K, 2, 32) of `fingerprint.half_hashes`, to find covered pictures too.
        num_threads: changes nothing but the time.

    Returns:
        int64 (N,): for each clip the index of the first clip of its cluster.
    """
    assert len(labels) == len(fingerprints)
    limits = (rule.max_distance, rule.max_single_distance)
    parent = _join(first_of(labels), fingerprints, parts, limits, rule.num_tables, num_threads)
    for half in range(0 if halves is None else halves.shape[1]):
        assert halves is not None
        limits = (rule.max_half_distance, rule.max_half_distance)
        parent = _join(parent, halves[:, half], None, limits, rule.num_tables, num_threads)
    return parent


def _join(
    parent: Labels,
    fingerprints: NDArray[np.uint8],
    parts: NDArray[np.uint8] | None,
    limits: tuple[int, int],
    num_tables: int,
    num_threads: int,
) -> Labels:
    words = as_words(fingerprints)
    entries = _gather(parent, words, parts)
    num_hashes = len(entries[0])
    if _num_comparisons(words, parts) <= EXACT_COMPARISONS:
        hamming.join_all(*entries, words, parent, *limits)
        return np.asarray(hamming.roots(parent))
    index_bits = num_hashes.bit_length()
    key_bits = (num_hashes // _HASHES_PER_BUCKET).bit_length()

    def search(tables: range) -> Labels:
        own = parent.copy()
        for table in tables:
            bits = np.random.default_rng(table).permutation(HASH_BITS)
            keys = hamming.keys(entries[0], bits[: key_bits + hamming.ORDER_BITS], index_bits)
            keys.sort()
            hamming.join_buckets(keys, index_bits, *entries, words, own, *limits)
        return own

    with ThreadPoolExecutor(num_threads) as pool:
        shares = [range(first, num_tables, num_threads) for first in range(num_threads)]
        for found in pool.map(search, shares):
            hamming.merge(parent, found)
    return np.asarray(hamming.roots(parent))


def first_of(labels: NDArray[Any]) -> Labels:
    """Returns for each label the index of the first label that equals it."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], np.int64)


def read_fingerprints(path: Path, num_clips: int) -> NDArray[np.uint8]:
    """Map the fingerprints of `num_clips` clips from a file: uint8 (N, K, 2, 32).

    Raises:
        UserError: missing, unreadable, or not a row for each clip.
    """
    with reading(path, "ingest"):
        hashes: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    is_right = hashes.ndim == 4 and hashes.shape[2:] == (2, HASH_BYTES)
    if len(hashes) != num_clips or not is_right or hashes.dtype != np.uint8:
        raise UserError(
            f"{path}: {hashes.dtype} {hashes.shape} instead of a fingerprint for each of "
            f"{num_clips} clips; run dvc repro ingest"
        )
    return hashes


def as_words(hashes: NDArray[np.uint8]) -> Words:
    """View uint8 (..., 32) as uint64 (..., 4)."""
    return np.ascontiguousarray(hashes).view(np.uint64)


def distances(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Distances within which one frame, and two frames, of clips match; 256 where none can.

    Args:
        a: uint8 (N, K, 2, 32), fingerprints, or one of the halves.
        b: uint8 (M, K, 2, 32).

    Returns:
        int64 (2, N, M).
    """
    return np.asarray(hamming.distances(as_words(a), as_words(b)))


def part_distances(parts: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Distances within which a part of a clip's picture matches a frame of others.

    Args:
        parts: uint8 (N, P, 32).
        b: uint8 (M, K, 2, 32), fingerprints.

    Returns:
        int64 (N, M).
    """
    return np.asarray(hamming.part_distances(as_words(parts), as_words(b)))


def closest(
    chosen: Labels,
    groups: NDArray[np.int8],
    fingerprints: NDArray[np.uint8],
    rule: Rule,
    *,
    parts: NDArray[np.uint8] | None = None,
    halves: NDArray[np.uint8] | None = None,
    num_threads: int = 2,
) -> Closest:
    """Compare clips, one by one and without the join, with all clips of other groups.

    Args:
        chosen: indices of the clips to compare with all others.
        groups: int8 (N,); clips of negative groups are left out.
        fingerprints: uint8 (N, K, 2, 32).
        rule: when two clips match.
        parts: uint8 (N, P, 32).
        halves: uint8 (N, 4, K, 2, 32).
        num_threads: changes nothing but the time.
    """
    words = as_words(fingerprints)
    num_clips, num_frames = words.shape[:2]
    part_words = np.zeros((num_clips, 0, hamming.WORDS), np.uint64)
    half_words = np.zeros((num_clips, 0, num_frames, 2, hamming.WORDS), np.uint64)
    part_words = part_words if parts is None else as_words(parts)
    half_words = half_words if halves is None else as_words(halves)
    limits = (rule.max_distance, rule.max_single_distance, rule.max_half_distance)

    def search(share: Labels) -> tuple[int, ...]:
        found = hamming.closest(share, groups, words, part_words, half_words, limits)
        return tuple(map(int, found))

    shares = [chosen[first::num_threads] for first in range(num_threads)]
    with ThreadPoolExecutor(num_threads) as pool:
        found = list(pool.map(search, shares))
    distance, a, b = min((one[0], one[1], one[2]) for one in found)
    matching = [(one[4], one[5]) for one in found if one[3]]
    return Closest(
        pair=(a, b) if a >= 0 else None,
        distance=distance,
        num_matching=sum(one[3] for one in found),
        matching=min(matching) if matching else None,
    )


def _num_comparisons(words: Words, parts: NDArray[np.uint8] | None) -> int:
    num_frames = 2 * words.shape[1]
    num_parts = 0 if parts is None else parts.shape[1]
    return num_frames * (num_frames + num_parts) * len(words) ** 2


def _gather(
    parent: Labels, words: Words, parts: NDArray[np.uint8] | None
) -> tuple[Words, NDArray[np.int32], NDArray[np.uint8]]:
    """Frames, mirror images, parts: words (M, 4), clip (M,), kind (M,); without what is blank."""
    is_exact = _num_comparisons(words, parts) <= EXACT_COMPARISONS
    kept = hamming.tells(words, parent, -1 if is_exact else STILL_DISTANCE)
    clip, frame = np.nonzero(kept)
    blocks, clips = [words[clip, frame, 0], words[clip, frame, 1]], [clip, clip]
    if parts is not None:
        part_words = as_words(parts)
        clip, part = np.nonzero(part_words.any(axis=2))
        blocks.append(part_words[clip, part])
        clips.append(clip)
    kinds = np.repeat(np.arange(len(clips), dtype=np.uint8), [len(of) for of in clips])
    return np.concatenate(blocks), np.concatenate(clips, dtype=np.int32), kinds
