"""The footage contract: a folder of video files with an `index.csv` that labels them."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath

from pipeline.errors import UserError
from pipeline.footage import csvfile
from pipeline.system.names import MISSING, composed, trimmed, why_missing

INDEX = "index.csv"
ORIGINS = ("real", "game", "film", "generated")
"""By a camera in the world, a game engine, a film crew, a generator of video; all but real are
fictional."""
REQUIRED = ("path", "origin", "source", "discharge", "licence")
# Python would take 3_2, 1e3 and digits of other scripts, too, which no one means.
_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
_CLOCK = re.compile(r"(?:([0-9]{1,4}):)?([0-9]{1,2}):([0-9]{1,2}(?:\.[0-9]+)?)")
_TIMES = ("discharges_s", "heard_s")
_REVIEWED = "reviewed_by"
_TEXTS = ("authority", "viewpoint", "captured_at", "notes", _REVIEWED)
_TRUE_OR_FALSE = ("discharge", "rendered", "dubbed")
_TRUTHS = dict.fromkeys(("true", "yes", "y", "t", "x", "1.0", "1,0", "wahr", "ja"), "1") | (
    dict.fromkeys(("false", "no", "n", "f", "-", "0.0", "0,0", "falsch", "nein"), "0")
)


@dataclass(frozen=True)
class IndexRow:
    """One file of a collection, as its index labels it."""

    path: str
    """Relative, inside the collection, with forward slashes, as the index writes it."""
    origin: str
    """One of `ORIGINS`."""
    source: str
    """A device fleet, a site, a game title, a film, a generator of video."""
    discharge: bool
    """A firearm is fired somewhere in the file."""
    licence: str
    recording: str = ""
    """What must never be divided between splits; the path where the index leaves it empty."""
    discharges_s: tuple[float, ...] = ()
    """Start times in seconds from the first frame of discharges that can be seen."""
    heard_s: tuple[float, ...] = ()
    """Times in seconds at which the sound of others begins, which cannot be seen.

    Where neither `discharges_s` nor these has a time, the times of a file are not known.
    """
    authority: str = ""
    """Who released the footage, and on what basis."""
    rendered: bool = False
    """A computer made an imitation of what the origin names, in whole or in part.

    Ray-traced people, as real, as game or as film, are rendered; a game engine's picture of its
    game and a photograph as it is are not.
    """
    dubbed: bool = False
    """What is heard is not what happened: music in its place, or the sound of something else."""
    viewpoint: str = ""
    captured_at: str = ""
    notes: str = ""
    reviewed_by: str = ""
    """Who looked at the file and decided its labels, where that came of `discern review`."""


COLUMNS = tuple(f.name for f in fields(IndexRow))


def write_index(folder: Path, rows: Iterable[IndexRow]) -> None:
    """Write `folder/index.csv`; without `reviewed_by` where nothing was reviewed."""
    rows = list(rows)
    columns = [one for one in COLUMNS if one != _REVIEWED or any(row.reviewed_by for row in rows)]
    with (folder / INDEX).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow(
                [
                    ";".join(f"{time_s:.4f}" for time_s in getattr(row, column))
                    if column in _TIMES
                    else int(getattr(row, column))
                    if column in _TRUE_OR_FALSE
                    else getattr(row, column)
                    for column in columns
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
        if (why := why_missing(folder, INDEX)) != MISSING:
            raise UserError(f"{index}: missing: {why}")
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
            raise UserError(csvfile.mistakes_in_words(index, mistakes))
        for line, row, row_mistakes in _rows(index):
            num_rows += 1
            mistakes += row_mistakes
            if row is None:
                continue
            # Two ways to write a name that look the same would be one file twice.
            name = composed(trimmed(row.path))
            if name in seen:
                mistakes.append(
                    f"row {line}, column path: '{row.path}' stands in row {seen[name]} "
                    "already; remove one"
                )
            seen.setdefault(name, line)
    except OSError as error:
        raise UserError(
            f"{index}: not readable ({error.strerror}); give the user who runs this the right to "
            "read it"
        ) from error
    if not num_rows:
        mistakes.append("row 2: the index lists no file; add one row a file")
    if mistakes:
        raise UserError(csvfile.mistakes_in_words(index, mistakes))
    return num_rows


def _header(index: Path) -> csvfile.CsvRow:
    return next(csvfile.read(index, COLUMNS))


def _rows(index: Path) -> Iterator[tuple[int, IndexRow | None, list[str]]]:
    """Line, row and mistakes of every row; a row with mistakes is None."""
    rows = csvfile.read(index, COLUMNS)
    header = next(rows).cells
    for row in rows:
        if row.mistake:
            yield row.number, None, [row.mistake]
        else:
            yield row.number, *_parse(row.number, dict(zip(header, row.cells, strict=True)))


def _header_mistakes(header: csvfile.CsvRow) -> list[str]:
    where, names = f"row {header.number}", header.cells
    mistakes = [
        f"{where}: column '{name}' is missing; add it" for name in REQUIRED if name not in names
    ]
    for name in dict.fromkeys(names):
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, n=1)
            remedy = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(COLUMNS)}"
            mistakes.append(f"{where}: unknown column '{name}'; {remedy}")
        elif names.count(name) > 1:
            mistakes.append(f"{where}: column '{name}' stands {names.count(name)} times; keep one")
    return mistakes


def _parse(line: int, written: dict[str, str]) -> tuple[IndexRow | None, list[str]]:
    mistakes: list[str] = []
    cell = {column: trimmed(value) for column, value in written.items()}

    def wrong(column: str, remedy: str) -> None:
        mistakes.append(f"row {line}, column {column}: '{cell.get(column, '')}' {remedy}")

    # A file may be called with spaces around; whoever finds the file knows.
    path = PurePosixPath(written["path"])
    if not cell["path"]:
        wrong("path", "is empty; name the file")
    elif "\\" in cell["path"]:
        wrong("path", "holds a backslash; give a relative path with forward slashes")
    elif path.is_absolute() or ".." in path.parts:
        wrong("path", "leaves the collection; give a relative path inside it, with forward slashes")
    elif not path.parts:
        wrong("path", "is the collection itself; name a file in it")
    if cell["origin"] not in ORIGINS:
        near = difflib.get_close_matches(cell["origin"].lower(), ORIGINS, n=1)
        remedy = f"; write {near[0]}" if near else ""
        wrong("origin", f"is none of {', '.join(ORIGINS)}{remedy}")
    # An index that says nothing of it is of footage as it was taken.
    for column in ("rendered", "dubbed"):
        cell[column] = cell.get(column) or "0"
    for column in _TRUE_OR_FALSE:
        if cell[column] not in ("0", "1"):
            meant = _TRUTHS.get(cell[column].lower(), "")
            wrong(column, f"is neither 0 nor 1{f'; write {meant}' if meant else ''}")
    for column in ("source", "licence"):
        if not cell[column]:
            wrong(column, "is empty; every file needs one")
    times_s: dict[str, tuple[float, ...]] = {}
    for column in _TIMES:
        try:
            times_s[column] = _times(cell.get(column, ""))
        except ValueError as error:
            wrong(column, str(error))
        if times_s.get(column) and cell["discharge"] == "0":
            wrong(column, "has times although discharge is 0; mend one of them")
    if mistakes:
        return None, mistakes
    text = {c: cell.get(c, "") for c in _TEXTS}
    return (
        IndexRow(
            path=str(path),
            origin=cell["origin"],
            source=composed(cell["source"]),
            discharge=cell["discharge"] == "1",
            licence=cell["licence"],
            recording=composed(cell.get("recording") or trimmed(str(path))),
            discharges_s=times_s["discharges_s"],
            heard_s=times_s["heard_s"],
            rendered=cell["rendered"] == "1",
            dubbed=cell["dubbed"] == "1",
            **text,
        ),
        [],
    )


def _times(text: str) -> tuple[float, ...]:
    """The sorted times of a cell; raises a ValueError that says what to write."""
    parts = [trimmed(part) for part in text.split(";")]
    parts = [part for part in parts if part]
    for part in parts:
        if _SECONDS.fullmatch(part):
            continue
        if re.fullmatch(r"[0-9.]+(\s*,\s*[0-9.]+)+", part):
            raise ValueError("holds a comma; write points in numbers and ; between them: 3.2;3.95")
        clock = _CLOCK.fullmatch(part)
        if clock:
            hours, minutes, seconds = int(clock[1] or 0), int(clock[2]), float(clock[3])
            seconds += 3600 * hours + 60 * minutes
            raise ValueError(f"holds a time of a clock; write {seconds:g} for '{part}'")
        if re.fullmatch(r"-[0-9.]+|[+-]?(nan|inf|infinity)", part, re.IGNORECASE):
            raise ValueError("holds a time that is no second of the file; times start at 0")
        which = f"; mend '{part}'" if len(parts) > 1 else ""
        raise ValueError(f"is not a list of seconds such as 0.5;2.25{which}")
    times_s = tuple(sorted(map(float, parts)))
    if times_s and times_s[-1] == float("inf"):
        raise ValueError("holds a time that is no second of the file")
    return times_s
