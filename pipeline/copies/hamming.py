"""Compiled loops over hashes: distances, union-find, and the joins that feed it (numba)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from pipeline.copies.fingerprint import HASH_BITS

WORDS = HASH_BITS // 64
FRAME, MIRROR, PART = 0, 1, 2
"""Kinds of hashes: of a frame, of its mirror image, of a part of a frame."""
MAX_COMPARED = 256
"""Number of predecessors that each hash in a crowd of one key is compared with; a power of 2."""
ORDER_BITS = 16
"""Bits of a key below those that must be equal: they bring near hashes together in a crowd."""

Labels = NDArray[np.int64]
Words = NDArray[np.uint64]


def _count_ones(typing_context: Any, value: Any) -> Any:
    """Number of ones in an unsigned integer of 64 bits, as one instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


num_ones: Any = intrinsic(_count_ones)
"""Number of ones in an unsigned integer of 64 bits, in compiled loops."""


@njit(cache=True, nogil=True)
def hash_distance(a: Words, b: Words) -> int:
    """Number of bits in which two hashes (4,) differ."""
    ones = num_ones(a[0] ^ b[0]) + num_ones(a[1] ^ b[1])
    return int(ones + num_ones(a[2] ^ b[2]) + num_ones(a[3] ^ b[3]))


@njit(cache=True, nogil=True)
def is_blank(word: Words) -> bool:
    """Tells whether a hash (4,) is all zero, as that of a frame too flat to be hashed is."""
    return word[0] | word[1] | word[2] | word[3] == 0


@njit(cache=True, nogil=True)
def clip_distances(a: Words, b: Words, side: int) -> tuple[int, int]:
    """Distances within which one frame, and two frames, of both clips (K, 2, 4) match.

    Frames of `a` with frames of `b` (side 0) or with their mirror images (side 1). Two frames of
    each clip must find a partner, so that one frame does not match a still picture twice.
    """
    near_a = np.full(len(a), HASH_BITS)
    near_b = np.full(len(b), HASH_BITS)
    for i in range(len(a)):
        if is_blank(a[i, 0]):
            continue
        for j in range(len(b)):
            if is_blank(b[j, 0]):
                continue
            distance = hash_distance(a[i, 0], b[j, side])
            near_a[i] = min(near_a[i], distance)
            near_b[j] = min(near_b[j], distance)
    near_a.sort()
    near_b.sort()
    two = max(near_a[1], near_b[1]) if min(len(a), len(b)) > 1 else HASH_BITS
    return near_a[0], two


@njit(cache=True, nogil=True)
def nearest(a: Words, b: Words) -> int:
    """Least distance of a frame of `a` to a frame or mirror image of `b`, both (K, 2, 4)."""
    least = HASH_BITS
    for i in range(len(a)):
        if is_blank(a[i, 0]):
            continue
        for j in range(len(b)):
            if not is_blank(b[j, 0]):
                least = min(least, hash_distance(a[i, 0], b[j, 0]))
                least = min(least, hash_distance(a[i, 0], b[j, 1]))
    return least


@njit(cache=True, nogil=True)
def part_distance(parts: Words, b: Words) -> int:
    """Least distance of parts (P, 4) to frames, or mirror images, of clip (K, 2, 4) `b`."""
    least = HASH_BITS
    for i in range(len(parts)):
        if is_blank(parts[i]):
            continue
        for j in range(len(b)):
            if not is_blank(b[j, 0]):
                least = min(
                    least, hash_distance(parts[i], b[j, 0]), hash_distance(parts[i], b[j, 1])
                )
    return least


@njit(cache=True, nogil=True)
def distances(a: Words, b: Words) -> Labels:
    """`duplicates.distances` on words: (N, K, 2, 4) and (M, K, 2, 4) to (2, N, M)."""
    found = np.empty((2, len(a), len(b)), np.int64)
    for i in range(len(a)):
        for j in range(len(b)):
            one, two = clip_distances(a[i], b[j], 0)
            one_mirrored, two_mirrored = clip_distances(a[i], b[j], 1)
            found[0, i, j], found[1, i, j] = min(one, one_mirrored), min(two, two_mirrored)
    return found


