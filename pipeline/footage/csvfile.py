"""CSV files as people save them: commas in UTF-8 are read, all else is named with its remedy."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import UserError
from pipeline.footage import unplayable
from pipeline.system.names import trimmed

_SAVE = "save it as 'CSV UTF-8', with commas"
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars", ":": "colons"}
_HEAD_BYTES = 1 << 16
_MARKS = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


@dataclass(frozen=True)
class CsvRow:
    """A row that is not empty.

    Attributes:
        number: of the line that it starts in, from 1.
        cells: as they are written; one a column of the header where `mistake` is empty.
        mistake: what is wrong with the row as a whole, and the remedy.
    """

    number: int
    cells: tuple[str, ...]
    mistake: str = ""


def read(path: Path, columns: Collection[str]) -> Iterator[CsvRow]:
    """Yield the header, with its names in small letters, and then the rows.

    Marks of the byte order, empty rows, empty columns without a name, spaces around names, Excel's
    `sep=,` and line ends of any system are read over: they can mean one thing only.

    Args:
        path: the file.
        columns: names of which the header must have one.

    Raises:
        UserError: no CSV of commas in UTF-8, with the row where there is one.
    """
    with path.open("rb") as file:
        _check_kind(path, file)
        # What is not UTF-8 is kept until its row is known.
        text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
        records = _records(path, text)
        header = next(records, None)
        if header is not None and header.cells == ("sep=", ""):
            header = next(records, None)
        if header is None:
            raise UserError(f"{path}: the file is empty; its first row must be {_list(columns)}")
        names = [trimmed(name).lower() for name in header.cells]
        _check_header(path, header, names, columns)
        kept = [number for number, name in enumerate(names) if name]
        yield CsvRow(header.number, tuple(names[number] for number in kept))
        for row in records:
            yield _fitted(row, len(names), kept)


def _records(path: Path, text: io.TextIOWrapper) -> Iterator[CsvRow]:
    reader = csv.reader(text, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise UserError(f"{path}: row {number}: {_trouble(error)}") from error
        if cells is None:
            return
        for cell in cells:
            if not cell.isascii() and _is_foreign(cell):
                shown = cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
                raise UserError(
                    f"{path}: row {number}: not a UTF-8 CSV file: '{shown[:60]}' is in another "
                    f"encoding, such as Windows-1252; {_SAVE}"
                )
        if any(trimmed(cell) for cell in cells):
            yield CsvRow(number, tuple(cells))


def _fitted(row: CsvRow, num_columns: int, kept: Sequence[int]) -> CsvRow:
    """The row with the cells of named columns only."""
    where, cells = f"row {row.number}", row.cells
    while len(cells) > num_columns and not trimmed(cells[-1]):
        cells = cells[:-1]
    if any("\0" in cell for cell in cells):
        return CsvRow(row.number, cells, f"{where}: holds a NUL byte; write the row again")
    if _swallows(cells, num_columns):
        return CsvRow(
            row.number,
            cells,
            f"{where}: a cell holds whole rows; close the quotation mark that opens it",
        )
    if len(cells) != num_columns:
        is_comment = trimmed(cells[0]).startswith("#")
        count = f"{len(cells)} cells instead of {num_columns}"
        remedy = "take the comment out" if is_comment else "quote commas"
        return CsvRow(row.number, cells, f"{where}: {count}; {remedy}")
    for number, cell in enumerate(cells):
        if number not in kept and trimmed(cell):
            return CsvRow(
                row.number,
                cells,
                f"{where}: '{cell}' stands in a column without a name; name it in row 1",
            )
    return CsvRow(row.number, tuple(cells[number] for number in kept))


def _swallows(cells: Sequence[str], num_columns: int) -> bool:
    """Whether a quotation mark that was left open took in the start of a row after its own."""
    return num_columns > 1 and any(
        line.count(",") >= num_columns - 1 for cell in cells for line in cell.splitlines()[1:]
    )


def _is_foreign(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _trouble(error: csv.Error) -> str:
    if "field larger" in str(error):
        return (
            f"a cell of more than {csv.field_size_limit():,} characters; close the quotation mark "
            "that opens it, or shorten it"
        )
    return (
        "a quotation mark is left open, or stands amid a cell; close it, and write a mark amid a "
        "cell twice, in a cell that is quoted as a whole"
    )


def _check_kind(path: Path, file: BinaryIO) -> None:
    """Raise where the bytes are no text in UTF-8; leaves the file at its start."""
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            raise UserError(
                f"{path}: not a UTF-8 CSV file but {encoding}, as of 'Unicode text'; {_SAVE}"
            )
    if head.startswith(_WORKBOOKS):
        raise UserError(f"{path}: a workbook (xlsx, ods, xls) or an archive, not CSV; {_SAVE}")
    found = unplayable.describe(path)
    if found is not None and found.reason not in ("text", "empty"):
        raise UserError(f"{path}: {found.detail}, not CSV; {unplayable.REMEDIES[found.reason]}")
    # Latin letters in two bytes have every other byte zero.
    if head.count(0) > len(head) // 4:
        raise UserError(
            f"{path}: not a UTF-8 CSV file but UTF-16 without its mark, or no text; {_SAVE}"
        )


def _check_header(
    path: Path, header: CsvRow, names: Sequence[str], columns: Collection[str]
) -> None:
    where = f"{path}: row {header.number}"
    first = header.cells[0]
    known = sum(name in columns for name in names)
    if first.lower().startswith("sep="):
        raise UserError(f"{where}: '{first}' names a separator that is no comma; {_SAVE}")
    if trimmed(first).startswith("#"):
        raise UserError(f"{where}: '{first}' is a comment, and there can be none; take it out")
    line = ",".join(header.cells)
    for separator, noun in _SEPARATORS.items():
        if sum(trimmed(part).strip('"').lower() in columns for part in line.split(separator)) > max(
            known, 1
        ):
            raise UserError(f"{where}: the cells are divided by {noun}; {_SAVE}")
    if not known:
        raise UserError(
            f"{where}: '{line[:60]}' names no known column; the first row must be {_list(columns)}"
        )


def mistakes_in_words(path: Path, mistakes: Sequence[str]) -> str:
    """All mistakes of a file as one message, a line each."""
    noun = "mistake" if len(mistakes) == 1 else "mistakes"
    return "\n  ".join([f"{path}: {len(mistakes)} {noun}", *mistakes])


def _list(columns: Collection[str]) -> str:
    return f"names of columns, such as {','.join(columns)}"
