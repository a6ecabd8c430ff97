"""Reads a folder that `discern score` wrote: what there is of all rows at once, and some rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.copies.fingerprint import HASH_BYTES
from pipeline.errors import UserError
from pipeline.store.output_files import STATS as STATS

SCORES, LISTING = "scores", "listing.json"
"""Names in a folder of scores: the folder of the parts, what made them, and what all parts hold."""
VERSION = 1
"""Version of what a folder of scores holds."""
SCORED = "scored"
"""Status of a row that the detector has a score of."""
_TEXTS = ("id", "uri", "status", "sha256")
_NUMBERS = ("score", "p_real", "alert_s", "seconds", "height", "loudness", "brightness")
_LISTS = ("moments", "pdq")
_SOURCE = "source"
"""A column that scores of a listing without one, or of an earlier version, do not have."""
_LATER = ("p_discharge", "predicted", "num_clips", "embedding", "marks", "reason", "step")
_NO_POINT = 0.5
_AGAIN = "run discern score again"
_TO_ITS_END = "run discern score again, which goes on to its end"


@dataclass(frozen=True)
class Scores:
    """Holds what a detector said of every row of a listing; arrays are (N,), NaN where there is
    nothing.

    Attributes:
        folder: where it lies.
        name: of the folder.
        sha256: of what made it, so that equal scores have equal ones.
        weights_sha256, threshold: of the detector, and at which it alerts; an even chance where it
            has no operating point, and raises no alert.
        table: the columns that all rows are needed of.
        ends: of the parts, by the number of rows before each end.
    """

    folder: Path
    name: str
    sha256: str
    weights_sha256: str
    threshold: float
    table: pa.Table
    ends: NDArray[np.int64]

    @property
    def num_rows(self) -> int:
        """Return how many rows the listing has."""
        return int(self.table.num_rows)

    def numbers(self, column: str) -> NDArray[np.float64]:
        """A column of numbers, NaN where it is null."""
        values = self.table[column].cast(pa.float64()).fill_null(np.nan)
        return np.asarray(values.to_numpy(), np.float64)

    def texts(self, column: str, rows: Sequence[int]) -> list[str | None]:
        """A column of texts, at some rows."""
        found: list[str | None] = self.table[column].take(pa.array(rows, pa.int64())).to_pylist()
        return found

    @cached_property
    def is_scored(self) -> NDArray[np.bool_]:
        """Say which rows the detector has a score of; others were refused, or a bank knows them."""
        return np.asarray(pc.equal(self.table["status"], SCORED).to_numpy(), bool)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Rows by their status."""
        return {
            row["values"]: row["counts"]
            for row in sorted(
                self.table["status"].value_counts().to_pylist(), key=lambda row: row["values"]
            )
        }

    @cached_property
    def moments_s(self) -> NDArray[np.float64]:
        """Return how long the parts that matter are together."""
        lists = self.table["moments"].combine_chunks()
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
        flat = lists.flatten()
        long_s = np.asarray(
            pc.subtract(flat.field("end_s"), flat.field("start_s")).to_numpy(False), np.float64
        )
        owners = np.repeat(np.arange(len(lengths)), lengths)
        return np.bincount(owners, long_s, len(lengths)).astype(np.float64)

    def prints(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """PDQ hashes of some rows, uint8 (M, 32), and to which of them each belongs, (M,)."""
        lists = self.table["pdq"].combine_chunks().take(pa.array(rows))
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
        flat = lists.flatten()
        owners = np.repeat(np.arange(len(rows)), lengths)
        whole = pc.equal(pc.binary_length(flat), HASH_BYTES).to_numpy(False)
        data = b"".join(flat.filter(pa.array(whole, pa.bool_())).to_pylist())
        hashes = np.frombuffer(data, np.uint8).reshape(-1, HASH_BYTES)
        return hashes, owners[np.asarray(whole, bool)]

    def rows(self, numbers: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Some rows with some of their columns, in the order asked for; parts are read once."""
        wanted = np.asarray(numbers, np.int64)
        found: dict[int, dict[str, Any]] = {}
        parts = np.searchsorted(self.ends, wanted, side="right")
        for number in np.unique(parts).tolist():
            first = int(self.ends[number - 1]) if number else 0
            here = wanted[parts == number]
            table = pq.read_table(part(self.folder, number), columns=list(columns))
            taken = table.take(pa.array(here - first)).to_pylist()
            found.update(zip(here.tolist(), taken, strict=True))
        return [found[number] for number in wanted.tolist()]


def read(folder: Path) -> Scores:
    """Open a folder of scores.

    Raises:
        UserError: it is none or half finished, a part is missing or damaged, or a column.
    """
    about = _about(folder)
    tables, ends, num_rows = [], [], 0
    paths = sorted((folder / SCORES).glob("part-*.parquet"))
    if not paths:
        raise UserError(f"{folder / SCORES}: no scores there; {_AGAIN}")
    for number, path in enumerate(paths):
        if path != part(folder, number):
            raise UserError(f"{part(folder, number)}: missing; {_AGAIN}")
        table = _read_part(path)
        num_rows += table.num_rows
        tables.append(table)
        ends.append(num_rows)
    if num_rows != about.get("rows") or not (folder / STATS).is_file():
        raise UserError(
            f"{folder}: scores of {num_rows} rows of the {about.get('rows')} of its listing, or no "
            f"{STATS}; {_TO_ITS_END}"
        )
    try:
        point = about["operating_point"]
        return Scores(
            folder,
            folder.resolve().name,
            hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest(),
            str(about["weights_sha256"]),
            _NO_POINT if point is None else float(point["threshold"]),
            pa.concat_tables(tables),
            np.array(ends),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder / LISTING}: does not tell the weights and their operating point "
            f"({error!r}); {_AGAIN}"
        ) from error


def _about(folder: Path) -> dict[str, Any]:
    path = folder / LISTING
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = about["schema"]
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing; name a folder that discern score wrote") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not readable ({error}); {_AGAIN}") from error
    if version != VERSION:
        raise UserError(f"{path}: schema {version} is not {VERSION}; {_AGAIN}")
    return about


def part(folder: Path, number: int) -> Path:
    """Return where a part of the scores in a folder lies, or will lie."""
    return folder / SCORES / f"part-{number:06}.parquet"


def _read_part(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            missing = {*_TEXTS, *_NUMBERS, *_LISTS, *_LATER} - set(file.schema_arrow.names)
            if missing:
                raise UserError(f"{path}: no column {', '.join(sorted(missing))}; {_AGAIN}")
            wanted = [*_TEXTS, *_NUMBERS, *_LISTS]
            if _SOURCE in file.schema_arrow.names:
                return file.read([*wanted, _SOURCE])
            nothing = pa.nulls(file.metadata.num_rows, pa.string())
            return file.read(wanted).append_column(_SOURCE, nothing)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not readable ({error}); {_AGAIN}") from error
