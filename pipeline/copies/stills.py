"""Where one picture and a video show the same: a still that is looked up, or one in a bank.

One picture has no offset and no speed that others could agree on. It is told by the seconds of the
other side that are near it, and by a distance alone; how often that is chance was counted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.copies import matching
from pipeline.copies.matching import VideoStretch

BY = "still"
"""What such a match is known by."""
MAX_DISTANCE = matching.MAX_DISTANCE
"""Most bits, of 256, in which a picture differs from one that shows the same."""
FALSE_IN_A_MILLION = 361
"""Of a million pictures that are no copy, those as near to any of ten million hashes of other
collections (`benchmarks/false_matches.py`, docs/results.md)."""
FALSE_IN_A_MILLION_95 = (0, 1207)
"""Its interval of 95 %, over recordings."""
SAME_PLACE_MS = 1500
"""Near pictures of a video that are no farther apart are one place."""
MAX_PLACES = 8
"""Most places of one item that are told of, the nearest ones."""

Times = NDArray[np.uint32]


def is_one_picture(times_ms: Times) -> bool:
    """Whether all hashes, of which there are some, are of one time."""
    # Banks have many items, of most of which both ends tell.
    if not len(times_ms) or times_ms[0] != times_ms[-1]:
        return False
    return bool((times_ms == times_ms[0]).all())


def places(times_ms: Times, hashes: NDArray[np.uint8], records: NDArray[Any]) -> list[VideoStretch]:
    """Where a file and an item show the same, of which one is one picture: the nearest first.

    A place has the first and the last near picture of the other side, which may be one picture
    too. Its offset is between the two pictures that are nearest, and its distance theirs.

    Args:
        times_ms: uint32 (N,), of the whole pictures of the file, ascending.
        hashes: uint8 (N, 32), PDQ of these.
        records: `banks.RECORD` (M,), whole pictures of the item.
    """
    if not len(times_ms) or not len(records):
        return []
    is_in_file = is_one_picture(records["time_ms"])
    sides = [_distances(hashes, np.asarray(records[side])) for side in ("pdq", "mirror")]
    # Of the side that is a video, each picture by what is nearest to it of the other one.
    straight, mirror = (side.min(axis=1 if is_in_file else 0) for side in sides)
    distance = np.minimum(straight, mirror)
    video_ms = (times_ms if is_in_file else records["time_ms"]).astype(np.int64)
    still_ms = int((records["time_ms"] if is_in_file else times_ms)[0])
    near = np.flatnonzero(distance <= MAX_DISTANCE)
    found = []
    for run in np.split(near, np.flatnonzero(np.diff(video_ms[near]) > SAME_PLACE_MS) + 1):
        if not len(run):
            continue
        best = run[distance[run].argmin()]
        ends = float(video_ms[run[0]]) / 1000, float(video_ms[run[-1]]) / 1000
        still = still_ms / 1000, still_ms / 1000
        of_file, of_item = (ends, still) if is_in_file else (still, ends)
        offset_ms = still_ms - video_ms[best] if is_in_file else video_ms[best] - still_ms
        found.append(
            VideoStretch(
                start_s=of_file[0],
                end_s=of_file[1],
                item_start_s=of_item[0],
                item_end_s=of_item[1],
                offset_s=float(offset_ms) / 1000,
                mirrored=bool(mirror[best] < straight[best]),
                median_distance=float(distance[best]),
                num_frames=len(np.unique(video_ms[run])),
                num_between=len(np.unique(video_ms[run[0] : run[-1] + 1])),
            )
        )
    return sorted(found, key=lambda one: one.median_distance)[:MAX_PLACES]


def as_data(place: VideoStretch, *, file_is_still: bool, item_is_still: bool) -> dict[str, object]:
    """A place as programs are told of it; a side that is one picture has no seconds.

    Args:
        place: as `places` gives it.
        file_is_still, item_is_still: whether one or the other is one picture.
    """
    of_file = (None, None) if file_is_still else (place.start_s, place.end_s)
    of_item = (None, None) if item_is_still else (place.item_start_s, place.item_end_s)
    return {
        "start_s": of_file[0],
        "end_s": of_file[1],
        "item_start_s": of_item[0],
        "item_end_s": of_item[1],
        "nearest_s": nearest_s(place, file_is_still=file_is_still, item_is_still=item_is_still),
        "mirrored": place.mirrored,
        "distance": int(place.median_distance),
        "num_near": place.num_frames,
        "false_in_a_million": FALSE_IN_A_MILLION,
        "false_in_a_million_95": list(FALSE_IN_A_MILLION_95),
    }


def nearest_s(place: VideoStretch, *, file_is_still: bool, item_is_still: bool) -> float | None:
    """Which second of the side that is a video is nearest to the still; None if neither is one."""
    if file_is_still and item_is_still:
        return None
    at_s = place.start_s + place.offset_s if file_is_still else place.item_start_s - place.offset_s
    return round(at_s, 3)


def _distances(hashes: NDArray[np.uint8], known: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Bits in which each of some hashes (N, 32) differs from each of others (M, 32): (N, M)."""
    of_hashes, of_known = (np.ascontiguousarray(side).view("<u8") for side in (hashes, known))
    apart = np.bitwise_count(of_hashes[:, None] ^ of_known[None])
    return np.asarray(apart.sum(axis=2, dtype=np.int64))
