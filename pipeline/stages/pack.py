"""Put clips and variants, with their sound, into the shards that training reads.

Either decoded, or as they are.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import ClipFormat, PackApp
from pipeline.errors import UserError
from pipeline.store import executor, manifest, shards, sound, video, workdir
from pipeline.store.finished_work import BLOCK_CARD, FinishedWork, Piece, made_by, write_piece
from pipeline.store.manifest import Clip
from pipeline.store.packed_samples import ENCODINGS, INDEX, INDEX_SCHEMA
from pipeline.store.shards import Extent, RawWriter, ShardWriter, read_clip, read_flac

log = logging.getLogger(__name__)

_CODE = ("stages/pack.py", "store/shards.py", "store/pcm.py", "store/sound.py", "store/video.py")
_LIBRARIES = (video.READER, "numpy")
_ROWS_PER_GROUP = 8192


@dataclass(frozen=True)
class ShardTask:
    """The clips of one shard, and the folder that it becomes."""

    clips: Sequence[tuple[Path, Clip]]
    folder: Path
    encoding: str
    format: ClipFormat


def write_shard(task: ShardTask) -> None:
    """Write a shard, and what is in it, without what the manifest says of a clip."""
    raw = task.encoding == "raw"
    samples = []
    with workdir.becoming(task.folder) as partial:
        with RawWriter(partial) if raw else ShardWriter(partial, len(task.clips)) as writer:
            for folder, clip in task.clips:
                mp4 = read_clip(folder, clip)
                data = _frames(mp4, clip, task.format) if raw else mp4
                extent = writer.add(clip.clip_id, data)
                told = [extent.offset, extent.size, hashlib.sha256(data).hexdigest()]
                if clip.sound_size:
                    flac = read_flac(folder, clip)
                    data = _sound(flac, clip, task.format) if raw else flac
                    extent = writer.add_sound(clip.clip_id, data)
                    told += [extent.offset, extent.size, hashlib.sha256(data).hexdigest()]
                else:
                    told += [0, 0, None]
                samples.append(told)
        name = shards.shard_name(0, ENCODINGS[task.encoding])
        card = {
            "sha256s": {name: workdir.file_sha256(partial / name)},
            "files": sorted({clip.file_sha256 for _, clip in task.clips}),
            "samples": samples,
        }
        write_piece(partial / BLOCK_CARD, Piece(card))


def run(cfg: PackApp) -> None:
    """Write shards, `index.parquet`, `format.json` and `stats.json` to `paths.packed`.

    A shard is a block of work, and is kept, so that a later run, or one that goes on after a kill,
    packs what is new alone.

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
    tables = {splits / manifest.MANIFEST: clips_folder, augmented / manifest.MANIFEST: augmented}

    def clips_by_shard() -> Iterator[list[tuple[Path, Clip]]]:
        clips = (
            (folder, clip)
            for table, folder in tables.items()
            for clip in manifest.read_rows(table, Clip)
            if clip.split is not None
        )
        return divided(clips, cfg.shard_samples)

    with FinishedWork(work, "pack") as kept:
        how = [made_by(_CODE, _LIBRARIES), cfg.encoding, asdict(clip_format)]
        names = [_name(clips, how) for clips in clips_by_shard()]
        todo = {name for name in names if name not in kept}

        def tasks() -> Iterator[ShardTask]:
            left = set(todo)
            for name, clips in zip(names, clips_by_shard(), strict=True):
                if name in left:
                    left.remove(name)
                    yield ShardTask(clips, kept.path(name).resolve(), cfg.encoding, clip_format)

        _write_shards(tasks(), len(todo), cfg)
        with workdir.replacing(Path(paths.packed), work, workdir.OUTPUTS["pack"]) as fresh:
            made = zip(names, clips_by_shard(), strict=True)
            num_samples = _assemble(made, kept, fresh, cfg, clip_format)
            manifest.write_format(fresh, clip_format)
        kept.trim(cfg.run.keep_gb)
    log.info("pack: %d samples in %d shards, %d of them new", num_samples, len(names), len(todo))


