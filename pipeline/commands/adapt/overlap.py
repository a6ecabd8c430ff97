"""Files of a collection that are among the samples of training already."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline import video
from pipeline.manifest import Clip
from pipeline.packed import Packed
from pipeline.shards import RAW, read_clip


def known_files(clips: Sequence[Clip], folder: Path, packed: Packed, num_workers: int) -> set[str]:
    """Paths of the files of which a clip is a packed sample, of whatever split, to the last bit.

    The index of packed samples has the hash of what it stores of each: the canonical mp4, or the
    frames that are decoded from it. Both are made of a clip here, and held against it. So a file
    that was encoded anew, or cut at other frames, before it came into the collection is not found.

    Args:
        clips: all of the collection, since training may have few of a file.
        folder: where their shards are.
        packed: the samples.
        num_workers: clips that are decoded at a time.
    """
    known = set(packed.index["sha256"].to_pylist())
    is_raw = any(name.endswith(RAW) for name in packed.names)

    def is_known(clip: Clip) -> bool:
        data = read_clip(folder, clip)
        stored = [data, *([video.decode(data).tobytes()] if is_raw else [])]
        return any(hashlib.sha256(one).hexdigest() in known for one in stored)

    with ThreadPoolExecutor(max(1, num_workers)) as pool:
        return {
            clip.path for clip, found in zip(clips, pool.map(is_known, clips), strict=True) if found
        }
