"""Listings of files to score: Parquet, CSV or JSON lines with an `id` and a `uri` a row."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.commands import named_files
from pipeline.errors import UserError
from pipeline.footage import csvfile
from pipeline.system.names import trimmed
from pipeline.system.visible_text import plain

REQUIRED = ("id", "uri")
SOURCE = "source"
"""A column that may be there too: where a file comes from, as an index of footage has it."""
HASHES = {"sha256": 64, "md5": 32}
"""Columns that may be there too, of the bytes of a file, with their hexadecimal digits."""
_LONGEST_LINE = 2**20
_READ_BYTES = 2**20
_ROWS_AT_ONCE = 4096
_MOST_TOLD = 10
_MOST_SHOWN = 80
_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class ListingRow:
    """A row of a listing.

    Attributes:
        id: of the user's, unlike any other in the listing.
        uri: where the file is, as it is written.
        sha256, md5: of its bytes as the listing has them, in small letters; empty where it has not.
        source: where it comes from; empty where the listing does not say.
    """

    id: str
    uri: str
    sha256: str = ""
    md5: str = ""
    source: str = ""


@dataclass(frozen=True)
class _Row:
    where: str
    """The file and the row, in words."""
    cells: Mapping[str, Any]


@dataclass(frozen=True)
class Listing:
    """A listing that was read once, and is sound.

    Attributes:
        path: a file, a folder of nothing but Parquet, or one of videos, whose ids are their paths
            in it.
        folder: that relative paths begin from.
        sha256: of its bytes; of those of a folder one after the other, or of its ids.
        num_rows: how many it has.
    """

    path: Path
    folder: Path
    sha256: str
    num_rows: int

    @property
    def made_by(self) -> dict[str, Any]:
        """Return what of its scores is told by the listing itself."""
        return {"listing_sha256": self.sha256, "rows": self.num_rows}

    def rows(self) -> Iterator[ListingRow]:
        """Its rows, in order."""
        for row in _rows(self.path):
            yield _given(row)


def is_listing(path: Path) -> bool:
    """Give whether a path is that of a listing by its name, or a folder of nothing but Parquet."""
    if path.is_dir():
        return bool(_files(path))
    return path.suffix.lower() in _READERS


def read(path: Path) -> Listing:
    """Read a listing to its end, and check it.

    Raises:
        UserError: it is missing, empty or no text in UTF-8, lacks a column, names an id twice, or
            has a row that nobody can tell by an id.
    """
    if not path.exists():
        raise UserError(f"{path}: no such listing; give a file of Parquet, CSV or JSON lines")
    if path.is_file() and not is_listing(path):
        raise UserError(
            f"{path}: no listing by its name; give one that ends with .parquet, .csv or .jsonl, or "
            "leave out= away to score a video"
        )
    sha256 = _sha256(path)
    mistakes: list[str] = []
    prints = array("Q")
    for row in _rows(path):
        mistake = _mistake(row)
        if mistake:
            mistakes.append(mistake)
            if len(mistakes) == _MOST_TOLD:
                break
        prints.append(_print_of(_id_of(row)))
    if not mistakes:
        mistakes = _doubles(path, prints)
    if mistakes:
        raise UserError("\n".join(mistakes))
    if not prints:
        raise UserError(f"{path}: a listing without a row; give one that names files")
    folder = path if path.is_dir() else path.parent
    return Listing(path, folder.resolve(), sha256, len(prints))


def _sha256(path: Path) -> str:
    """The hash of a listing; a line that no memory could hold is found on the way.

    Raises:
        UserError: there is such a line.
    """
    digest, files = hashlib.sha256(), _files(path)
    if not files:
        for row in _rows(path):
            digest.update(f"{row.cells['id']}\n".encode("utf-8", "replace"))
    for file in files:
        is_text = file.suffix.lower() != ".parquet"
        line, length = 1, 0
        with file.open("rb") as opened:
            while data := opened.read(_READ_BYTES):
                digest.update(data)
                if not is_text:
                    continue
                # Readers of CSV take the line ends of old Macs too.
                ended = data.replace(b"\r", b"\n") if file.suffix.lower() == ".csv" else data
                first, *others = ended.split(b"\n")
                lengths = [length + len(first), *map(len, others)]
                if max(lengths) > _LONGEST_LINE:
                    line += next(n for n, size in enumerate(lengths) if size > _LONGEST_LINE)
                    raise UserError(
                        f"{file}: row {line}: a line of more than {_LONGEST_LINE:,} bytes; no "
                        "address is so long, so write the row again"
                    )
                line, length = line + len(others), lengths[-1]
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    """The files of a listing; none where it is a folder of videos."""
    if not path.is_dir():
        return [path]
    inside = [one for one in sorted(path.rglob("*")) if one.is_file() and _counts(one, path)]
    return inside if all(one.suffix.lower() == ".parquet" for one in inside) else []


def _counts(file: Path, root: Path) -> bool:
    """Say whether it is neither hidden nor a mark that Spark leaves beside its own (`_SUCCESS`)."""
    is_mark = file.name.startswith("_") and not file.suffix
    return not is_mark and not any(one.startswith(".") for one in file.relative_to(root).parts)


def _rows(path: Path) -> Iterator[_Row]:
    files = _files(path)
    if not files:
        for video in named_files.named([str(path)]):
            inside = video.relative_to(path).as_posix()
            yield _Row(f"{path}: {inside}", {"id": inside, "uri": inside})
    for file in files:
        yield from _READERS[file.suffix.lower()](file)


def _of_csv(path: Path) -> Iterator[_Row]:
    rows = csvfile.read(path, REQUIRED)
    names = next(rows).cells
    _check_columns(path, names)
    for row in rows:
        if row.mistake:
            raise UserError(f"{path}: {row.mistake}")
        yield _Row(f"{path}: row {row.number}", dict(zip(names, row.cells, strict=True)))


def _of_json(path: Path) -> Iterator[_Row]:
    with path.open("rb") as file:
        for number, data in enumerate(file, 1):
            where = f"{path}: row {number}"
            data = data.strip()
            if not data:
                continue
            try:
                text = data.decode("utf-8-sig" if number == 1 else "utf-8")
                found = json.loads(text)
            except UnicodeDecodeError as error:
                shown = plain(data.decode("utf-8", "replace"), _MOST_SHOWN)
                raise UserError(f"{where}: '{shown}' is not UTF-8; save it as UTF-8") from error
            except (ValueError, RecursionError) as error:
                shown = plain(text, _MOST_SHOWN)
                raise UserError(
                    f"{where}: '{shown}' is no JSON; write an object a line, such as "
                    '{"id": "1", "uri": "clips/1.mp4"}'
                ) from error
            if not isinstance(found, dict):
                raise UserError(
                    f"{where}: '{plain(text, _MOST_SHOWN)}' is no object; write one with id and uri"
                )
            for name in REQUIRED:
                if name not in found:
                    raise UserError(f"{where}: lacks '{name}'; every row must have id and uri")
            yield _Row(where, found)


def _of_parquet(path: Path) -> Iterator[_Row]:
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            _check_columns(path, names)
            wanted = [name for name in (*REQUIRED, *HASHES, SOURCE) if name in names]
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=wanted):
                for cells in batch.to_pylist():
                    number += 1
                    yield _Row(f"{path}: row {number}", cells)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: row {number + 1}: no Parquet that can be read ({plain(str(error), 200)}); "
            "write it again"
        ) from error


_READERS: dict[str, Callable[[Path], Iterator[_Row]]] = {
    ".csv": _of_csv,
    ".jsonl": _of_json,
    ".parquet": _of_parquet,
}


def _check_columns(path: Path, names: Any) -> None:
    for name in REQUIRED:
        if list(names).count(name) != 1:
            there = plain(", ".join(map(str, names)), 200)
            many = "two columns" if name in names else "no column"
            raise UserError(
                f"{path}: {many} '{name}' among {there or 'none'}; a listing has one column id and "
                "one column uri"
            )


def _id_of(row: _Row) -> str:
    value = row.cells["id"]
    return value if isinstance(value, str) else str(value)


def _mistake(row: _Row) -> str | None:
    """Return what is wrong with a row by which it could not be accounted for."""
    value = row.cells["id"]
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return f"{row.where}: id {_shown(value)} is no text; give every row an id of its own"
    if not isinstance(row.cells["uri"], str):
        return f"{row.where}: uri {_shown(row.cells['uri'])} is no text; give the address of a file"
    source = row.cells.get(SOURCE) or ""
    if not isinstance(source, str):
        return f"{row.where}: source {_shown(source)} is no text; name it, or leave it empty"
    for text in (_id_of(row), row.cells["uri"], source):
        try:
            text.encode()
        except UnicodeEncodeError:
            return f"{row.where}: {_shown(text)} is no Unicode; write it again"
    for name, num_digits in HASHES.items():
        digits = row.cells.get(name)
        if digits in (None, ""):
            continue
        if not isinstance(digits, str) or not _is_hash(digits.lower(), num_digits):
            return (
                f"{row.where}: {name} {_shown(digits)} is no hash of {num_digits} hexadecimal "
                "digits; mend it, or leave it empty"
            )
    return None


def _is_hash(digits: str, num_digits: int) -> bool:
    return len(digits) == num_digits and set(digits) <= _DIGITS


def _shown(value: Any) -> str:
    return f"'{plain(str(value), _MOST_SHOWN)}'" if value not in (None, "") else "(empty)"


def _given(row: _Row) -> ListingRow:
    hashes = {name: (row.cells.get(name) or "").lower() for name in HASHES}
    source = trimmed(row.cells.get(SOURCE) or "")
    return ListingRow(_id_of(row), row.cells["uri"], **hashes, source=source)


def _print_of(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest())


def _doubles(path: Path, prints: array[int]) -> list[str]:
    """Ids that stand in several rows, told by 8 bytes each, and read again where two are alike."""
    values, counts = np.unique(np.frombuffer(prints, np.uint64), return_counts=True)
    alike = set(values[counts > 1][:_MOST_TOLD].tolist())
    found: dict[str, str] = {}
    told = []
    for row in _rows(path) if alike else ():
        name = _id_of(row)
        if _print_of(name) in alike:
            if name in found:
                told.append(
                    f"{row.where}: id {_shown(name)} is that of {found[name]} too; give every row "
                    "an id of its own"
                )
                if len(told) == _MOST_TOLD:
                    break
            found.setdefault(name, row.where)
    return told
