"""Put clips and variants into the shards that training reads, decoded or as they are."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import ClipFormat, PackApp, tracked
from pipeline.errors import UserError
from pipeline.store import executor, manifest, shards, video, workdir
from pipeline.store.manifest import Clip
from pipeline.store.packed import ENCODINGS, INDEX, INDEX_SCHEMA
from pipeline.store.shards import Place, RawWriter, ShardWriter, read_clip

log = logging.getLogger(__name__)

_CODE = (
    "stages/pack.py",
    "store/manifest.py",
    "store/packed.py",
    "store/shards.py",
    "store/video.py",
)
_LIBRARIES = (video.READER, "numpy")
_ROWS_PER_GROUP = 8192


@dataclass(frozen=True)
class Block:
    """The clips of one shard, and the folder that it and its rows of the index become."""

    clips: Sequence[tuple[Path, Clip]]
    folder: Path
    encoding: str
    format: ClipFormat


def write_block(block: Block) -> None:
    """Write the shard of a block, and the rows of the index that tell what is in it."""
    raw = block.encoding == "raw"
    rows = []
    with workdir.becoming(block.folder) as partial:
        with RawWriter(partial) if raw else ShardWriter(partial, len(block.clips)) as writer:
            for folder, clip in block.clips:
                mp4 = read_clip(folder, clip)
                data = _frames(mp4, clip, block.format) if raw else mp4
                rows.append(_index_row(clip, writer.add(clip.clip_id, data), data))
        pq.write_table(pa.Table.from_pylist(rows, INDEX_SCHEMA), partial / INDEX)


def run(cfg: PackApp) -> None:
    """Write shards, `index.parquet`, `format.json` and `stats.json` to `paths.packed`.

    A shard is a block of work; finished ones outlive a kill.

    Raises:
        UserError: an unknown encoding, or a shard of clips that is missing or not whole.
    """
    if cfg.encoding not in ENCODINGS:
        raise UserError(
            f"conf/pack.yaml: encoding '{cfg.encoding}' is none of {', '.join(ENCODINGS)}"
        )
    paths, work = cfg.paths, Path(cfg.paths.work)
    clips_folder = Path(paths.clips).resolve()
    augmented = Path(paths.augmented).resolve()
    splits = Path(paths.splits).resolve()
    clip_format = manifest.read_format(clips_folder)
    tables = [splits / manifest.MANIFEST, augmented / manifest.MANIFEST]
    code = [workdir.code_sha256(*_CODE), *map(version, _LIBRARIES)]
    hashes = [workdir.file_sha256(table) for table in tables]
    key = workdir.key(code, tracked(cfg), asdict(clip_format), hashes)
    finished = workdir.Blocks(work / "pack" / workdir.key(paths.packed))

    def clips() -> Iterator[tuple[Path, Clip]]:
        for folder, table in zip((clips_folder, augmented), tables, strict=True):
            for clip in manifest.read_rows(table, Clip):
                if clip.split is not None:
                    yield folder, clip

    num_clips = sum(1 for _ in clips())
    names = [workdir.key(key, first) for first in range(0, num_clips, cfg.shard_samples)]
    todo = {name for name in names if name not in finished}

    def blocks() -> Iterator[list[Block]]:
        parts = executor.in_blocks(clips(), cfg.shard_samples)
        for name, part in zip(names, parts, strict=True):
            if name in todo:
                yield [Block(part, finished[name].resolve(), cfg.encoding, clip_format)]

    results = executor.map_blocks(write_block, blocks(), cfg.run, title="pack", num_items=len(todo))
    for (lost,) in results:
        if isinstance(lost, executor.Lost):
            raise UserError(f"pack: {lost.detail}; run it again")
    with workdir.replacing(Path(paths.packed), work, workdir.OUTPUTS["pack"]) as fresh:
        _assemble([finished[name] for name in names], fresh, ENCODINGS[cfg.encoding])
        manifest.write_format(fresh, clip_format)
    finished.clear()
    log.info("pack: %d samples", num_clips)


def _frames(mp4: bytes, clip: Clip, format_: ClipFormat) -> bytes:
    shape = (format_.num_frames, format_.size, format_.size, 3)
    frames = video.decode(mp4)
    if frames.shape != shape:
        raise UserError(
            f"clip {clip.clip_id}: {frames.shape} instead of {shape}; run dvc repro ingest"
        )
    return frames.tobytes()


def _assemble(blocks: Sequence[Path], fresh: Path, suffix: str) -> None:
    """Number the shards on; they are linked, so that the next run finds the blocks whole."""
    counts: Counter[str] = Counter()
    parts = []
    for number, block in enumerate(blocks):
        name = shards.shard_name(number, suffix)
        shards.link(block / shards.shard_name(0, suffix), fresh / name)
        part = pq.read_table(block / INDEX)
        place = part.schema.get_field_index("shard")
        parts.append(part.set_column(place, INDEX_SCHEMA.field(place), pa.repeat(name, len(part))))
        splits, variants = part["split"].to_pylist(), part["variant"].is_valid().to_pylist()
        counts.update(
            f"{split} {'variant' if is_variant else 'clip'}"
            for split, is_variant in zip(splits, variants, strict=True)
        )
    index = pa.concat_tables([INDEX_SCHEMA.empty_table(), *parts]).combine_chunks()
    pq.write_table(index, fresh / INDEX, row_group_size=_ROWS_PER_GROUP)
    manifest.write_stats(fresh, {"samples": counts})


def _index_row(clip: Clip, place: Place, data: bytes) -> dict[str, object]:
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
        "sha256": hashlib.sha256(data).hexdigest(),
        **asdict(place),
    }
