"""What a benchmark leaves for docs/results.md: tables of numbers in a file of JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

Cell = str | float | int | None


@dataclass(frozen=True)
class Table:
    """Rows of cells under named columns, with units in the names; None where there is no number."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Outcome:
    """The tables of one run of a benchmark.

    Args:
        benchmark: File name of the script under `benchmarks/`.
        setting: On what and with which arguments it ran, as a sentence.
        tables: What it measured.
        figure: Name of an SVG file beside the JSON file, or None.
    """

    benchmark: str
    setting: str
    tables: Sequence[Table]
    figure: str | None = None


def write(path: Path, outcome: Outcome) -> None:
    """Write the outcome as JSON, and make the folder that it goes to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(outcome), indent=2, ensure_ascii=False) + "\n")


def read(path: Path) -> Outcome:
    """Read what `write` wrote."""
    fields = json.loads(path.read_text())
    tables = [Table(**table) for table in fields.pop("tables")]
    return Outcome(tables=tables, **fields)
