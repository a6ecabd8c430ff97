"""A table of runs in which those that differ in nothing but a seed are one row."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from pipeline.numbers.intervals import Interval, student_t

FORMATS = ("table", "markdown", "csv")
DASH = "–"


@dataclass(frozen=True)
class TrainingRun:
    """One training and what came of it."""

    parameters: Mapping[str, Any]
    """JSON values of all that the result could depend on, such as `train.lr`."""
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class SeedMean:
    """Mean of a metric over runs, with Student's interval of the mean where there are several."""

    num_runs: int
    mean: float
    interval: Interval | None

    @classmethod
    def of(cls, values: Sequence[float], confidence: float) -> SeedMean:
        """The interval holds the mean over all seeds with `confidence`, if seeds err normally."""
        num_runs, mean = len(values), float(np.mean(values))
        if num_runs == 1:
            return cls(num_runs, mean, None)
        error = float(stats.sem(values))
        return cls(num_runs, mean, student_t(mean, error, num_runs, confidence))

    def __str__(self) -> str:
        if self.interval is None:
            return f"{self.mean:.3f} ({DASH})"
        return f"{self.mean:.3f} ({self.interval.low:.3f} to {self.interval.high:.3f})"


@dataclass(frozen=True)
class SeedGroup:
    """Runs that differ in seeds alone."""

    parameters: Mapping[str, Any]
    num_runs: int
    means: Mapping[str, SeedMean]
    """By metric; a metric that none of the runs has is missing."""


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` to `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Numbers of a file of metrics by flat name: `a.b` for `a.b.value`, and no bounds of it.

    The bounds are those of one run, and their mean over runs bounds nothing.
    """
    flat = {
        name: value
        for name, value in flatten(values).items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
    bounds = {
        f"{name.removesuffix('.value')}.{bound}"
        for name in flat
        if name.endswith(".value")
        for bound in ("low", "high")
    }
    return {
        name.removesuffix(".value"): float(value)
        for name, value in flat.items()
        if name not in bounds
    }


def merge(runs: Iterable[TrainingRun]) -> list[TrainingRun]:
    """The same runs, each once: what agrees in every parameter and every metric is one."""
    merged: dict[str, list[TrainingRun]] = defaultdict(list)
    for run in runs:
        alike = merged[json.dumps(run.parameters, sort_keys=True)]
        for number, other in enumerate(alike):
            common = run.metrics.keys() & other.metrics.keys()
            if common and all(run.metrics[name] == other.metrics[name] for name in common):
                alike[number] = TrainingRun(run.parameters, {**other.metrics, **run.metrics})
                break
        else:
            alike.append(run)
    return [run for alike in merged.values() for run in alike]


def group(runs: Iterable[TrainingRun], over: Sequence[str], confidence: float) -> list[SeedGroup]:
    """One row for all runs that differ in nothing but the parameters `over`, sorted."""
    groups: dict[str, list[TrainingRun]] = defaultdict(list)
    for run in runs:
        fixed = {name: value for name, value in run.parameters.items() if name not in over}
        groups[json.dumps(fixed, sort_keys=True)].append(run)
    rows = []
    for key, alike in groups.items():
        values: dict[str, list[float]] = defaultdict(list)
        for run in alike:
            for name, value in run.metrics.items():
                values[name].append(value)
        means = {name: SeedMean.of(found, confidence) for name, found in values.items()}
        rows.append(SeedGroup(json.loads(key), len(alike), means))
    varying = varied(rows)
    return sorted(rows, key=lambda row: [_rank(row.parameters.get(name)) for name in varying])


def varied(rows: Sequence[SeedGroup]) -> list[str]:
    """Names of the parameters in which rows differ, sorted."""
    names = {name for row in rows for name in row.parameters}
    return sorted(
        name for name in names if len({json.dumps(row.parameters.get(name)) for row in rows}) > 1
    )


def render(rows: Sequence[SeedGroup], metrics: Sequence[str], form: str, width: int) -> str:
    """The table as text.

    Args:
        metrics: the columns, after the number of runs and the parameters that vary.
        form: one of `FORMATS`; `csv` has full precision and the bounds in columns of their own.
        width: characters of a line, beyond which a `table` goes on below.
    """
    if form == "csv":
        return _csv(rows, metrics)
    varying = varied(rows)
    head = [*varying, "runs"]
    keys = [
        [*(_text(row.parameters.get(name)) for name in varying), str(row.num_runs)] for row in rows
    ]
    cells = [[_cell(row, name) for name in metrics] for row in rows]
    if form == "markdown":
        lines = [[*head, *metrics], ["---"] * (len(head) + len(metrics))]
        lines += [[*key, *cell] for key, cell in zip(keys, cells, strict=True)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return _wrapped([head, *keys], [list(metrics), *cells], width)


def _cell(row: SeedGroup, metric: str) -> str:
    mean = row.means.get(metric)
    if mean is None:
        return DASH
    fewer = f" of {mean.num_runs}" * (mean.num_runs < row.num_runs)
    return f"{mean}{fewer}"


def _wrapped(head: list[list[str]], cells: list[list[str]], width: int) -> str:
    """Panels of as many columns as fit into `width`, each with the columns of `head`."""
    fixed = _columns(head)
    taken = len(fixed[0])
    panels = [list(fixed)]
    for number in range(len(cells[0])):
        column = _columns([[line[number]] for line in cells])
        if len(panels[-1][0]) + 2 + len(column[0]) > width and len(panels[-1][0]) > taken:
            panels.append(list(fixed))
        panels[-1] = [f"{line}  {cell}" for line, cell in zip(panels[-1], column, strict=True)]
    return "\n\n".join("\n".join(line.rstrip() for line in panel) for panel in panels)


def _columns(lines: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    ]


def _csv(rows: Sequence[SeedGroup], metrics: Sequence[str]) -> str:
    varying = varied(rows)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    suffixes = ("", ".low", ".high", ".runs")
    writer.writerow(
        [*varying, "runs", *(f"{name}{suffix}" for name in metrics for suffix in suffixes)]
    )
    for row in rows:
        line: list[Any] = [*(_text(row.parameters.get(name)) for name in varying), row.num_runs]
        for name in metrics:
            found = row.means.get(name)
            ends = found and found.interval
            line += [found and found.mean, ends and ends.low, ends and ends.high]
            line.append(found.num_runs if found else 0)
        writer.writerow(line)
    return file.getvalue().removesuffix("\n")


def _text(value: Any) -> str:
    if value is None:
        return DASH
    return value if isinstance(value, str) else json.dumps(value)


def _rank(value: Any) -> tuple[bool, float, str]:
    """Sorts numbers by size, before texts."""
    is_number = isinstance(value, int | float)
    return (not is_number, value if is_number else 0.0, _text(value))
