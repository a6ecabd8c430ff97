"""Decode clips and variants once into one memory map of training samples."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import executor, manifest, packed, shards, storage, video, workdir
from pipeline.config import ClipFormat, PackApp
from pipeline.errors import UserError
from pipeline.manifest import Clip
from pipeline.shards import read_clip

log = logging.getLogger(__name__)

ENCODINGS = ("raw",)
_CODE = ("stages/pack.py", "manifest.py", "packed.py", "shards.py", "video.py")
_LIBRARIES = ("decord", "numpy")
_CLIPS_PER_BLOCK = 32
_ROWS_PER_GROUP = 8192


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

    The samples grow in the work folder, where finished blocks outlive a kill.

    Raises:
        UserError: an unknown encoding, or a shard that is missing or not whole.
    """
    if cfg.encoding not in ENCODINGS:
        raise UserError(
            f"conf/pack.yaml: encoding '{cfg.encoding}' is none of {', '.join(ENCODINGS)}"
        )
    paths, work = cfg.paths, Path(cfg.paths.work)
    clips_folder = storage.mirror(paths.clips, work)
    augmented = storage.mirror(paths.augmented, work)
    splits = storage.mirror(paths.splits, work)
    clip_format = manifest.read_format(clips_folder)
    tables = [splits / manifest.MANIFEST, augmented / manifest.MANIFEST]
    code = [workdir.code_sha256(*_CODE), *map(version, _LIBRARIES)]
    hashes = [workdir.file_sha256(table) for table in tables]
    key = workdir.key(code, asdict(clip_format), hashes)
    finished = workdir.Blocks(work / "pack" / workdir.key(storage.name(paths.packed)))
    samples = finished[f"{key}.raw"]
    samples.touch()

    def clips() -> Iterator[tuple[Path, Clip]]:
        for folder, table in zip((clips_folder, augmented), tables, strict=True):
            for clip in manifest.read_rows(table, Clip):
                if clip.split is not None:
                    yield folder, clip

    num_clips = sum(1 for _ in clips())
    firsts = range(0, num_clips, _CLIPS_PER_BLOCK)
    names = [workdir.key(key, first) for first in firsts]
    todo = [name for name in names if name not in finished]

    def blocks() -> Iterator[list[Block]]:
        wanted = set(todo)
        parts = executor.in_blocks(clips(), _CLIPS_PER_BLOCK)
        for name, first, part in zip(names, firsts, parts, strict=True):
            if name in wanted:
                yield [Block(part, samples.resolve(), first, clip_format)]

    results = executor.map_blocks(write_block, blocks(), cfg.run, title="pack", num_items=len(todo))
    for name, (lost,) in zip(todo, results, strict=True):
        if isinstance(lost, executor.Lost):
            raise UserError(f"pack: {lost.detail}; run it again")
        with finished.writing(name):
            pass
    with storage.replacing(paths.packed, work) as fresh:
        shards.link(samples, fresh / packed.SAMPLES)
        counts: Counter[str] = Counter()
        with pq.ParquetWriter(fresh / packed.INDEX, packed.INDEX_SCHEMA) as index:
            for part in executor.in_blocks(clips(), _ROWS_PER_GROUP):
                rows = [_index_row(clip) for _, clip in part]
                index.write_table(pa.Table.from_pylist(rows, schema=packed.INDEX_SCHEMA))
                counts.update(f"{c.split} {'variant' if c.parent_id else 'clip'}" for _, c in part)
        manifest.write_format(fresh, clip_format)
        manifest.write_stats(fresh, {"samples": counts})
    finished.clear()
    log.info("pack: %d samples", num_clips)


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
