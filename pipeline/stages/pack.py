"""Decode clips and variants once into one memory map of training samples."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import executor, manifest, packed, video, workdir
from pipeline.config import ClipFormat, PackApp
from pipeline.errors import UserError
from pipeline.manifest import Clip
from pipeline.shards import read_clip

log = logging.getLogger(__name__)

ENCODINGS = ("raw",)
_CLIPS_PER_BLOCK = 32


@dataclass(frozen=True)
class Block:
    """Some clips, and where in the memory map the first of them goes."""

    clips: Sequence[tuple[Path, Clip]]
    samples: Path
    first: int
    format: ClipFormat


def write_block(block: Block) -> None:
    """Decode the clips of a block and write their frames to their place in the memory map."""
    shape = (block.format.num_frames, block.format.size, block.format.size, 3)
    handle = os.open(block.samples, os.O_WRONLY)
    try:
        for number, (folder, clip) in enumerate(block.clips, block.first):
            frames = video.decode(read_clip(folder, clip))
            if frames.shape != shape:
                raise UserError(
                    f"clip {clip.clip_id}: {frames.shape} instead of {shape}; run dvc repro ingest"
                )
            os.pwrite(handle, frames.tobytes(), number * frames.nbytes)
    finally:
        os.close(handle)


def run(cfg: PackApp) -> None:
    """Write `samples.raw`, `index.parquet`, `format.json`, `stats.json` to `paths.packed`.

    Raises:
        UserError: an unknown encoding, or a shard that is missing or not whole.
    """
    if cfg.encoding not in ENCODINGS:
        raise UserError(
            f"conf/pack.yaml: encoding '{cfg.encoding}' is none of {', '.join(ENCODINGS)}"
        )
    paths = cfg.paths
    clips_folder, augmented_folder = Path(paths.clips), Path(paths.augmented)
    clip_format = manifest.read_format(clips_folder)
    originals = [c for c in manifest.read_manifest(Path(paths.splits)) if c.split is not None]
    variants = manifest.read_manifest(augmented_folder)
    clips = [(clips_folder, c) for c in originals] + [(augmented_folder, c) for c in variants]
    with workdir.replacing(Path(paths.packed), Path(paths.work)) as fresh:
        samples = fresh / packed.SAMPLES
        samples.touch()
        blocks = [
            Block(clips[first : first + _CLIPS_PER_BLOCK], samples, first, clip_format)
            for first in range(0, len(clips), _CLIPS_PER_BLOCK)
        ]
        for result in executor.map_blocks(write_block, blocks, cfg.run, title="pack"):
            if isinstance(result, executor.Lost):
                raise UserError(f"pack: {result.detail}; run it again")
        rows = [_index_row(clip) for _, clip in clips]
        pq.write_table(pa.Table.from_pylist(rows, schema=packed.INDEX_SCHEMA), fresh / packed.INDEX)
        manifest.write_format(fresh, clip_format)
        counts = Counter(f"{c.split} {'variant' if c.parent_id else 'clip'}" for _, c in clips)
        manifest.write_stats(fresh, {"samples": counts})
    log.info("pack: %d samples", len(clips))


def _index_row(clip: Clip) -> dict[str, object]:
    return {
        "sample_id": clip.clip_id,
        "clip_id": clip.parent_id or clip.clip_id,
        "variant": clip.variant,
        "collection": clip.collection,
        "path": clip.path,
        "source": clip.source,
        "origin": clip.origin,
        "recording": clip.recording,
        "cluster": clip.cluster,
        "split": clip.split,
        "discharge": int(bool(clip.discharge)),
        "start_s": clip.start_s,
        "licence": clip.licence,
        "authority": clip.authority,
    }
