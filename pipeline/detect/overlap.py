"""Files of a collection that are among the packed samples of a detector's training already."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.compute as pc

from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.store import video
from pipeline.store.manifest import Clip
from pipeline.store.packed_samples import INDEX, Packed
from pipeline.store.shards import RAW, read_clip

LEARNED_FROM = ("train", "val")
"""The splits that weights are made by: fitted to, or chosen and calibrated on."""


def training_samples(
    detector: Detector, models: str, root: str, work: Path, cache_gb: float = math.inf
) -> Packed:
    """The samples that a detector was trained on.

    Args:
        detector: the weights in `models`.
        models: for messages.
        root: folder or URL of the packed samples.
        work: as in `Packed.open`.
        cache_gb: as in `Packed.open`.

    Raises:
        UserError: they are not there, or others are.
    """
    packed = Packed.open(root, work, cache_gb)
    if detector.card.samples_sha256 != {INDEX: packed.index_sha256}:
        raise UserError(
            f"{root}: not the samples that the weights in {models} were trained on; run dvc "
            "checkout, or train again"
        )
    return packed


def known_files(
    clips: Sequence[Clip],
    folder: Path,
    packed: Packed,
    num_workers: int,
    splits: Collection[str] | None = None,
) -> set[str]:
    """Paths of the files of which a clip is a packed sample, to the last bit.

    The index of packed samples has the hash of what it stores of each: the canonical mp4, or the
    frames that are decoded from it. Both are made of a clip here, and held against it. So a file
    that was encoded anew, or cut at other frames, before it came into the collection is not found.

    Args:
        clips: all of the collection, since training may have few of a file.
        folder: where their shards are.
        packed: the samples.
        num_workers: clips that are decoded at a time.
        splits: whose samples count; all of them if not given.
    """
    index = packed.index
    if splits is not None:
        index = index.filter(pc.field("split").isin(list(splits)))
    known = set(index["sha256"].to_pylist())
    is_raw = any(name.endswith(RAW) for name in packed.names)

    def is_known(clip: Clip) -> bool:
        data = read_clip(folder, clip)
        stored = [data, *([video.decode(data).tobytes()] if is_raw else [])]
        return any(hashlib.sha256(one).hexdigest() in known for one in stored)

    with ThreadPoolExecutor(max(1, num_workers)) as pool:
        return {
            clip.path for clip, found in zip(clips, pool.map(is_known, clips), strict=True) if found
        }
