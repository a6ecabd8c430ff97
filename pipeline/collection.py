"""The footage contract: a folder of video files with an `index.csv` that labels them."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath

from pipeline.errors import UserError

INDEX = "index.csv"
ORIGINS = ("real", "game", "film")
REQUIRED = ("path", "origin", "source", "discharge", "licence")


@dataclass(frozen=True)
class IndexRow:
    """One file of a collection, as its index labels it."""

    path: str
    """Relative, inside the collection, with forward slashes."""
    origin: str
    """One of `ORIGINS`."""
    source: str
    """A device fleet, a site, a game title, a film."""
    discharge: bool
    """A firearm is fired somewhere in the file."""
    licence: str
    recording: str = ""
    """What must never be divided between splits; the path where the index leaves it empty."""
    discharges_s: tuple[float, ...] = ()
    """Start times in seconds from the first frame; empty where they are not known."""
    authority: str = ""
    """Who released the footage, and on what basis."""
    viewpoint: str = ""
    captured_at: str = ""
    notes: str = ""


COLUMNS = tuple(f.name for f in fields(IndexRow))


def find_collections(folder: Path) -> list[Path]:
    """The folders below `folder`, itself included, that hold an index."""
    return sorted(index.parent for index in folder.rglob(INDEX)) if folder.is_dir() else []


def write_index(folder: Path, rows: Iterable[IndexRow]) -> None:
    """Write `folder/index.csv`."""
    with (folder / INDEX).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow(
                [
                    ";".join(f"{time_s:.4f}" for time_s in row.discharges_s)
                    if column == "discharges_s"
                    else int(row.discharge)
                    if column == "discharge"
                    else getattr(row, column)
                    for column in COLUMNS
                ]
            )


def read_index(folder: Path) -> list[IndexRow]:
    """Read and check `folder/index.csv`.

    Raises:
        UserError: lists every mistake of the file at once, each with row, column, value, remedy.
    """
    return list(iter_index(folder))


def iter_index(folder: Path) -> Iterator[IndexRow]:
    """Check the whole of `folder/index.csv`, then yield its rows one by one.

    Raises:
        UserError: before the first row, as `read_index`.
    """
    check_index(folder)
    for _, row, _ in _rows(folder / INDEX):
        assert row is not None
        yield row


def check_index(folder: Path) -> int:
    """The number of files that `folder/index.csv` lists; raises as `read_index`."""
    index = folder / INDEX
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name a footage collection")
    if not index.is_file():
        raise UserError(
            f"{index}: missing; a footage collection needs an {INDEX} with the columns "
            f"{', '.join(REQUIRED)}"
        )
    mistakes: list[str] = []
    seen: dict[str, int] = {}
    num_rows = 0
    try:
        mistakes += _header_mistakes(_header(index))
        if mistakes:
            raise UserError(_message(index, mistakes))
        for line, row, row_mistakes in _rows(index):
            num_rows += 1
            mistakes += row_mistakes
            if row is None:
                continue
            if row.path in seen:
                mistakes.append(
                    f"row {line}, column path: '{row.path}' stands in row {seen[row.path]} "
                    "already; remove one"
                )
            seen[row.path] = line
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{index}: not a UTF-8 CSV file ({error}); save it as such") from error
    if not num_rows:
        mistakes.append("row 2: the index lists no file; add one row a file")
    if mistakes:
        raise UserError(_message(index, mistakes))
    return num_rows


def _header(index: Path) -> list[str]:
    with index.open(newline="", encoding="utf-8-sig") as file:
        return [name.strip() for name in next(csv.reader(file, strict=True), [])]


def _rows(index: Path) -> Iterator[tuple[int, IndexRow | None, list[str]]]:
    """Line, row and mistakes of every row; a row with mistakes is None."""
    header = _header(index)
    with index.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        next(reader, None)
        for cells in reader:
            if cells:
                line = reader.line_num
                cell = dict(zip(header, cells, strict=False))
                yield line, *_parse(line, cell, cells, header)


def _message(index: Path, mistakes: list[str]) -> str:
    noun = "mistake" if len(mistakes) == 1 else "mistakes"
    return "\n  ".join([f"{index}: {len(mistakes)} {noun}", *mistakes])


def _header_mistakes(header: list[str]) -> list[str]:
    mistakes = [
        f"row 1: column '{name}' is missing; add it" for name in REQUIRED if name not in header
    ]
    for name in header:
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, n=1)
            remedy = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(COLUMNS)}"
            mistakes.append(f"row 1: unknown column '{name}'; {remedy}")
        elif header.count(name) > 1:
            mistakes.append(f"row 1: column '{name}' stands twice; remove one")
    return mistakes


def _parse(
    line: int, cell: dict[str, str], cells: list[str], header: list[str]
) -> tuple[IndexRow | None, list[str]]:
    mistakes: list[str] = []

    def wrong(column: str, remedy: str) -> None:
        mistakes.append(f"row {line}, column {column}: '{cell.get(column, '')}' {remedy}")

    if len(cells) != len(header):
        return None, [f"row {line}: {len(cells)} cells instead of {len(header)}; quote commas"]
    cell = {column: value.strip() for column, value in cell.items()}
    path = PurePosixPath(cell["path"])
    if not cell["path"]:
        wrong("path", "is empty; name the file")
    elif path.is_absolute() or ".." in path.parts or "\\" in cell["path"]:
        wrong("path", "leaves the collection; give a relative path inside it, with forward slashes")
    if cell["origin"] not in ORIGINS:
        wrong("origin", f"is none of {', '.join(ORIGINS)}")
    if cell["discharge"] not in ("0", "1"):
        wrong("discharge", "is neither 0 nor 1")
    for column in ("source", "licence"):
        if not cell[column]:
            wrong(column, "is empty; every file needs one")
    discharges_s: tuple[float, ...] = ()
    try:
        parts = [part for part in cell.get("discharges_s", "").split(";") if part.strip()]
        discharges_s = tuple(sorted(float(part) for part in parts))
    except ValueError:
        wrong("discharges_s", "is not a list of seconds such as 0.5;2.25")
    if not all(0 <= time_s < float("inf") for time_s in discharges_s):
        wrong("discharges_s", "holds a time that is no second of the file; times start at 0")
    if discharges_s and cell["discharge"] == "0":
        wrong("discharges_s", "has times although discharge is 0; mend one of them")
    if mistakes:
        return None, mistakes
    text = {c: cell.get(c, "") for c in ("authority", "viewpoint", "captured_at", "notes")}
    return (
        IndexRow(
            path=str(path),
            origin=cell["origin"],
            source=cell["source"],
            discharge=cell["discharge"] == "1",
            licence=cell["licence"],
            recording=cell.get("recording") or str(path),
            discharges_s=discharges_s,
            **text,
        ),
        [],
    )
