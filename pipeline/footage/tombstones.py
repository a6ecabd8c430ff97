"""Recordings that were removed for good: `forgotten.csv`, with a row a file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from pipeline.errors import UserError
from pipeline.footage import csvfile
from pipeline.system.names import composed, trimmed, why_missing

FORGOTTEN = "forgotten.csv"


@dataclass(frozen=True, order=True)
class Tombstone:
    """One file that ingest must refuse, wherever it turns up."""

    recording: str
    """`<collection>/<recording of the index>`."""
    path: str
    """The path of the file inside the collection."""
    sha256: str
    """Hash of the file's bytes; empty where they were never seen."""


@dataclass(frozen=True)
class Tombstones:
    """Holds what ingest refuses: everything of a recording, and bytes under any name."""

    recordings: frozenset[str]
    sha256s: frozenset[str]


COLUMNS = tuple(f.name for f in fields(Tombstone))


def forgotten(folder: Path) -> Tombstones:
    """Return what `folder/forgotten.csv` names; nothing where there is no such file.

    Raises:
        UserError: lists every mistake of the file at once.
    """
    rows = read_tombstones(folder)
    return Tombstones(
        frozenset(row.recording for row in rows), frozenset(row.sha256 for row in rows) - {""}
    )


def read_tombstones(folder: Path) -> list[Tombstone]:
    """Read and check `folder/forgotten.csv`; no rows where there is no such file.

    Raises:
        UserError: lists every mistake of the file at once, each with row, column, value, remedy.
    """
    path = folder / FORGOTTEN
    if not os.path.lexists(path):
        return []
    if not path.is_file():
        # To take it for empty would bring back what was to be forgotten.
        raise UserError(f"{path}: {why_missing(folder, FORGOTTEN)}")
    header, *lines = csvfile.read(path, COLUMNS)
    if sorted(header.cells) != sorted(COLUMNS):
        raise UserError(
            f"{path}: row {header.number}: the columns are {', '.join(header.cells) or 'none'}; "
            f"they must be {', '.join(COLUMNS)}"
        )
    stones, mistakes = set(), []
    for line in lines:
        cell = dict(zip(header.cells, map(trimmed, line.cells), strict=False))
        row_mistakes = [line.mistake] if line.mistake else _mistakes(line.number, cell)
        mistakes += row_mistakes
        if not row_mistakes:
            stones.add(Tombstone(composed(cell["recording"]), cell["path"], cell["sha256"]))
    if mistakes:
        raise UserError(csvfile.mistakes_in_words(path, mistakes))
    return sorted(stones)


def write_tombstones(folder: Path, rows: Iterable[Tombstone]) -> None:
    """Replace `folder/forgotten.csv` as a whole, sorted and without doubles."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{FORGOTTEN}.new"
    with fresh.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(astuple(row) for row in sorted(set(rows)))
    fresh.rename(folder / FORGOTTEN)


def _mistakes(line: int, cell: dict[str, str]) -> list[str]:
    mistakes = []
    collection, slash, recording = cell["recording"].partition("/")
    if not (collection and slash and recording):
        mistakes.append(
            f"row {line}, column recording: '{cell['recording']}' is no <collection>/<recording>"
        )
    digits = cell["sha256"]
    if digits and (len(digits) != 64 or set(digits) - set("0123456789abcdef")):
        mistakes.append(
            f"row {line}, column sha256: '{digits}' is no hash of 64 lower-case hexadecimal "
            "digits; mend it, or leave it empty"
        )
    return mistakes
