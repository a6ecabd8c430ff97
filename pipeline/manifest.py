"""The one table schema that every stage reads and writes: a row a canonical clip."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import ClipFormat
from pipeline.errors import UserError

MANIFEST = "manifest.parquet"
REJECTS = "rejects.parquet"
STATS = "stats.json"
FORMAT = "format.json"
CLASSES = ("real_shooting", "fictional_shooting", "real_other", "fictional_other")
SPLITS = ("train", "val", "test", "unseen")


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
    discharge: bool | None
    """None where the label of the file does not tell this window's."""
    licence: str
    authority: str
    viewpoint: str
    pixels_sha256: str
    """Hash of the RGB frames before encoding; equal for exact duplicates."""
    shard: str
    offset: int
    size: int
    """Bytes `offset` to `offset + size` of `shard` are the clip's mp4."""
    cluster: str | None = None
    split: str | None = None
    """One of `SPLITS`; None for a clip that no split uses."""
    variant: str | None = None
    """JSON of every augmentation parameter."""


@dataclass(frozen=True)
class Reject:
    """One item that a stage could not use, and why."""

    collection: str
    path: str
    stage: str
    reason: str
    detail: str
    remedy: str


_ARROW = {"str": pa.string(), "float": pa.float64(), "bool": pa.bool_(), "int": pa.int64()}


def _schema(row_type: type) -> pa.Schema:
    columns = []
    for f in fields(row_type):
        kind, _, null = str(f.type).partition(" | ")
        columns.append(pa.field(f.name, _ARROW[kind], nullable=bool(null)))
    return pa.schema(columns)


CLIP_SCHEMA = _schema(Clip)
REJECT_SCHEMA = _schema(Reject)


def class_index(origin: str, discharge: bool) -> int:
    """Position in `CLASSES` of origin × discharge; game and film are fictional."""
    return (0 if discharge else 2) + (0 if origin == "real" else 1)


def write_manifest(folder: Path, clips: Iterable[Clip]) -> None:
    """Write `folder/manifest.parquet`."""
    _write(folder / MANIFEST, clips, CLIP_SCHEMA)


def read_manifest(folder: Path) -> list[Clip]:
    """Read `folder/manifest.parquet`.

    Raises:
        UserError: missing, unreadable, or of another schema.
    """
    return [Clip(**row) for row in _read(folder / MANIFEST, CLIP_SCHEMA)]


def write_rejects(folder: Path, rejects: Iterable[Reject]) -> None:
    """Write `folder/rejects.parquet`."""
    _write(folder / REJECTS, rejects, REJECT_SCHEMA)


def read_rejects(folder: Path) -> list[Reject]:
    """Read `folder/rejects.parquet`."""
    return [Reject(**row) for row in _read(folder / REJECTS, REJECT_SCHEMA)]


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
        raise UserError(f"{path}: missing; run the stage that writes it (dvc repro)")
    try:
        return ClipFormat(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: no format of clips ({error}); run its stage again") from error


def _write(path: Path, rows: Iterable[Any], schema: pa.Schema) -> None:
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=schema)
    pq.write_table(table, path)


def _read(path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    if not path.is_file():
        raise UserError(f"{path}: missing; run the stage that writes it (dvc repro)")
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not readable ({error}); run its stage again") from error
    if table.schema.names != schema.names:
        raise UserError(f"{path}: written by another version of the schema; run its stage again")
    return list(table.to_pylist())
