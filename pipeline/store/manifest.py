"""The tables that stages hand on: a row a canonical clip, a row a file, a row a reject.

Tables are written and read in batches, so that memory does not grow with the number of rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import ClipFormat
from pipeline.errors import UserError
from pipeline.store.output_files import FILES as FILES
from pipeline.store.output_files import FORMAT as FORMAT
from pipeline.store.output_files import MANIFEST as MANIFEST
from pipeline.store.output_files import STATS as STATS

REJECTS = "rejects.parquet"
FINGERPRINTS = "fingerprints.npy"
FILE_PRINTS = "file_fingerprints.parquet"
FRAME_PRINTS = "frame_fingerprints.parquet"
CLASSES = ("real_shooting", "fictional_shooting", "real_other", "fictional_other")
REAL_SHOOTING = CLASSES.index("real_shooting")
IS_REAL = tuple(name.startswith("real") for name in CLASSES)
IS_DISCHARGE = tuple(name.endswith("shooting") for name in CLASSES)
"""Whether each of `CLASSES` is real, and whether it shows a discharge."""
NO_TIMES = "no_discharge_times"
"""Why a clip has no label whose file shows a discharge that nobody knows the time of."""
PRESENT, ABSENT, SILENT, QUIET, INCOMPLETE, DAMAGED = PRESENCES = (
    "present",
    "absent",
    "silent",
    "quiet",
    "incomplete",
    "damaged",
)
"""What there is of the sound of a clip.

`absent`: no track, or none at this time. `silent`: digital silence. `quiet`: a root mean square
below −70 dB of full scale. `incomplete`: more than 20 ms of it have no samples. `damaged`: a part
could not be decoded.
"""
SPLITS = ("train", "val", "test", "unseen")
LONG = "_long"
LONG_SPLITS = tuple(split + LONG for split in SPLITS if split != "train")
"""Long recordings beside those of a split, for the streams suite alone: hundreds of clips of one
recording would outweigh all others wherever clips are counted."""
EVERY_SPLIT = (*SPLITS, *LONG_SPLITS)


@dataclass(frozen=True)
class Clip:
    """One canonical clip: where it comes from, what it shows, where its bytes are."""

    clip_id: str
    parent_id: str | None
    """The clip that a variant was made from."""
    collection: str
    path: str
    source: str
    origin: str
    recording: str
    """`<collection>/<recording of the index>`; recordings are unique over collections."""
    start_s: float
    box: str
    """`left,top,width,height` of what it shows, in displayed pixels of the file."""
    discharge: bool | None
    """None where the label of the file does not tell this window's."""
    licence: str
    authority: str
    viewpoint: str
    notes: str
    pixels_sha256: str
    """Hash of the RGB frames before encoding; equal for exact duplicates."""
    shard: str
    offset: int
    size: int
    """Bytes `offset` to `offset + size` of `shard` are the clip's mp4."""
    cluster: str | None = None
    split: str | None = None
    """One of `EVERY_SPLIT`; None for a clip that no split uses."""
    unused: str | None = None
    """Why no split uses it.

    `no_discharge_times`, `discharge_at_edge`, `discharge_beyond_end`, `discharge_only_heard`,
    `heard_beyond_end`, `heard_without_sound` or `cluster_of_unseen`.
    """
    marks: str = "[]"
    """JSON list of what is odd about a clip that is only there to be scored: `damaged`, `short`
    (its last picture is held), `still`; in sorted order."""
    variant: str | None = None
    """JSON of every augmentation parameter."""
    file_sha256: str = ""
    """Of the file that it was cut from."""
    rendered: bool = False
    """Whether a computer made an imitation of what the origin names, as the index says."""
    sound: str = ABSENT
    """What there is of its sound: one of `PRESENCES`."""
    seen: bool | None = None
    """Whether a discharge can be seen; None where that cannot be known, or one is only heard."""
    heard: bool | None = None
    """Whether a discharge can be heard; None where it has no sound, or that cannot be known."""
    sound_offset: int = 0
    sound_size: int = 0
    """Bytes of `shard` that are the clip's FLAC; none where every sample is zero."""


@dataclass(frozen=True)
class File:
    """One row of an index: what the file was, and what became of it.

    What needs decoding is None in a file that was rejected before it could be told.
    """

    collection: str
    path: str
    recording: str
    """`<collection>/<recording of the index>`."""
    source: str
    origin: str
    licence: str
    authority: str
    sha256: str | None = None
    num_bytes: int | None = None
    container: str | None = None
    codec: str | None = None
    pixel_format: str | None = None
    width: int | None = None
    """Of the stored picture, before rotation and pixel aspect ratio."""
    height: int | None = None
    fps: float | None = None
    """Mean rate that the container declares."""
    sound_codec: str | None = None
    """Of the track that clips were given; None where there is none, or it was not read."""
    sound_rate_hz: int | None = None
    sound_channels: int | None = None
    duration_s: float | None = None
    """From the start of the file to the end of its last picture, by a player's clock."""
    marks: str = "[]"
    """JSON list of what was odd: `damaged`, `ends_early`, `starts_late`, … in sorted order."""
    cuts_s: str = "[]"
    """JSON list of the times at which the picture cuts or breaks off."""
    dropped: str = "[]"
    """JSON list of `{"start_s", "end_s", "reason"}`: the stretches that became no clip."""
    num_clips: int = 0
    reject: str | None = None
    """The reason code of the row in the rejects, where there is one."""
    rendered: bool = False
    """Whether a computer made an imitation of what the origin names, as the index says."""
    dubbed: bool = False
    """Whether what is heard is not what happened, as the index says."""
    discharges_s: str = "[]"
    """JSON list of the times at which discharges are seen, as the index says."""
    heard_s: str = "[]"
    """JSON list of the times at which others are only heard, as the index says."""