@njit(cache=True, nogil=True)
def part_distances(parts: Words, b: Words) -> Labels:
    """`duplicates.part_distances` on words: (N, P, 4) and (M, K, 2, 4) to (N, M)."""
    found = np.empty((len(parts), len(b)), np.int64)
    for i in range(len(parts)):
        for j in range(len(b)):
            found[i, j] = part_distance(parts[i], b[j])
    return found


@njit(cache=True, nogil=True)
def closest(
    chosen: Labels,
    groups: NDArray[np.int8],
    words: Words,
    parts: Words,
    halves: Words,
    limits: tuple[int, int, int],
) -> tuple[int, int, int, int, int, int]:
    """Closest pair of different groups that does not match, number of those that do, and one.

    Args:
        chosen: clips to compare with all.
        groups: (N,), negative for clips that are left out.
        words: (N, K, 2, 4).
        parts: (N, P, 4).
        halves: (N, 4, K, 2, 4), or (N, 0, …).
        limits: distances of two frames, of one frame or part, of a half.

    Returns:
        Distance of two frames, index, index (-1 where there is no pair); number, index, index.
    """
    least, least_a, least_b = HASH_BITS, -1, -1
    num_matching, first_a, first_b = 0, -1, -1
    for a in chosen:
        for b in range(len(words)):
            if groups[a] < 0 or groups[b] < 0 or groups[a] == groups[b]:
                continue
            two = one = nearest(words[a], words[b])
            # Two frames are no nearer than the nearest one, so that few pairs need the rest.
            if one <= limits[0] or one < least:
                two = min(
                    clip_distances(words[a], words[b], 0)[1],
                    clip_distances(words[a], words[b], 1)[1],
                )
            matches = two <= limits[0] or one <= limits[1]
            if not matches and parts.shape[1] > 0:
                matches = (
                    part_distance(parts[a], words[b]) <= limits[1]
                    or part_distance(parts[b], words[a]) <= limits[1]
                )
            for half in range(halves.shape[1]):
                matches = matches or nearest(halves[a, half], halves[b, half]) <= limits[2]
            if matches:
                if num_matching == 0:
                    first_a, first_b = a, b
                num_matching += 1
            elif two < least:
                least, least_a, least_b = two, a, b
    return least, least_a, least_b, num_matching, first_a, first_b


