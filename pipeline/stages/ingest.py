"""Turn footage collections into canonical clips, and account for every file."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pipeline.config import ClipFormat, IngestApp, IngestConfig, Run
from pipeline.copies.fingerprint import HASH_BYTES, num_hashes
from pipeline.errors import UserError
from pipeline.footage import foreign, links, unplayable
from pipeline.footage.canonical import Canonical, Window, canonicalise
from pipeline.footage.collection import IndexRow, check_index, iter_index
from pipeline.footage.links import find_collections
from pipeline.footage.tombstones import Tombstones, forgotten
from pipeline.store import executor, manifest, shards, storage, workdir
from pipeline.store.manifest import Clip, File, Reject, TableWriter
from pipeline.store.shards import ShardWriter
from pipeline.system import sandbox

log = logging.getLogger(__name__)

_REMEDIES = {
    "missing_file": "put the file there or take its row out of the index",
    "outside_collection": "put the file itself there, or run dvc checkout if DVC made the link",
    "forgotten": "take its row out of the index, and delete the file",
    "too_short": "give a longer piece of the recording",
    "too_long": "divide the file or raise max_duration_s",
    "too_large": "scale the file down or raise max_pixels",
    "too_much_output": "divide the file or raise max_output_mb",
    "timeout": "re-encode the file or raise timeout_s",
    "cpu_time": "re-encode the file or raise max_cpu_s",
    "out_of_memory": "re-encode the file or raise max_memory_mb",
    "playlist": "give the video itself",
    "container": "give a video; put it into mp4 or mkv",
    "no_decoder": "re-encode the file to H.264",
    "black": "give footage that shows something, or take it out of the index",
    "still": "give footage in which something moves, or take it out of the index",
    "unreadable": "give the user who runs this the right to read it, or look at the disk",
    "damaged": "copy the file again from where it came, or take it out of the index",
    "ends_early": "copy the file again from where it came: its end is missing",
    "gap": "give a longer piece of the recording",
    "starts_late": "copy the file again from where it came: its beginning is missing",
    "few_pictures": "give footage of four pictures a second and more, or take it out of the index",
    "no_video": "give a file with moving pictures, or take it out of the index",
    **unplayable.REMEDIES,
}
_UNLABELLED = {
    "no_discharge_times": "have discharge 1 without times (fill in discharges_s in index.csv)",
    "discharge_beyond_end": "are of files that end before a time of discharges_s (correct it)",
    "discharge_at_edge": "have a discharge at their edge (nothing to do)",
}
_DEFAULT_REMEDY = "play the file; if it plays, re-encode it, or else take it out of the index"
AFTERGLOW_S = 0.2
"""How long a muzzle flash may show: games draw it for up to seven frames of 35 a second."""
_ENCRYPTED = ("encrypted", "its pictures are encrypted")
# What a decoder says of these, it says of a video.
_IS_VIDEO = ("too_long", "too_large", "too_much_output", "not_a_file", "unreadable")
_DECODERS = ("av", "numpy", "opencv-python-headless")
_CODE = (
    *(
        "footage/canonical.py",
        "footage/foreign",
        "footage/pictures.py",
        "footage/scenes.py",
        "copies/fingerprint.py",
        "store/video.py",
    ),
    *("stages/ingest.py", "store/manifest.py", "store/shards.py", "footage/collection.py"),
    *("footage/boxes.py", "footage/links.py", "system/names.py", "footage/unplayable.py"),
)


@dataclass(frozen=True)
class Collection:
    """A footage collection: its name, and where it is."""

    name: str
    place: str
    """A folder, or a URL such as `s3://bucket/prefix`."""
    num_files: int


@dataclass(frozen=True)
class Footage:
    """One file of a collection, and what it may become."""

    collection: Collection
    row: IndexRow
    clip: ClipFormat
    stride_frames: int
    limits: foreign.Limits
    work: Path
    as_shown: bool = False
    """To keep all that a player shows, as `canonicalise` has it."""
    path: Path | None = None
    """Where its bytes are while a worker has it; None where there are none to be had."""
    refused: str = ""
    """The reason for which it is not even opened."""
    detail: str = ""
    """What is to say about that reason."""

    @property
    def recording(self) -> str:
        """Unique over collections."""
        return f"{self.collection.name}/{self.row.recording}"


@contextmanager
def at_hand(footage: Footage) -> Iterator[Footage]:
    """Have the file's bytes on this machine for as long as the block runs."""
    with ExitStack() as stack:
        place, path = footage.collection.place, footage.row.path
        if footage.refused:
            yield footage
            return
        try:
            local = stack.enter_context(storage.fetched(place, path, footage.work))
        except FileNotFoundError:
            detail = storage.why_missing(place, path)
            yield replace(footage, refused="missing_file", detail=detail)
            return
        if not storage.is_remote(place) and links.leads_outside(Path(place), local):
            detail = "a link out of the collection, and not into the cache of DVC"
            yield replace(footage, refused="outside_collection", detail=detail)
        else:
            yield replace(footage, path=local)