@dataclass(frozen=True)
class Reject:
    """One item that a stage could not use, and why."""

    collection: str
    path: str
    stage: str
    reason: str
    detail: str
    remedy: str


@dataclass(frozen=True)
class FilePrint:
    """What others may know a file by, as a whole; only of files that could be decoded."""

    collection: str
    path: str
    recording: str
    """`<collection>/<recording of the index>`."""
    sha256: str
    md5: str
    duration_s: float
    chromaprint: str | None
    """Of its sound, as `fpcalc` and AcoustID write it; None of less than 2.7 s."""
    chromaprint_start_s: float | None
    """When the first item of it begins; each further one begins 1365 / 11025 s later."""


@dataclass(frozen=True)
class FramePrint:
    """What others may know a picture of a file by: the first of each second, and after each cut."""

    collection: str
    path: str
    file_sha256: str
    time_s: float
    """When it is on the screen, by a player's clock."""
    after_cut: bool
    pdq: str
    """PDQ of the full picture as it is displayed: 64 hexadecimal digits."""
    quality: int
    """PDQ's, 0 (flat) to 100."""


Row = TypeVar("Row", Clip, File, Reject, FilePrint, FramePrint)
_ROWS_PER_GROUP = 8192
_ARROW = {"str": pa.string(), "float": pa.float64(), "bool": pa.bool_(), "int": pa.int64()}


def _schema(row_type: type) -> pa.Schema:
    columns = []
    for f in fields(row_type):
        kind, _, null = str(f.type).partition(" | ")
        columns.append(pa.field(f.name, _ARROW[kind], nullable=bool(null)))
    return pa.schema(columns)


def marks_of_pictures(marks: str) -> list[str]:
    """The marks of a file, a JSON list as `File.marks` is, but for those of its sound."""
    return [mark for mark in json.loads(marks) if "sound" not in mark]


def class_index(origin: str, discharge: bool) -> int:
    """Position in `CLASSES` of origin × discharge; all but real is fictional."""
    return (0 if discharge else 2) + (0 if origin == "real" else 1)


def read_manifest(folder: Path) -> list[Clip]:
    """Read the whole of `folder/manifest.parquet`; `read_rows` reads it piece by piece.

    Raises:
        UserError: missing, unreadable, or of another schema.
    """
    return list(read_rows(folder / MANIFEST, Clip))


def read_rejects(folder: Path) -> list[Reject]:
    """Read the whole of `folder/rejects.parquet`."""
    return list(read_rows(folder / REJECTS, Reject))


def write_stats(folder: Path, stats: Mapping[str, Any]) -> None:
    """Write `folder/stats.json`: counts only, so that equal data hash equal."""
    (folder / STATS).write_text(json.dumps(stats, indent=2, sort_keys=True) + "\n")


def write_format(folder: Path, clip: ClipFormat) -> None:
    """Write `folder/format.json`, so that clips say themselves what shape they have."""
    (folder / FORMAT).write_text(json.dumps(asdict(clip), indent=2) + "\n")


def read_format(folder: Path) -> ClipFormat:
    """Read `folder/format.json`.

    Raises:
        UserError: missing or not readable.
    """
    path = folder / FORMAT
    if not path.is_file():
        raise UserError(
            f"{path}: missing; run dvc checkout {folder}, or the stage that writes it once more "
            "(dvc repro --force --single-item <stage>)"
        )
    try:
        return ClipFormat(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: no format of clips ({error}); run its stage again") from error


class TableWriter(Generic[Row]):
    """Writes dataclass rows to a Parquet file, a fixed number of rows a group.

    The bytes depend on the rows alone, not on how they were handed over.
    """

    def __init__(self, path: Path, row_type: type[Row]) -> None:
        self._schema = _schema(row_type)
        self._writer = pq.ParquetWriter(path, self._schema)
        self._held: list[Row] = []

    def __enter__(self) -> TableWriter[Row]:
        return self

    def __exit__(self, *raised: object) -> None:
        self._flush()
        self._writer.close()

    def add(self, row: Row) -> None:
        """Append a row."""
        self._held.append(row)
        if len(self._held) == _ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            columns = {
                name: [getattr(row, name) for row in self._held] for name in self._schema.names
            }
            self._writer.write_table(pa.Table.from_pydict(columns, self._schema))
            self._held = []


def write_rows(path: Path, row_type: type[Row], rows: Iterable[Row]) -> None:
    """Write rows of `row_type`, a dataclass of this module, to a Parquet file."""
    with TableWriter(path, row_type) as table:
        for row in rows:
            table.add(row)


def open_table(path: Path, row_type: type) -> pq.ParquetFile:
    """Open a table of `row_type` to read columns or batches.

    Raises:
        UserError: missing, unreadable, or of another schema.
    """
    if not path.is_file():
        raise UserError(f"{path}: missing; run the stage that writes it (dvc repro)")
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not readable ({error}); run its stage again") from error
    if file.schema_arrow.names != _schema(row_type).names:
        raise UserError(f"{path}: written by another version of the schema; run its stage again")
    return file


def read_rows(path: Path, row_type: type[Row]) -> Iterator[Row]:
    """Yield the rows of a table in order, holding one batch of them.

    Raises:
        UserError: missing, unreadable, or of another schema.
    """
    with open_table(path, row_type) as file:
        try:
            for batch in file.iter_batches(_ROWS_PER_GROUP):
                for row in batch.to_pylist():
                    yield row_type(**row)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"{path}: not readable ({error}); run its stage again") from error
