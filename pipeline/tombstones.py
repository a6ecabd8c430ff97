"""Recordings that were removed for good: `forgotten.csv`, with a row a file."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from pipeline.errors import UserError

FORGOTTEN = "forgotten.csv"


@dataclass(frozen=True, order=True)
class Tombstone:
    """One file that ingest must refuse, wherever it turns up."""

    recording: str
    """`<collection>/<recording of the index>`."""
    path: str
    """Inside the collection."""
    sha256: str
    """Of the file's bytes; empty where they were never seen."""


@dataclass(frozen=True)
class Tombstones:
    """What ingest refuses: everything of a recording, and bytes under any name."""

    recordings: frozenset[str]
    sha256s: frozenset[str]


COLUMNS = tuple(f.name for f in fields(Tombstone))


def forgotten(folder: Path) -> Tombstones:
    """What `folder/forgotten.csv` names; nothing where there is no such file.

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
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a UTF-8 CSV file ({error}); save it as such") from error
    if sorted(header) != sorted(COLUMNS):
        raise UserError(
            f"{path}: row 1: the columns are {', '.join(header) or 'none'}; "
            f"they must be {', '.join(COLUMNS)}"
        )
    mistakes = [mistake for line, cells in lines for mistake in _mistakes(line, header, cells)]
    if mistakes:
        noun = "mistake" if len(mistakes) == 1 else "mistakes"
        raise UserError("\n  ".join([f"{path}: {len(mistakes)} {noun}", *mistakes]))
    return sorted({Tombstone(**dict(zip(header, cells, strict=True))) for _, cells in lines})


def write_tombstones(folder: Path, rows: Iterable[Tombstone]) -> None:
    """Replace `folder/forgotten.csv` as a whole, sorted and without doubles."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{FORGOTTEN}.new"
    with fresh.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(astuple(row) for row in sorted(set(rows)))
    fresh.rename(folder / FORGOTTEN)


def _mistakes(line: int, header: list[str], cells: list[str]) -> list[str]:
    if len(cells) != len(header):
        return [f"row {line}: {len(cells)} cells instead of {len(header)}; quote commas"]
    cell = dict(zip(header, cells, strict=True))
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
