"""Tells the story of a file or clip: `python -m pipeline explain <file or clip id>`."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from pipeline.assess import wording
from pipeline.commands import bank_holdings, past_decisions, tables
from pipeline.config import IngestApp, Paths
from pipeline.detect.scores import SCORES
from pipeline.errors import UserError
from pipeline.footage.tombstones import FORGOTTEN, read_tombstones
from pipeline.store.manifest import (
    ABSENT,
    FILES,
    MANIFEST,
    REJECTS,
    Clip,
    File,
    Reject,
    open_table,
    read_format,
)
from pipeline.store.output_files import AUDIT
from pipeline.store.packed_samples import INDEX as PACKED_INDEX

_MAX_LISTED = 20
_SOUND_OFF = "sound is off (conf/ingest.yaml)"
_UNUSED = {
    "no_discharge_times": "the file has discharges, and the index no times of them (discharges_s)",
    "discharge_beyond_end": "the index names a discharge after the end of the file; mend the times",
    "heard_beyond_end": "the index names what is heard after the end of the file alone; mend the "
    "times",
    "discharge_at_edge": "a discharge only touches its edge",
    "discharge_only_heard": "a discharge is heard and not seen, and not surely in the clip",
    "heard_without_sound": "the file has no sound, and the index names when discharges are heard "
    "in it; give the file with its sound, or mend heard_s",
    "cluster_of_unseen": "its cluster holds clips of a source that is held out as unseen",
}


def run(subject: str, cfg: IngestApp) -> None:
    """Print what a file was, what it became, where that went, and why.

    Args:
        subject: `<collection>/<path>`, a path or the end of one, where the file lies on this
            machine, or the id of a clip or variant.

    Raises:
        UserError: ingest has not run, or knows nothing of the kind.
    """
    paths = cfg.paths
    open_table(Path(paths.clips) / FILES, File).close()
    clip = _find_clip(subject, paths)
    if clip is not None:
        _print_clip(clip, subject, cfg)
        return
    files = _find_files(subject, paths) or _find_files(_in_collection(subject, paths), paths)
    if len(files) > 1:
        lines = [f"  {_name(file)}" for file in files[:_MAX_LISTED]]
        lines += [f"  and {len(files) - _MAX_LISTED} more"] * (len(files) > _MAX_LISTED)
        print("\n".join([f"'{subject}' is the end of {len(files)} files:", *lines]))
        sys.exit(1)
    if files:
        _print_file(files[0], cfg)
    elif not _print_tombstone(subject, paths):
        raise UserError(
            f"'{subject}' is no file, clip or variant of {paths.clips} and {paths.augmented}; "
            f"{tables.nearest(subject, _known_names(subject, paths))}".rstrip("; ")
        )


def _name(row: File | Clip) -> str:
    return f"{row.collection}/{row.path}"


def _find_clip(clip_id: str, paths: Paths) -> Clip | None:
    """The clip that is, or that is the parent of the variant that is, called `clip_id`."""
    of_it = pc.field("clip_id") == clip_id
    for row in tables.select(Path(paths.clips) / MANIFEST, of_it):
        return Clip(**row)
    for row in tables.select(Path(paths.augmented) / MANIFEST, of_it):
        return _find_clip(row["parent_id"], paths)
    return None


def _find_files(subject: str, paths: Paths) -> list[File]:
    """The file of that name, or else those of that path, or else those whose name ends so."""
    full_name = pc.binary_join_element_wise(pc.field("collection"), pc.field("path"), "/")
    table = Path(paths.clips) / FILES
    found = [File(**row) for row in tables.select(table, pc.ends_with(full_name, subject))]
    for matches in (
        [file for file in found if _name(file) == subject],
        [file for file in found if file.path == subject],
        [file for file in found if file.path.endswith(f"/{subject}")],
    ):
        if matches:
            return matches
    return found


def _in_collection(subject: str, paths: Paths) -> str:
    """`<collection>/<path>` of a file that is named by where it lies, such as footage/a/b.mp4."""
    path = Path(subject).absolute()
    for folder in map(Path, (paths.footage, paths.synthetic)):
        if path.is_relative_to(folder.absolute()):
            return str(path.relative_to(folder.absolute()))
    return subject


def _known_names(subject: str, paths: Paths) -> Iterator[str]:
    columns = ["collection", "path"] if "/" in subject else ["path"]
    for row in tables.select(Path(paths.clips) / FILES, pc.scalar(True), columns):
        yield "/".join(row.values())


def _print_tombstone(subject: str, paths: Paths) -> bool:
    """Say that a file, which ingest does not know any more, was forgotten; False if it was not."""
    stones = [
        stone
        for stone in read_tombstones(Path(paths.footage))
        if subject in (stone.path, f"{stone.recording.partition('/')[0]}/{stone.path}")
    ]
    for stone in stones:
        print(f"{stone.path}: forgotten with recording {stone.recording}")
        print(f"  {Path(paths.footage) / FORGOTTEN} keeps ingest from taking it in again")
    return bool(stones)


def _print_file(file: File, cfg: IngestApp) -> None:
    paths = cfg.paths
    _print_source(file, paths)
    for reject in _rejects(file, paths):
        print(f"Rejected by {reject.stage}: {reject.reason}: {reject.detail}")
        print(f"  remedy: {reject.remedy}")
    of_it = (pc.field("collection") == file.collection) & (pc.field("path") == file.path)
    clips = [Clip(**row) for row in tables.select(Path(paths.clips) / MANIFEST, of_it)]
    _print_times(file, clips, cfg, elsewhere=True)
    if clips:
        _print_clips(clips, cfg)


def _print_clip(clip: Clip, subject: str, cfg: IngestApp) -> None:
    paths = cfg.paths
    print(f"{'clip' if subject == clip.clip_id else 'variant'} {subject}, made from")
    for file in _find_files(_name(clip), paths):
        _print_source(file, paths)
        _print_times(file, [clip], cfg, elsewhere=False)
    print(f"Pixels {clip.pixels_sha256}, in {clip.shard}, {clip.size} bytes from {clip.offset}")
    _print_clips([clip], cfg)
    for row in _variants([clip], paths):
        print(f"Variant {row['clip_id']}: {row['variant']}")


def _print_source(file: File, paths: Paths) -> None:
    """Tell what the file was, and which stretches of it became nothing."""
    print(_name(file))
    if file.codec is not None:
        rate = "" if file.fps is None else f", {file.fps:.4g} frames/s"
        print(
            f"  {file.container}, {file.codec} {file.pixel_format}, {file.width}x{file.height}"
            f"{rate}, {file.duration_s or 0:.2f} s, {file.num_bytes} bytes"
        )
    if file.sound_codec is not None:
        print(
            f"  sound: {file.sound_codec}, {file.sound_rate_hz} Hz, channels {file.sound_channels}"
        )
    if file.dubbed:
        print("  dubbed: what is heard is not what happened, and has no label (index.csv)")
    if file.sha256 is not None:
        print(f"  sha256 {file.sha256}")
    for item in bank_holdings.items_with(file.sha256, Path(paths.banks)):
        print(f"  the same bytes as {item}")
    for match in bank_holdings.matches_of(file.collection, file.path, Path(paths.clips)):
        print(f"  known: {match}")
    for said in past_decisions.decisions_of(file.sha256, Path(paths.review)):
        print(f"  decided by {said}")
    print(f"  {file.origin}, source {file.source}, recording {file.recording}")
    print(f"  licence {file.licence}; authority {file.authority or 'not given'}")
    if marks := json.loads(file.marks):
        print(f"  marks: {', '.join(marks)}")
    if cuts_s := json.loads(file.cuts_s):
        print(f"  cuts at {', '.join(f'{time_s:.2f}' for time_s in cuts_s)} s")
    for stretch in json.loads(file.dropped):
        print(
            f"  dropped {stretch['start_s']:.2f} to {stretch['end_s']:.2f} s: {stretch['reason']}"
        )


def _print_times(file: File, clips: Sequence[Clip], cfg: IngestApp, *, elsewhere: bool) -> None:
    """When the index has discharges, and the clips in whose time that is; or `elsewhere` too."""
    columns = {"discharges_s": json.loads(file.discharges_s), "heard_s": json.loads(file.heard_s)}
    for column, times_s in columns.items():
        lines = []
        clip_s = _clip_s(cfg.paths) if times_s else 0.0
        for time_s in times_s:
            around = [clip for clip in clips if 0 <= time_s - clip.start_s < clip_s]
            if around or elsewhere:
                named = [f"{clip.clip_id} ({_label(clip, cfg)})" for clip in around]
                lines.append(f"  {time_s:.2f} s: {'; '.join(named) or 'in no clip'}")
        if lines:
            more = [f"  and {len(lines) - _MAX_LISTED} more"] * (len(lines) > _MAX_LISTED)
            print("\n".join([f"{column} in the index:", *lines[:_MAX_LISTED], *more]))


def _clip_s(paths: Paths) -> float:
    form = read_format(Path(paths.clips))
    return form.num_frames / form.fps


def _rejects(file: File, paths: Paths) -> Iterator[Reject]:
    of_it = (pc.field("collection") == file.collection) & (pc.field("path") == file.path)
    return (Reject(**row) for row in tables.select(Path(paths.clips) / REJECTS, of_it))


def _print_clips(clips: Sequence[Clip], cfg: IngestApp) -> None:
    """A line a clip, with all that later stages made of it, then the clusters."""
    paths = cfg.paths
    ids = [clip.clip_id for clip in clips]
    of_them = pc.field("clip_id").isin(ids)
    splits = {row["clip_id"]: Clip(**row) for row in _rows(paths.splits, MANIFEST, of_them)}
    samples = [row["clip_id"] for row in _rows(paths.packed, PACKED_INDEX, of_them, ["clip_id"])]
    scores = {
        row["clip_id"]: row["score"]
        for row in _rows(paths.reports, SCORES, of_them, ["clip_id", "score"])
    }
    variants = [row["parent_id"] for row in _variants(clips, paths)]
    print(f"{wording.count(len(clips), 'clip')}:")
    for clip in clips:
        assigned = splits.get(clip.clip_id)
        facts = [
            f"{clip.start_s:.2f} s",
            _shown(clip),
            _label(clip, cfg),
            _heard(clip, cfg),
            _destination(assigned or clip, paths, known=assigned is not None),
            _counted(variants.count(clip.clip_id), "variant"),
            _counted(samples.count(clip.clip_id), "packed sample"),
            f"score {scores[clip.clip_id]:.4f}" if clip.clip_id in scores else "",
        ]
        print(f"  {clip.clip_id}  {'; '.join(fact for fact in facts if fact)}")
    _print_clusters(list(splits.values()), paths)
    _print_audit(ids, Path(paths.splits) / AUDIT)


def _rows(
    folder: str, name: str, where: pc.Expression, columns: list[str] | None = None
) -> Iterator[dict[str, Any]]:
    return tables.select(Path(folder) / name, where, columns)


def _variants(clips: Sequence[Clip], paths: Paths) -> list[dict[str, Any]]:
    of_them = pc.field("parent_id").isin([clip.clip_id for clip in clips])
    return list(_rows(paths.augmented, MANIFEST, of_them, ["clip_id", "parent_id", "variant"]))


def _counted(number: int, noun: str) -> str:
    return wording.count(number, noun) if number else ""


def _shown(clip: Clip) -> str:
    left, top, width, height = clip.box.split(",")
    return f"{width}x{height} pixels at {left},{top}"


def _label(clip: Clip, cfg: IngestApp) -> str:
    if clip.unused == "discharge_only_heard" and not cfg.sound:
        return f"label unknown: a discharge is heard and not seen, and {_SOUND_OFF}"
    if clip.discharge is None:
        return f"label unknown: {_UNUSED.get(clip.unused or '', clip.unused)}"
    if clip.discharge:
        return "discharge that is only heard" if clip.seen is None else "discharge"
    return "no discharge"


def _heard(clip: Clip, cfg: IngestApp) -> str:
    told = {
        None: "not known whether a discharge is heard",
        True: "a discharge is heard",
        False: "no discharge is heard",
    }
    if clip.sound == ABSENT:
        return "no sound" if cfg.sound else _SOUND_OFF
    return f"sound {clip.sound}, {told[clip.heard]}"


def _destination(clip: Clip, paths: Paths, *, known: bool) -> str:
    """Return where split sent the clip, or why nowhere."""
    if clip.split is not None:
        # Nothing else has a split and no label.
        bag = ", in the bag of its file's windows" if clip.discharge is None else ""
        return clip.split + bag
    if clip.unused is not None:
        return "in no split" if clip.discharge is None else f"in no split: {_UNUSED[clip.unused]}"
    if (Path(paths.splits) / MANIFEST).is_file() and not known:
        return f"not in {paths.splits}, which is older; run dvc repro"
    return "not yet split; run dvc repro"


def _print_clusters(clips: Sequence[Clip], paths: Paths) -> None:
    """Tell who else is in the clusters of these clips, which are of one file, and why."""
    if not clips:
        return
    first = clips[0]
    named = sorted({clip.cluster for clip in clips if clip.cluster is not None})
    others: dict[str, dict[str, list[Clip]]] = defaultdict(lambda: defaultdict(list))
    for row in _rows(paths.splits, MANIFEST, pc.field("cluster").isin(named)):
        other = Clip(**row)
        others[str(other.cluster)][_name(other)].append(other)
    for cluster in named:
        members = others[cluster]
        alone = len(members) == 1
        print(f"Cluster {cluster}{': nothing else' * alone}")
        listed = [name for name in sorted(members) if name != _name(first)]
        for name in listed[:_MAX_LISTED]:
            print(f"  {name}: {_tie(first, clips, members[name])}")
        if len(listed) > _MAX_LISTED:
            print(f"  and {len(listed) - _MAX_LISTED} more files")


def _print_audit(ids: Sequence[str], audit: Path) -> None:
    """What split found nearest to one of these clips in another split, where that was nearest."""
    closest = json.loads(audit.read_text())["closest"] if audit.is_file() else None
    if closest is None:
        return
    for one, other in (closest["clips"], closest["clips"][::-1]):
        if one["clip_id"] in ids:
            print(
                f"Clip {one['clip_id']} is {closest['distance']} bits from {other['clip_id']} of "
                f"{other['recording']} ({other['split']}), the closest pair across splits"
            )


def _tie(first: Clip, clips: Sequence[Clip], others: Sequence[Clip]) -> str:
    """Return why clips of another file are in the cluster of these."""
    if others[0].recording == first.recording:
        return "the same recording"
    pixels = {clip.pixels_sha256 for clip in clips}
    if any(other.pixels_sha256 in pixels for other in others):
        return f"the same pixels, recording {others[0].recording}"
    return f"near-duplicate, itself or through others, recording {others[0].recording}"