@njit(cache=True, nogil=True)
def root(parent: Labels, node: int) -> int:
    """First node of the tree; halves the path to it."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@njit(cache=True, nogil=True)
def union(parent: Labels, a: int, b: int) -> None:
    """Join two trees under the smaller root, so that the root is the first of its cluster."""
    a, b = root(parent, a), root(parent, b)
    if a < b:
        parent[b] = a
    else:
        parent[a] = b


@njit(cache=True, nogil=True)
def roots(parent: Labels) -> Labels:
    """Point each node at its root; needs smaller roots of larger nodes, as `union` makes them."""
    for node in range(len(parent)):
        parent[node] = parent[parent[node]]
    return parent


@njit(cache=True, nogil=True)
def merge(parent: Labels, other: Labels) -> None:
    """Join what another forest over the same nodes joins."""
    for node in range(len(parent)):
        union(parent, node, other[node])


@njit(cache=True, nogil=True)
def tells(words: Words, parent: Labels, still_distance: int) -> NDArray[np.bool_]:
    """Which frames are not blank, and differ from the last kept one of their recording: (N, K)."""
    num_clips, num_frames = words.shape[:2]
    kept = np.zeros((num_clips, num_frames), np.bool_)
    last_clip, last_frame = -1, -1
    for clip in range(num_clips):
        for frame in range(num_frames):
            word = words[clip, frame, 0]
            if is_blank(word):
                continue
            same = last_clip >= 0 and parent[clip] == parent[last_clip]
            if same and hash_distance(word, words[last_clip, last_frame, 0]) <= still_distance:
                continue
            kept[clip, frame] = True
            last_clip, last_frame = clip, frame
    return kept


@njit(cache=True, nogil=True)
def keys(hashes: Words, bits: Labels, index_bits: int) -> Words:
    """The chosen bits of each hash above its index: one array to sort, and no ties."""
    keys = np.empty(len(hashes), np.uint64)
    for i in range(len(hashes)):
        key = np.uint64(0)
        for bit in bits:
            chosen = (hashes[i, bit >> 6] >> np.uint64(bit & 63)) & np.uint64(1)
            key = (key << np.uint64(1)) | chosen
        keys[i] = (key << np.uint64(index_bits)) | np.uint64(i)
    return keys


@njit(cache=True, nogil=True)
def are_compared(kind: int, other: int) -> bool:
    """Mirror images with each other say what frames do; parts with each other, nothing."""
    return kind == FRAME or other == FRAME or kind != other


@njit(cache=True, nogil=True)
def is_match(
    distance: int,
    a: int,
    kind_a: int,
    b: int,
    kind_b: int,
    words: Words,
    max_distance: int,
    max_single_distance: int,
) -> bool:
    """Tells whether the clips of two hashes match, given the distance of the hashes."""
    if kind_a == PART or kind_b == PART or distance <= max_single_distance:
        return distance <= max_single_distance
    side = 0 if kind_a == kind_b else 1
    return clip_distances(words[a], words[b], side)[1] <= max_distance


@njit(cache=True, nogil=True)
def join_all(
    hashes: Words,
    clip: NDArray[np.int32],
    kind: NDArray[np.uint8],
    words: Words,
    parent: Labels,
    max_distance: int,
    max_single_distance: int,
) -> None:
    """Join the clips that match, comparing every frame and mirror image with all that follows."""
    for i in range(len(hashes)):
        if kind[i] == PART:
            break
        for j in range(i + 1, len(hashes)):
            if are_compared(kind[i], kind[j]):
                distance = hash_distance(hashes[i], hashes[j])
                if distance <= max_distance or distance <= max_single_distance:
                    a, b = clip[i], clip[j]
                    if root(parent, a) != root(parent, b) and is_match(
                        distance, a, kind[i], b, kind[j], words, max_distance, max_single_distance
                    ):
                        union(parent, a, b)


@njit(cache=True, nogil=True)
def join_buckets(
    keys: Words,
    index_bits: int,
    hashes: Words,
    clip: NDArray[np.int32],
    kind: NDArray[np.uint8],
    words: Words,
    parent: Labels,
    max_distance: int,
    max_single_distance: int,
) -> None:
    """Compare what shares the upper bits of its key; in a crowd, only with the last in order."""
    bucket_shift = np.uint64(index_bits + ORDER_BITS)
    index_mask = (np.uint64(1) << np.uint64(index_bits)) - np.uint64(1)
    # Gathered from all over the memory once, the last hashes stay in the cache while compared.
    ring = 2 * MAX_COMPARED
    held = np.empty((ring, WORDS), np.uint64)
    held_root = np.empty(ring, np.int64)
    held_index = np.empty(ring, np.int64)
    held_kind = np.empty(ring, np.uint8)
    start, bucket = 0, np.uint64(0)
    for at in range(len(keys)):
        if at == 0 or keys[at] >> bucket_shift != bucket:
            start, bucket = at, keys[at] >> bucket_shift
        i = np.int64(keys[at] & index_mask)
        here = at & (ring - 1)
        held[here], held_index[here], held_kind[here] = hashes[i], i, kind[i]
        held_root[here] = root(parent, clip[i])
        for other in range(max(start, at - MAX_COMPARED), at):
            there = other & (ring - 1)
            if held_root[there] == held_root[here]:
                continue
            if not are_compared(held_kind[here], held_kind[there]):
                continue
            distance = hash_distance(held[here], held[there])
            if distance <= max_distance or distance <= max_single_distance:
                a, b = clip[i], clip[held_index[there]]
                if root(parent, a) != root(parent, b) and is_match(
                    distance,
                    a,
                    held_kind[here],
                    b,
                    held_kind[there],
                    words,
                    max_distance,
                    max_single_distance,
                ):
                    union(parent, a, b)
                held_root[here] = root(parent, a)
                held_root[there] = root(parent, b)