def divided(clips: Iterable[tuple[Path, Clip]], most: int) -> Iterator[list[tuple[Path, Clip]]]:
    """Divide clips into shards of at most `most`, where their ids say so.

    A clip that is added or removed so moves the ends of few shards (content-defined chunking;
    Muthitacharoen, Chen and Mazieres, 2001).
    """
    shard: list[tuple[Path, Clip]] = []
    for folder, clip in clips:
        draw = int(hashlib.sha256(clip.clip_id.encode()).hexdigest()[:8], 16)
        is_end = len(shard) >= most / 4 and draw % max(1, most // 4) == 0
        if shard and (is_end or len(shard) == most):
            yield shard
            shard = []
        shard.append((folder, clip))
    if shard:
        yield shard


def _name(clips: Sequence[tuple[Path, Clip]], how: Sequence[object]) -> str:
    """The name under which a shard is kept: of how it is made, and of the bytes of its clips."""
    made_of = [
        [
            clip.clip_id,
            clip.file_sha256,
            hashlib.sha256(read_clip(folder, clip)).hexdigest(),
            hashlib.sha256(read_flac(folder, clip)).hexdigest() if clip.sound_size else None,
        ]
        for folder, clip in clips
    ]
    return workdir.key(*how, made_of)


def _write_shards(tasks: Iterable[ShardTask], num_shards: int, cfg: PackApp) -> None:
    results = executor.map_blocks(
        write_shard, ([task] for task in tasks), cfg.run, title="pack", num_items=num_shards
    )
    for (lost,) in results:
        if isinstance(lost, executor.Lost):
            raise UserError(f"pack: {lost.detail}; run it again")


def _frames(mp4: bytes, clip: Clip, format_: ClipFormat) -> bytes:
    shape = (format_.num_frames, format_.size, format_.size, 3)
    frames = video.decode(mp4)
    if frames.shape != shape:
        raise UserError(
            f"clip {clip.clip_id}: {frames.shape} instead of {shape}; run dvc repro ingest"
        )
    return frames.tobytes()


def _sound(flac: bytes, clip: Clip, format_: ClipFormat) -> bytes:
    expected = sound.num_samples(format_.num_frames, format_.fps)
    try:
        samples = sound.decode(flac)
    except ValueError as error:
        raise UserError(
            f"the sound of clip {clip.clip_id} {error}; run dvc checkout or dvc repro ingest"
        ) from error
    if samples.shape != (expected,):
        raise UserError(
            f"clip {clip.clip_id}: {samples.size} instead of {expected} samples of sound; "
            "run dvc repro ingest"
        )
    return samples.astype("<i2", copy=False).tobytes()


def _assemble(
    blocks: Iterable[tuple[str, Sequence[tuple[Path, Clip]]]],
    kept: FinishedWork,
    fresh: Path,
    cfg: PackApp,
    clip_format: ClipFormat,
) -> int:
    """Number the shards on; they are linked, so that what is kept of them takes no room."""
    counts: Counter[str] = Counter()
    tables = []
    suffix = ENCODINGS[cfg.encoding]
    for number, (name, clips) in enumerate(blocks):
        found = kept.read_block(name)
        if found is None:
            log.warning("pack: what was kept of shard %d is damaged", number)
            folder = kept.path(name).resolve()
            _write_shards([ShardTask(clips, folder, cfg.encoding, clip_format)], 1, cfg)
            found = kept.read_block(name)
            if found is None:
                raise UserError(f"{folder}: cannot be read back; look at the disk")
        card, folder = found
        shard = shards.shard_name(number, suffix)
        shards.link(folder / shards.shard_name(0, suffix), fresh / shard)
        rows = [
            _index_row(clip, shard, told)
            for (_, clip), told in zip(clips, card["samples"], strict=True)
        ]
        tables.append(pa.Table.from_pylist(rows, INDEX_SCHEMA))
        counts.update(
            f"{clip.split} {'variant' if clip.variant is not None else 'clip'}" for _, clip in clips
        )
    index = pa.concat_tables([INDEX_SCHEMA.empty_table(), *tables]).combine_chunks()
    pq.write_table(index, fresh / INDEX, row_group_size=_ROWS_PER_GROUP)
    manifest.write_stats(fresh, {"samples": counts})
    return len(index)


def _index_row(clip: Clip, shard: str, told: Sequence[Any]) -> dict[str, object]:
    """A row of the index, of what `write_shard` tells of the bytes of a sample."""
    offset, size, sha256, sound_offset, sound_size, sound_sha256 = told
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
        # Of a bag it is what is known of the file.
        "discharge": int(clip.discharge is not False),
        "start_s": clip.start_s,
        "licence": clip.licence,
        "authority": clip.authority,
        "rendered": clip.rendered,
        "sha256": sha256,
        **asdict(Extent(shard, offset, size)),
        "sound": clip.sound,
        "seen": None if clip.seen is None else int(clip.seen),
        "heard": None if clip.heard is None else int(clip.heard),
        "sound_sha256": sound_sha256,
        "sound_offset": sound_offset,
        "sound_size": sound_size,
    }
