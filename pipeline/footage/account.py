"""The rows that account for a file: of the files, of its clips, or of the rejects; and counts."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field, replace

from pipeline.footage.canonical import Canonical
from pipeline.footage.conversion import Unusable
from pipeline.footage.labels import UNLABELLED, label, wrong_times
from pipeline.footage.listing import ListedFile
from pipeline.footage.remedies import remedy
from pipeline.footage.sightings import NONE, Sighting
from pipeline.footage.windows import Window
from pipeline.store.manifest import Clip, File, FilePrint, FramePrint, Reject
from pipeline.store.shards import Extent, ShardWriter

MOST_NAMED = 10
"""Files whose times are said to be wrong, each by its name; a log of more would not be read."""
_LABELS = {True: "shooting", False: "other", None: "unknown"}


@dataclass
class Tally:
    """Holds what a run made, counted."""

    files: int = 0
    recordings: set[str] = field(default_factory=set)
    classes: Counter[str] = field(default_factory=Counter)
    sounds: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    unused: Counter[str] = field(default_factory=Counter)
    wrong_times: list[str] = field(default_factory=list)
    """What is wrong with the times of files, a sentence each, of `MOST_NAMED` at most."""

    def add_file(self, file: File) -> None:
        """Count a file, and why it was rejected if it was."""
        self.files += 1
        self.marks.update(json.loads(file.marks))
        self.dropped.update(stretch["reason"] for stretch in json.loads(file.dropped))
        self.reasons.update([file.reject] if file.reject else [])

    def add_clip(self, clip: Clip) -> None:
        """Count a clip."""
        self.recordings.add(clip.recording)
        self.classes[f"{clip.origin} {_LABELS[clip.discharge]}"] += 1
        self.sounds[clip.sound] += 1
        self.unused.update([clip.unused] if clip.unused else [])

    def add_times(self, listed: ListedFile, result: Canonical) -> None:
        """Keep what is wrong with the times that the index has of a file."""
        if len(self.wrong_times) < MOST_NAMED and (told := told_wrong_times(listed, result)):
            self.wrong_times.append(told)

    def stats(self) -> dict[str, object]:
        """Return what `stats.json` tells."""
        return {
            "files": self.files,
            "clips": self.classes.total(),
            "rejects": self.reasons.total(),
            "recordings": len(self.recordings),
            "clips_by_class": self.classes,
            "clips_by_sound": self.sounds,
            "rejects_by_reason": self.reasons,
            "stretches_dropped_by_reason": self.dropped,
            "files_by_mark": self.marks,
        }

    def deciding(self) -> dict[str, int]:
        """Return what decides about the run."""
        return {
            "files": self.files,
            "clips": self.classes.total(),
            "rejects": self.reasons.total(),
            "forgotten": self.reasons["forgotten"],
            **{why: self.unused[why] for why in UNLABELLED},
        }


def why_not(
    listed: ListedFile, result: Canonical | Unusable, sighting: Sighting = NONE
) -> Reject | None:
    """The reject that a file is; None where it became clips."""
    if isinstance(result, Unusable):
        return _reject(listed, result.reason, result.detail)
    if result.windows:
        return _reject(listed, *sighting.refused) if sighting.refused else None
    lost_s: dict[str, float] = defaultdict(float)
    for stretch in result.dropped:
        lost_s[stretch.reason] += stretch.end_s - stretch.start_s
    reason = next(iter(lost_s)) if len(lost_s) == 1 else "nothing_left"
    what = ", ".join(f"{time_s:.2f} s {code}" for code, time_s in sorted(lost_s.items()))
    clip_s = listed.task.clip.num_frames / listed.task.clip.fps
    return _reject(
        listed,
        reason if lost_s else "too_short",
        f"no clip of {clip_s:.2f} s in its {result.duration_s:.2f} s ({what or 'too short'})",
    )


def _reject(listed: ListedFile, reason: str, detail: str) -> Reject:
    return Reject(listed.collection.name, listed.row.path, "ingest", reason, detail, remedy(reason))


def file_row(
    listed: ListedFile,
    result: Canonical | Unusable,
    reject: Reject | None,
    sighting: Sighting = NONE,
) -> File:
    """The row of a file, of which a reject says why it was not used."""
    row = listed.row
    file = File(
        collection=listed.collection.name,
        path=row.path,
        recording=listed.recording,
        source=row.source,
        origin=row.origin,
        licence=row.licence,
        authority=row.authority,
        reject=reject.reason if reject else None,
        rendered=row.rendered,
        dubbed=row.dubbed,
        discharges_s=json.dumps(row.discharges_s),
        heard_s=json.dumps(row.heard_s),
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
        sound_codec=result.track.codec,
        sound_rate_hz=result.track.rate_hz,
        sound_channels=result.track.channels,
        duration_s=result.duration_s,
        marks=json.dumps(sorted({*result.marks, *sighting.marks})),
        cuts_s=json.dumps(result.cuts_s),
        dropped=json.dumps([asdict(stretch) for stretch in result.dropped]),
        num_clips=0 if reject else len(result.windows),
    )


def print_rows(listed: ListedFile, result: Canonical) -> tuple[FilePrint, list[FramePrint]]:
    """The fingerprints of a file for others: of all of it, and of its pictures."""
    collection, path = listed.collection.name, listed.row.path
    whole = FilePrint(
        collection=collection,
        path=path,
        recording=listed.recording,
        sha256=result.sha256,
        md5=result.md5,
        duration_s=result.duration_s,
        chromaprint=result.track.chromaprint,
        chromaprint_start_s=result.track.chromaprint_start_s,
    )
    frames = [
        FramePrint(collection, path, result.sha256, **asdict(one)) for one in result.frame_prints
    ]
    return whole, frames


def told_wrong_times(listed: ListedFile, result: Canonical) -> str | None:
    """Which times of the index cannot be those of a file, and what to do, or None where all can."""
    row = listed.row
    wrong = wrong_times(row, _length_s(result), is_mute=_is_mute(listed, result))
    if wrong is None:
        return None
    times = ";".join(f"{time_s:g}" for time_s in wrong.times_s)
    what = (
        "the file has no sound; give it with its sound, or correct"
        if wrong.reason == "heard_without_sound"
        else f"its pictures end at {result.duration_s:.2f} s; correct"
    )
    return (
        f"{listed.collection.name}/{row.path}: {wrong.column}={times} in index.csv, but {what} the "
        "times, or the path of the row"
    )


def _length_s(result: Canonical) -> float:
    """Return how long the pictures of a file last; nobody knows of one that is cut off."""
    return float("inf") if "ends_early" in result.marks else result.duration_s


def _is_mute(listed: ListedFile, result: Canonical) -> bool:
    return listed.task.with_sound and result.is_mute


def clip_row(
    listed: ListedFile,
    window: Window,
    result: Canonical,
    tar: ShardWriter,
    sighting: Sighting = NONE,
) -> Clip:
    """Add the bytes of a window to the shards; returns its row, with the label that it has."""
    row, clip = listed.row, listed.task.clip
    identity = f"{listed.collection.name}/{row.path}@{window.start_frame}"
    clip_id = hashlib.sha256(identity.encode()).hexdigest()[:16]
    start_s = window.start_frame / clip.fps
    end_s = start_s + clip.num_frames / clip.fps
    file_s, is_mute = _length_s(result), _is_mute(listed, result)
    labels = label(row, start_s, clip, file_s, window.presence, is_mute=is_mute)
    extent = tar.add(clip_id, window.mp4)
    heard = tar.add_sound(clip_id, window.flac) if window.flac else Extent(extent.shard, 0, 0)
    return Clip(
        clip_id=clip_id,
        parent_id=None,
        collection=listed.collection.name,
        path=row.path,
        source=row.source,
        origin=row.origin,
        recording=listed.recording,
        start_s=start_s,
        box=",".join(map(str, window.box)),
        discharge=labels.discharge,
        licence=row.licence,
        authority=row.authority,
        viewpoint=row.viewpoint,
        notes=sighting.notes(row.notes, start_s, end_s),
        pixels_sha256=window.pixels_sha256,
        shard=extent.shard,
        offset=extent.offset,
        size=extent.size,
        unused=labels.unlabelled,
        marks=json.dumps(window.marks),
        file_sha256=result.sha256,
        rendered=row.rendered,
        sound=window.presence,
        seen=labels.seen,
        heard=labels.heard,
        sound_offset=heard.offset,
        sound_size=heard.size,
    )
