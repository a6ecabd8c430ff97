"""Turn footage collections into canonical clips: decode, resample, window, encode, hash."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import executor, manifest, video, workdir
from pipeline.collection import INDEX, IndexRow, read_index
from pipeline.config import ClipFormat, IngestApp, IngestConfig, Run
from pipeline.errors import UserError
from pipeline.manifest import Clip, Reject
from pipeline.shards import ShardWriter

log = logging.getLogger(__name__)

_REMEDIES = {
    "missing_file": "put the file there or take its row out of the index",
    "outside_collection": "replace the link by the file itself",
    "too_short": "give a longer piece of the recording",
    "too_long": "divide the file or raise max_duration_s",
    "too_large": "scale the file down or raise max_pixels",
    "timeout": "re-encode the file or raise timeout_s",
    "out_of_memory": "re-encode the file or raise max_memory_mb",
    "playlist": "give the video itself",
}
# Black leaders look alike in unrelated films, which would so count as duplicates.
_BLANK_STD = 2.0
_DEFAULT_REMEDY = "play the file; if it plays, re-encode it, or else take it out of the index"


@dataclass(frozen=True)
class Footage:
    """One file of a collection, and what it may become."""

    collection: str
    root: Path
    row: IndexRow
    clip: ClipFormat
    stride_frames: int
    limits: video.Limits


@dataclass(frozen=True)
class Window:
    """One canonical clip before it has a place in a shard."""

    start_frame: int
    mp4: bytes
    pixels_sha256: str


def canonicalise(footage: Footage) -> list[Window] | Reject:
    """Decode one file into the windows of its canonical clips, or say why it cannot be done."""
    path = footage.root / footage.row.path
    if not path.is_file():
        return _reject(footage, "missing_file", "no such file")
    if not path.resolve().is_relative_to(footage.root.resolve()):
        return _reject(footage, "outside_collection", "the path leads out of the collection")
    clip = footage.clip
    try:
        windows = list(
            _windows(
                video.resample(path, clip.fps, clip.size, footage.limits),
                clip,
                footage.stride_frames,
            )
        )
    except video.DecodeError as error:
        return _reject(footage, error.reason, str(error))
    if not windows:
        shortest_s = clip.num_frames / clip.fps
        return _reject(footage, "too_short", f"no picture as long as a clip of {shortest_s:.2f} s")
    return windows


def _windows(
    frames: Iterator[video.Frames], clip: ClipFormat, stride_frames: int
) -> Iterator[Window]:
    held: list[video.Frames] = []
    start_frame = 0
    for frame in frames:
        held.append(frame)
        if len(held) == clip.num_frames:
            pixels = np.stack(held)
            if pixels.std(axis=(1, 2, 3)).max() >= _BLANK_STD:
                yield Window(
                    start_frame,
                    video.encode(pixels, clip.fps, crf=clip.crf, keyint=clip.num_frames),
                    hashlib.sha256(pixels.tobytes()).hexdigest(),
                )
            held = held[stride_frames:]
            start_frame += stride_frames


def _reject(footage: Footage, reason: str, detail: str) -> Reject:
    remedy = _REMEDIES.get(reason, _DEFAULT_REMEDY)
    return Reject(footage.collection, footage.row.path, "ingest", reason, detail, remedy)


def window_discharge(row: IndexRow, start_s: float, clip: ClipFormat, alone: bool) -> bool | None:
    """Whether a window shows a discharge; None where the file's label does not tell.

    Without discharge times, the label of a file with discharges holds for its window only if
    that is `alone`. A discharge nearer to an edge than one frame, or two at the end, may show in
    this window, in its neighbour or between them.
    """
    if not row.discharge:
        return False
    if not row.discharges_s:
        return True if alone else None
    end_s, frame_s = start_s + clip.num_frames / clip.fps, 1 / clip.fps
    if any(start_s <= time_s < end_s - 2 * frame_s for time_s in row.discharges_s):
        return True
    if any(start_s - frame_s <= time_s < end_s for time_s in row.discharges_s):
        return None
    return False


def find_collections(folder: Path) -> list[Path]:
    """The folders below `folder`, itself included, that hold an index."""
    return sorted(index.parent for index in folder.rglob(INDEX)) if folder.is_dir() else []


def run(cfg: IngestApp) -> None:
    """Ingest the synthetic collections, those under `paths.footage` and `collections`."""
    paths = cfg.paths
    collections = [
        *find_collections(Path(paths.synthetic)),
        *find_collections(Path(paths.footage)),
        *(_local(folder) for folder in cfg.collections),
    ]
    ingest(collections, Path(paths.clips), cfg, Path(paths.work), cfg.run)


def _local(folder: str) -> Path:
    if "://" in folder:
        raise UserError(f"conf/ingest.yaml: {folder}: copy or mount it first, and name the folder")
    return Path(folder)


def ingest(
    collections: Sequence[Path], output: Path, cfg: IngestConfig, work: Path, run: Run
) -> None:
    """Write clip shards, `manifest.parquet`, `rejects.parquet` and `stats.json` to `output`.

    Raises:
        UserError: a bad index, no clip at all, or more rejects than `max_reject_rate`.
    """
    files = _files(collections, cfg)
    rejects: list[Reject] = []
    clips: list[Clip] = []
    results = executor.map_blocks(
        canonicalise,
        files,
        run,
        title="ingest",
        timeout_s=cfg.timeout_s,
        memory_mb=cfg.max_memory_mb,
    )
    with workdir.replacing(output, work) as fresh:
        with ShardWriter(fresh, cfg.shard_clips) as shards:
            for footage, result in zip(files, results, strict=True):
                if isinstance(result, executor.Lost):
                    rejects.append(_reject(footage, result.reason, result.detail))
                elif isinstance(result, Reject):
                    rejects.append(result)
                else:
                    clips += [_store(footage, window, result, shards) for window in result]
        manifest.write_format(fresh, cfg.clip)
        manifest.write_manifest(fresh, clips)
        manifest.write_rejects(fresh, rejects)
        manifest.write_stats(fresh, _stats(files, clips, rejects))
        _check(files, clips, rejects, cfg)
    log.info("ingest: %d files, %d clips, %d rejects", len(files), len(clips), len(rejects))


def _files(collections: Sequence[Path], cfg: IngestConfig) -> list[Footage]:
    if not collections:
        raise UserError(
            "no footage collection: put one under footage/, or name one in conf/ingest.yaml"
        )
    roots: dict[str, Path] = {}
    for root in collections:
        other = roots.setdefault(root.resolve().name, root)
        if other.resolve() != root.resolve():
            raise UserError(f"{root}: {other} has the same name; rename one of the folders")
    if not 1 <= cfg.stride_frames <= cfg.clip.num_frames:
        raise UserError(
            f"conf/ingest.yaml: stride_frames {cfg.stride_frames} is none of 1 to "
            f"{cfg.clip.num_frames}, the frames of a clip"
        )
    limits = video.Limits(cfg.max_pixels, cfg.max_duration_s)
    return [
        Footage(name, root, row, cfg.clip, cfg.stride_frames, limits)
        for name, root in sorted(roots.items())
        for row in read_index(root)
    ]


def _store(
    footage: Footage, window: Window, windows: Sequence[Window], shards: ShardWriter
) -> Clip:
    row, name = footage.row, footage.collection
    identity = f"{name}/{row.path}@{window.start_frame}"
    clip_id = hashlib.sha256(identity.encode()).hexdigest()[:16]
    start_s = window.start_frame / footage.clip.fps
    place = shards.add(clip_id, window.mp4)
    return Clip(
        clip_id=clip_id,
        parent_id=None,
        collection=name,
        path=row.path,
        source=row.source,
        origin=row.origin,
        recording=f"{name}/{row.recording}",
        start_s=start_s,
        discharge=window_discharge(row, start_s, footage.clip, alone=len(windows) == 1),
        licence=row.licence,
        authority=row.authority,
        viewpoint=row.viewpoint,
        pixels_sha256=window.pixels_sha256,
        shard=place.shard,
        offset=place.offset,
        size=place.size,
    )


def _stats(
    files: Sequence[Footage], clips: Sequence[Clip], rejects: Sequence[Reject]
) -> dict[str, object]:
    labels = {True: "shooting", False: "other", None: "unknown"}
    return {
        "files": len(files),
        "clips": len(clips),
        "recordings": len({clip.recording for clip in clips}),
        "clips_by_class": Counter(f"{clip.origin} {labels[clip.discharge]}" for clip in clips),
        "rejects": len(rejects),
        "rejects_by_reason": Counter(reject.reason for reject in rejects),
    }


def _check(
    files: Sequence[Footage], clips: Sequence[Clip], rejects: Sequence[Reject], cfg: IngestConfig
) -> None:
    examples = "".join(
        f"\n  {reject.collection}/{reject.path}: {reject.reason}: {reject.detail}; {reject.remedy}"
        for reject in rejects[:10]
    )
    if not clips:
        raise UserError(f"no file of {len(files)} became a clip{examples}")
    if len(rejects) > cfg.max_reject_rate * len(files):
        raise UserError(
            f"{len(rejects)} of {len(files)} files rejected, more than "
            f"max_reject_rate={cfg.max_reject_rate} in conf/ingest.yaml{examples}"
        )
