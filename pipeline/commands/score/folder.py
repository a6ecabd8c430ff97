"""The folder of the scores of a listing: parts that are written once, and rows of those under way.

scores/part-000000.parquet   rows of `rows.SCHEMA`, as many a part as the setting says
listing.json                 what made them
stats.json                   rows by status, reason and step, once all parts are there
.unfinished/                 rows of parts under way, a line each, until all parts are there
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.commands.score import rows
from pipeline.commands.score.provenance import check
from pipeline.commands.score.rows import Row
from pipeline.review import score_folder
from pipeline.store import workdir

_UNFINISHED = ".unfinished"
_BYTES = "pdq"
"""The one column that JSON cannot hold."""


class Folder:
    """The scores of one listing, by one detector with one set of settings."""

    def __init__(self, path: Path, made_by: Mapping[str, Any]) -> None:
        """Begin, or go on with what an earlier run has left.

        Args:
            path: of the folder.
            made_by: JSON values of all that decides its bytes.

        Raises:
            UserError: it holds something else, or the scores of something else.
        """
        self._path = path
        text = json.dumps(made_by, indent=2, sort_keys=True) + "\n"
        check(path, made_by)
        for folder in (path / score_folder.SCORES, path / _UNFINISHED):
            workdir.make_folder(folder, "out")
        _replace(path / score_folder.LISTING, text.encode())

    def part(self, number: int) -> Path:
        """Return where a part lies, or will lie."""
        return score_folder.part(self._path, number)

    def has(self, number: int) -> bool:
        """Return whether a part is there, which it is as a whole."""
        return self.part(number).is_file()

    def write(self, number: int, found: Iterable[Row]) -> None:
        """Write a part, and forget its rows under way."""
        path = self.part(number)
        partial = path.with_name(f".{path.name}-{os.getpid()}")
        pq.write_table(rows.table(list(found)), partial)
        partial.rename(path)
        self._journal(number).unlink(missing_ok=True)

    def under_way(self, number: int) -> list[Row]:
        """The rows of a part that an earlier run has found, from its first on."""
        found: list[Row] = []
        path = self._journal(number)
        if not path.is_file():
            return found
        whole = 0
        with path.open("rb") as file:
            for line in file:
                try:
                    row = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    row = None
                if row is None:
                    break
                whole += len(line)
                if row.get(_BYTES) is not None:
                    row[_BYTES] = [bytes.fromhex(one) for one in row[_BYTES]]
                found.append(row)
        # A kill may have left half a line.
        os.truncate(path, whole)
        return found

    def kept(self, number: int, found: Iterable[Row]) -> Iterator[Row]:
        """Hand on the rows of a part, each once it is kept for a later run."""
        with self._journal(number).open("ab") as file:
            for row in found:
                told = dict(row)
                if told.get(_BYTES) is not None:
                    told[_BYTES] = [one.hex() for one in told[_BYTES]]
                file.write(json.dumps(told).encode() + b"\n")
                file.flush()
                yield row

    def finish(self, num_parts: int) -> dict[str, Any]:
        """Write what all parts hold, counted, and return it."""
        counts: dict[str, Counter[str]] = {name: Counter() for name in ("status", "reason", "step")}
        num_rows = num_clips = 0
        for number in range(num_parts):
            table = pq.read_table(self.part(number), columns=[*counts, "num_clips"])
            num_rows += table.num_rows
            num_clips += sum(filter(None, table["num_clips"].to_pylist()))
            for name, counter in counts.items():
                counter.update(filter(None, table[name].to_pylist()))
        stats = {
            "rows": num_rows,
            "clips": num_clips,
            **{
                f"rows_by_{name}": dict(sorted(counter.items())) for name, counter in counts.items()
            },
        }
        _replace(self._path / score_folder.STATS, (json.dumps(stats, indent=2) + "\n").encode())
        shutil.rmtree(self._path / _UNFINISHED, ignore_errors=True)
        return stats

    def _journal(self, number: int) -> Path:
        return self._path / _UNFINISHED / f"part-{number:06d}.jsonl"


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}-{os.getpid()}")
    partial.write_bytes(data)
    partial.rename(path)