def convert(footage: Footage) -> Canonical | Reject:
    """Make the canonical clips of one file, or say why it cannot be done; runs in the sandbox."""
    if footage.path is None:
        return _reject(footage, footage.refused, footage.detail)
    is_encrypted = _is_encrypted(footage.path)
    if is_encrypted and not footage.as_shown:
        return _reject(footage, *_ENCRYPTED)
    try:
        made = canonicalise(
            footage.path,
            footage.clip,
            footage.stride_frames,
            footage.limits,
            as_shown=footage.as_shown,
        )
        # What a file says of itself may be false: it is scored where its pictures are sound.
        if is_encrypted and all("damaged" in window.marks for window in made.windows):
            return _reject(footage, *_ENCRYPTED)
        return made
    except foreign.DecodeError as error:
        found = None if error.reason in _IS_VIDEO else unplayable.describe(footage.path)
        # Playlists are text, and photographs are opened as FFmpeg opens lists of them.
        if found is not None and (error.reason != "playlist" or found.reason == "image"):
            return _reject(footage, found.reason, found.detail)
        # Where the file lay on this machine is nobody's business.
        detail = str(error)
        for place in (footage.path, footage.path.parent):
            for text in (str(place), repr(str(place))[1:-1]):
                detail = detail.replace(text, "…")
        return _reject(footage, error.reason, detail)


def _is_encrypted(path: Path) -> bool:
    try:
        return path.is_file() and unplayable.is_encrypted(path)
    except OSError:
        # The decoder will say why it cannot be read.
        return False


def _reject(footage: Footage, reason: str, detail: str) -> Reject:
    remedy = _REMEDIES.get(reason, _DEFAULT_REMEDY)
    return Reject(footage.collection.name, footage.row.path, "ingest", reason, detail, remedy)


def label(
    row: IndexRow, start_s: float, clip: ClipFormat, file_s: float
) -> tuple[bool | None, str | None]:
    """Whether a window shows a discharge, or None and why that cannot be known.

    Without discharge times, the label of a file with discharges holds for its window only if
    that is the whole file, but for a frame. A discharge less than two frames before the end of a
    window may show in the next one only; one shortly before its start may still glow in it, as the
    flashes of games do. A time beyond the file's end, of `file_s` seconds, says that the times are
    of something else.
    """
    if not row.discharge:
        return False, None
    if any(time_s >= file_s for time_s in row.discharges_s):
        return None, "discharge_beyond_end"
    whole = file_s - clip.num_frames / clip.fps < 2 / clip.fps
    if not row.discharges_s:
        return (True, None) if whole else (None, "no_discharge_times")
    end_s, frame_s = start_s + clip.num_frames / clip.fps, 1 / clip.fps
    if any(start_s <= time_s < end_s - 2 * frame_s for time_s in row.discharges_s):
        return True, None
    if any(start_s - AFTERGLOW_S <= time_s < end_s for time_s in row.discharges_s):
        return None, "discharge_at_edge"
    return False, None


def run(cfg: IngestApp) -> None:
    """Ingest the synthetic collections, those under `paths.footage` and `collections`."""
    paths = cfg.paths
    places = [
        *map(str, find_collections(Path(paths.synthetic))),
        *map(str, find_collections(Path(paths.footage))),
        *cfg.collections,
    ]
    ingest(places, paths.clips, cfg, Path(paths.work), cfg.run, forgotten(Path(paths.footage)))


