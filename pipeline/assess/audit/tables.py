"""The tables that an audit reads, and what it gives: proofs, and the clips that break them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.store import manifest
from pipeline.store.manifest import Clip, File

OFFENDER_SCHEMA = pa.schema(
    [
        pa.field("proof", pa.string(), nullable=False),
        pa.field("found", pa.string(), nullable=False),
        pa.field("clip_id", pa.string()),
        pa.field("recording", pa.string()),
        pa.field("split", pa.string()),
    ]
)
"""A row a clip that breaks a proof; `found` names what it shares with the others of its group."""
LABELS = ("recording", "source", "origin", "discharge")
"""Columns that a clip, its variants and what is judged of it have in common."""


@dataclass(frozen=True)
class Proof:
    """A statement that must hold, how much of it was checked, and what breaks it."""

    name: str
    """Its name in lower case with underscores."""
    holds: str
    """The sentence, with its numbers, that is true where nothing breaks it."""
    num_checked: int
    offenders: pa.Table
    """Rows of `OFFENDER_SCHEMA`."""
    note: str = ""
    """A sentence on what the proof leaves open."""
    num_found: int | None = None
    """Number of offenders found, where `offenders` holds but an example."""

    @property
    def num_broken(self) -> int:
        """Number of different things found."""
        if self.num_found is not None:
            return self.num_found
        return len(pc.unique(self.offenders["found"]))


@dataclass(frozen=True)
class Tables:
    """Tables that stages before left, read once."""

    clips: pa.Table
    """The manifest of the splits."""
    ingested: pa.Table
    """The manifest of the clips, which the splits were made of."""
    variants: pa.Table
    files: pa.Table

    @classmethod
    def read(cls, clips: Path, splits: Path, augmented: Path) -> Tables:
        """Read the tables of three folders.

        Raises:
            UserError: one of them is missing, unreadable, or of another schema.
        """
        return cls(
            _read(splits / manifest.MANIFEST, Clip),
            _read(clips / manifest.MANIFEST, Clip),
            _read(augmented / manifest.MANIFEST, Clip),
            _read(clips / manifest.FILES, File),
        )

    @property
    def used(self) -> pa.Table:
        """The clips that are in a split."""
        return self.clips.filter(pc.is_valid(self.clips["split"]))


def _read(path: Path, kind: type) -> pa.Table:
    with manifest.open_table(path, kind) as file:
        return file.read()


def file_name(table: pa.Table) -> pa.ChunkedArray:
    """Join each row's collection and path to one text."""
    # No name holds a zero byte, so that different pairs stay different.
    return pc.binary_join_element_wise(table["collection"], table["path"], "\0")


def offender_rows(proof: str, rows: pa.Table, found: str | pa.Array) -> pa.Table:
    """Rows of `OFFENDER_SCHEMA` for clips, grouped by a column of theirs or by given texts."""
    groups = rows[found] if isinstance(found, str) else found
    names = pa.repeat(pa.scalar(proof), rows.num_rows)
    columns = [names, groups, rows["clip_id"], rows["recording"], rows["split"]]
    return pa.table(columns, schema=OFFENDER_SCHEMA)
