"""CSV files that `dvc plots` draws and compares between revisions."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.assess.examples import Examples
from pipeline.assess.statistics import curves
from pipeline.assess.statistics.summary import Summary, questions
from pipeline.numbers.rounding import rounded
from pipeline.store.manifest import CLASSES

_FORMULA_STARTS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def write_plots(
    folder: Path, examples: Examples | None, found: Summary | None, num_bins: int
) -> None:
    """Write curves, confusions and sources into `folder` as CSV.

    Files that the examples cannot fill hold a header only.

    `found` is what `summarize` says about the same examples. Nothing but a header everywhere where
    both are None, so that a split that some data lacks keeps its files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shooting = questions(examples)["shooting"] if examples is not None else None
    both = shooting is not None and np.unique(shooting.positive).size == 2
    roc = zip(*curves.receiver_operating(shooting), strict=True) if shooting and both else ()
    recall = zip(*curves.precision_recall(shooting), strict=True) if shooting and both else ()
    calibration: Iterable[Sequence[Any]] = ()
    if shooting is not None:
        bins = curves.reliability(shooting, num_bins)
        calibration = zip(bins.predicted, bins.observed, bins.num_examples, strict=True)
    write_csv(folder / "roc.csv", ("fpr", "tpr"), roc)
    write_csv(folder / "precision_recall.csv", ("recall", "precision"), recall)
    write_csv(folder / "reliability.csv", ("predicted", "observed", "num_examples"), calibration)
    write_csv(folder / "confusion.csv", ("actual", "predicted"), _confusion(examples))
    write_csv(folder / "sources.csv", ("source", "auroc", "false_alarms"), _sources(found))


def _confusion(examples: Examples | None) -> Iterable[Sequence[str]]:
    """Yield one row an example, as DVC's template `confusion` counts them itself."""
    if examples is None:
        return ()
    names = np.array(CLASSES)
    return zip(names[examples.actual], names[examples.predicted], strict=True)


def _sources(found: Summary | None) -> Iterable[Sequence[Any]]:
    for name, source in found.sources.items() if found is not None else ():
        yield name, source.shooting["auroc"].value, source.false_alarms.value


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows as CSV; floats with six decimals, and nothing for None."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_cell(value) for value in row] for row in rows)


def read_csv(path: Path) -> tuple[list[str], list[list[float]]]:
    """The header and the rows of a curve that `write_plots` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return header, [[float(value) for value in row] for row in rows]


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        # A spreadsheet would run what looks like a formula (OWASP, "CSV injection").
        is_formula = value.lstrip().startswith(_FORMULA_STARTS) or value[:1] in ("\t", "\r", "\n")
        return f"'{value}" if is_formula else value
    return rounded(value) if isinstance(value, float) else value