def ingest(
    places: Sequence[str],
    output: str,
    cfg: IngestConfig,
    work: Path,
    run: Run,
    tombstones: Tombstones,
    *,
    as_shown: bool = False,
) -> None:
    """Write shards, `manifest`, `files`, `rejects`, `fingerprints`, `format`, `stats` to `output`.

    Blocks of files are kept in `work` until the output is in place, so a killed run goes on.

    Args:
        places: collections, as folders or URLs.
        output: a folder, or a URL.
        cfg: what to make of them.
        work: a folder for what is unfinished, on the file system of the output.
        run: how to run.
        tombstones: what to refuse.
        as_shown: make clips to be scored, of all that a player shows; else clips to train on.

    Raises:
        UserError: a bad index; or, once everything is written, no clip at all, or more rejects
            than `max_reject_rate`.
    """
    collections = _collections(places, cfg, work)
    finished = workdir.Blocks(work / "ingest" / workdir.key(output))
    code = [workdir.code_sha256(*_CODE), *map(version, _DECODERS)]
    limits = [cfg.max_memory_mb, cfg.max_cpu_s, cfg.timeout_s]
    common = [code, cfg.shard_clips, limits, sorted(tombstones.sha256s)]
    names = [
        workdir.key(common, [_identity(footage) for footage in block])
        for block in _blocks(collections, cfg, work, tombstones, as_shown=as_shown)
    ]
    todo = _blocks(collections, cfg, work, tombstones, as_shown=as_shown)
    _convert_blocks(collections, todo, cfg, run, tombstones, names, finished)
    with storage.replacing(output, work, workdir.OUTPUTS["ingest"]) as fresh:
        stats = _assemble([finished[name] for name in names], fresh, cfg)
    finished.clear()
    _check(stats, storage.mirror(output, work), cfg)
    log.info(
        "ingest: %d files, %d clips, %d rejects%s",
        *(stats[name] for name in ("files", "clips", "rejects")),
        "".join(
            f"; no label for {stats[why]} that {remedy}"
            for why, remedy in _UNLABELLED.items()
            if stats[why]
        ),
    )


def _collections(places: Sequence[str], cfg: IngestConfig, work: Path) -> list[Collection]:
    if not places:
        raise UserError(
            "no footage collection: put one under footage/, or name one in conf/ingest.yaml"
        )
    if not 1 <= cfg.stride_frames <= cfg.clip.num_frames:
        raise UserError(
            f"conf/ingest.yaml: stride_frames {cfg.stride_frames} is none of 1 to "
            f"{cfg.clip.num_frames}, the frames of a clip"
        )
    by_name: dict[str, str] = {}
    by_place: dict[str, str] = {}
    for given in places:
        name = storage.name(given)
        place = given if storage.is_remote(given) else str(Path(given).resolve())
        other = by_name.setdefault(name, place)
        if other != place:
            raise UserError(f"{place}: {other} has the same name; rename one of the folders")
        if by_place.setdefault(place, name) != name:
            raise UserError(
                f"{given}: the same collection as '{by_place[place]}', whose files would count "
                "twice; name it once"
            )
    found = []
    for name, place in sorted(by_name.items()):
        with storage.fetched_index(place, work) as folder:
            found.append(Collection(name, place, check_index(folder)))
    return found


def _blocks(
    collections: Sequence[Collection],
    cfg: IngestConfig,
    work: Path,
    tombstones: Tombstones,
    *,
    as_shown: bool,
) -> Iterator[list[Footage]]:
    files = _footage(collections, cfg, work, tombstones, as_shown=as_shown)
    return executor.in_blocks(files, cfg.block_files)


def _footage(
    collections: Sequence[Collection],
    cfg: IngestConfig,
    work: Path,
    tombstones: Tombstones,
    *,
    as_shown: bool,
) -> Iterator[Footage]:
    limits = foreign.Limits(cfg.max_pixels, cfg.max_duration_s, cfg.max_output_mb)
    for collection in collections:
        with storage.fetched_index(collection.place, work) as folder:
            for row in iter_index(folder):
                one = Footage(
                    collection, row, cfg.clip, cfg.stride_frames, limits, work.resolve(), as_shown
                )
                gone = one.recording in tombstones.recordings
                detail = "the recording was to be forgotten"
                yield replace(one, refused="forgotten", detail=detail) if gone else one


def _identity(footage: Footage) -> list[object]:
    """What a file's result depends on, besides the code."""
    place, path = footage.collection.place, footage.row.path
    leaves = False
    try:
        file = storage.identity(place, path)
        if not storage.is_remote(place):
            with storage.fetched(place, path, footage.work) as local:
                leaves = links.leads_outside(Path(place), local)
    except FileNotFoundError:
        file = storage.why_missing(place, path)
    limits = [asdict(footage.clip), footage.stride_frames, asdict(footage.limits)]
    limits.append(footage.as_shown)
    return [footage.recording, asdict(footage.row), limits, footage.refused, file, leaves]


