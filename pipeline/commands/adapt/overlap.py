"""Files of a collection that are among the samples of training already."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pipeline import video
from pipeline.manifest import Clip
from pipeline.packed import Packed
from pipeline.shards import RAW, read_clip


def known_files(clips: Sequence[Clip], folder: Path, packed: Packed) -> set[str]:
    """Paths of the files of which a clip is a packed sample, of whatever split, to the last bit.

    The index of packed samples has the hash of what it stores of each: the canonical mp4, or the
    frames that are decoded from it. Both are made of a clip here, and held against it. So a file
    that was encoded anew, or cut at other frames, before it came into the collection is not found.

    Args:
        clips: of the collection.
        folder: where their shards are.
        packed: the samples.
    """
    known = set(packed.index["sha256"].to_pylist())
    is_raw = any(name.endswith(RAW) for name in packed.names)
    found = set()
    for clip in clips:
        if clip.path not in found:
            data = read_clip(folder, clip)
            stored = [data, *([video.decode(data).tobytes()] if is_raw else [])]
            if any(hashlib.sha256(one).hexdigest() in known for one in stored):
                found.add(clip.path)
    return found