def _convert_blocks(
    collections: Sequence[Collection],
    blocks: Iterator[list[Footage]],
    cfg: IngestConfig,
    run: Run,
    tombstones: Tombstones,
    names: Sequence[str],
    finished: workdir.Blocks,
) -> None:
    """Fill `finished` with the blocks that it lacks."""
    lacking = {name for name in names if name not in finished}
    started: deque[tuple[str, list[Footage]]] = deque()

    def todo() -> Iterator[list[Footage]]:
        for name, block in zip(names, blocks, strict=True):
            if name in lacking:
                started.append((name, block))
                yield block

    num_files = sum(collection.num_files for collection in collections)
    results = executor.map_blocks(
        convert,
        todo(),
        run,
        title="ingest",
        num_items=min(num_files, len(lacking) * cfg.block_files),
        limits=sandbox.Limits(cfg.max_memory_mb, cfg.max_cpu_s, cfg.timeout_s),
        prepare=at_hand,
    )
    for result in results:
        name, block = started.popleft()
        with finished.writing(name) as folder:
            _write_block(folder, block, result, cfg, tombstones)


def _write_block(
    folder: Path,
    block: Sequence[Footage],
    results: Sequence[Canonical | Reject | executor.Lost],
    cfg: IngestConfig,
    tombstones: Tombstones,
) -> None:
    fingerprints = []
    with (
        ShardWriter(folder, cfg.shard_clips) as tar,
        TableWriter(folder / manifest.MANIFEST, Clip) as clips,
        TableWriter(folder / manifest.FILES, File) as files,
        TableWriter(folder / manifest.REJECTS, Reject) as rejects,
    ):
        for footage, result in zip(block, results, strict=True):
            reject = _why_not(footage, result, tombstones)
            files.add(_file(footage, result, reject))
            if reject is not None:
                rejects.add(reject)
            elif isinstance(result, Canonical):
                for window in result.windows:
                    clips.add(_clip(footage, window, result, tar))
                    fingerprints.append(window.fingerprint)
    np.save(folder / manifest.FINGERPRINTS, _stacked(fingerprints, cfg.clip))


def _stacked(fingerprints: Sequence[np.ndarray], clip: ClipFormat) -> np.ndarray:
    shape = (len(fingerprints), num_hashes(clip.num_frames), 2, HASH_BYTES)
    return np.asarray(fingerprints, np.uint8).reshape(shape)


def _why_not(
    footage: Footage, result: Canonical | Reject | executor.Lost, tombstones: Tombstones
) -> Reject | None:
    if isinstance(result, executor.Lost):
        return _reject(footage, result.reason, result.detail)
    if isinstance(result, Reject):
        return result
    if result.sha256 in tombstones.sha256s:
        return _reject(footage, "forgotten", "the same bytes were to be forgotten")
    if result.windows:
        return None
    lost_s: dict[str, float] = defaultdict(float)
    for stretch in result.dropped:
        lost_s[stretch.reason] += stretch.end_s - stretch.start_s
    reason = next(iter(lost_s)) if len(lost_s) == 1 else "nothing_left"
    what = ", ".join(f"{time_s:.2f} s {code}" for code, time_s in sorted(lost_s.items()))
    clip_s = footage.clip.num_frames / footage.clip.fps
    return _reject(
        footage,
        reason if lost_s else "too_short",
        f"no clip of {clip_s:.2f} s in its {result.duration_s:.2f} s ({what or 'too short'})",
    )


def _file(
    footage: Footage, result: Canonical | Reject | executor.Lost, reject: Reject | None
) -> File:
    row = footage.row
    file = File(
        collection=footage.collection.name,
        path=row.path,
        recording=footage.recording,
        source=row.source,
        origin=row.origin,
        licence=row.licence,
        authority=row.authority,
        reject=reject.reason if reject else None,
    )
    if not isinstance(result, Canonical):
        return file
    return replace(
        file,
        sha256=result.sha256,
        num_bytes=result.num_bytes,
        container=result.container,
        codec=result.codec,
        pixel_format=result.pixel_format,
        width=result.width,
        height=result.height,
        fps=result.fps,
        duration_s=result.duration_s,
        marks=json.dumps(result.marks),
        cuts_s=json.dumps(result.cuts_s),
        dropped=json.dumps([asdict(stretch) for stretch in result.dropped]),
        num_clips=0 if reject else len(result.windows),
    )


def _clip(footage: Footage, window: Window, result: Canonical, tar: ShardWriter) -> Clip:
    row, clip = footage.row, footage.clip
    identity = f"{footage.collection.name}/{row.path}@{window.start_frame}"
    clip_id = hashlib.sha256(identity.encode()).hexdigest()[:16]
    start_s = window.start_frame / clip.fps
    is_cut_off = "ends_early" in result.marks
    file_s = float("inf") if is_cut_off else result.duration_s
    discharge, unused = label(row, start_s, clip, file_s)
    place = tar.add(clip_id, window.mp4)
    return Clip(
        clip_id=clip_id,
        parent_id=None,
        collection=footage.collection.name,
        path=row.path,
        source=row.source,
        origin=row.origin,
        recording=footage.recording,
        start_s=start_s,
        box=",".join(map(str, window.box)),
        discharge=discharge,
        licence=row.licence,
        authority=row.authority,
        viewpoint=row.viewpoint,
        notes=row.notes,
        pixels_sha256=window.pixels_sha256,
        shard=place.shard,
        offset=place.offset,
        size=place.size,
        unused=unused,
        marks=json.dumps(window.marks),
    )


def _assemble(blocks: Sequence[Path], fresh: Path, cfg: IngestConfig) -> dict[str, int]:
    """Write the output from finished blocks; returns the counts that decide about the run."""
    labels = {True: "shooting", False: "other", None: "unknown"}
    classes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    marks: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    unlabelled = dict.fromkeys(_UNLABELLED, 0)
    recordings: set[str] = set()
    with TableWriter(fresh / manifest.MANIFEST, Clip) as clips:
        for clip in shards.gather(blocks, fresh):
            clips.add(clip)
            recordings.add(clip.recording)
            classes[f"{clip.origin} {labels[clip.discharge]}"] += 1
            if clip.unused is not None:
                unlabelled[clip.unused] += 1
    num_files = 0
    with TableWriter(fresh / manifest.FILES, File) as files:
        for block in blocks:
            for file in manifest.read_rows(block / manifest.FILES, File):
                files.add(file)
                num_files += 1
                marks.update(json.loads(file.marks))
                dropped.update(stretch["reason"] for stretch in json.loads(file.dropped))
    with TableWriter(fresh / manifest.REJECTS, Reject) as rejects:
        for block in blocks:
            for reject in manifest.read_rows(block / manifest.REJECTS, Reject):
                rejects.add(reject)
                reasons[reject.reason] += 1
    _join_fingerprints(blocks, fresh / manifest.FINGERPRINTS, classes.total(), cfg.clip)
    manifest.write_format(fresh, cfg.clip)
    counts = {"files": num_files, "clips": classes.total(), "rejects": reasons.total()}
    manifest.write_stats(
        fresh,
        {
            **counts,
            "recordings": len(recordings),
            "clips_by_class": classes,
            "rejects_by_reason": reasons,
            "stretches_dropped_by_reason": dropped,
            "files_by_mark": marks,
        },
    )
    return {**counts, **unlabelled, "forgotten": reasons["forgotten"]}


def _join_fingerprints(
    blocks: Sequence[Path], path: Path, num_clips: int, clip: ClipFormat
) -> None:
    shape = (num_clips, *_stacked([], clip).shape[1:])
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.load(block / manifest.FINGERPRINTS).tobytes())


def _check(stats: dict[str, int], output: Path, cfg: IngestConfig) -> None:
    """Raise where the output, which is in place already, holds too little of the footage."""
    rejects = manifest.read_rows(output / manifest.REJECTS, Reject)
    wanted = (reject for reject in rejects if reject.reason != "forgotten")
    examples = "".join(
        f"\n  {reject.collection}/{reject.path}: {reject.reason}: {reject.detail}; {reject.remedy}"
        for reject, _ in zip(wanted, range(10), strict=False)
    )
    everything = f"\nall of them: {output / manifest.REJECTS}"
    if not stats["clips"]:
        raise UserError(f"no file of {stats['files']} became a clip{examples}{everything}")
    num_rejects, num_files = (stats[key] - stats["forgotten"] for key in ("rejects", "files"))
    if num_rejects > cfg.max_reject_rate * num_files:
        raise UserError(
            f"{num_rejects} of {num_files} files rejected, more than "
            f"max_reject_rate={cfg.max_reject_rate} in conf/ingest.yaml{examples}{everything}"
        )
