"""The report's own figures: curves, scores and sources of each split or collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.assess.examples import Examples
from pipeline.assess.page import figures
from pipeline.assess.page.figures import (
    OTHER_COLOUR,
    Spec,
    band,
    base_layout,
    interval_markers,
    numbers,
    rows_layout,
)
from pipeline.assess.statistics import curves
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.summary import Summary, questions

_SHOOTING_COLOUR = "#c8464b"
_FPR_TICKS = (0.0001, 0.001, 0.01, 0.1, 1.0)


@dataclass(frozen=True)
class Series:
    """A split or collection to draw: its name, its colour, its examples and metrics."""

    name: str
    colour: str
    examples: Examples
    metrics: Summary

    @property
    def has_both(self) -> bool:
        """Tells whether it holds real shootings and something else."""
        return bool(np.unique(self.examples.is_shooting).size == 2)


def receiver_operating(series: Sequence[Series], bootstrap: Bootstrap) -> Spec:
    """True against false positive rate, logarithmic where alerts live, with pointwise bands."""
    traces: list[Spec] = []
    lowest = 1.0
    for one in series:
        if not one.has_both:
            continue
        question = questions(one.examples)["shooting"]
        fewest = 1 / int((~question.positive).sum())
        lowest = min(lowest, fewest)
        grid = np.geomspace(fewest, 1.0, 60)
        rates, low, high = curves.tpr_band(question, grid, bootstrap)
        hover = "%{y:.1%} found at %{x:.2%} false alarms"
        traces += [band(grid, low, high, one.colour), _line(one, grid, rates, hover)]
    layout = base_layout("False alarms (share of other footage)", "Found (share of shootings)")
    ticks = [tick for tick in _FPR_TICKS if tick >= lowest / 3]
    layout["xaxis"] |= {
        "type": "log",
        "range": [float(np.log10(lowest)), 0],
        "tickvals": ticks,
        "ticktext": [f"{100 * tick:g} %" for tick in ticks],
    }
    layout["yaxis"] |= {"range": [0, 1.02], "tickformat": ".0%"}
    layout["shapes"] = [
        {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": {"dash": "dot", "width": 1.5}}
        for x in (0.01, 0.001)
        if x >= lowest
    ]
    return {"data": traces, "layout": layout}


def precision_recall(series: Sequence[Series]) -> Spec:
    """Precision against recall."""
    traces = []
    for one in series:
        if one.has_both:
            recall, precision = curves.precision_recall(questions(one.examples)["shooting"])
            text = "%{y:.1%} of alerts right, %{x:.1%} found"
            traces.append(_line(one, recall, precision, text))
    layout = base_layout("Found (recall)", "Alerts that are right (precision)")
    for axis in ("xaxis", "yaxis"):
        layout[axis] |= {"range": [0, 1.02], "tickformat": ".0%"}
    return {"data": traces, "layout": layout}


def reliability(series: Sequence[Series], num_bins: int) -> Spec:
    """Draw the probabilities given against the shares of shootings found."""
    traces = []
    for one in series:
        if one.has_both:
            bins = curves.reliability(questions(one.examples)["shooting"], num_bins)
            trace = _line(one, bins.predicted, bins.observed, "said %{x:.1%}, was %{y:.1%}")
            traces.append(trace | {"mode": "lines+markers", "marker": {"size": 8}})
    return figures.reliability(traces, "Score given", "Share that were real shootings")


def scores(one: Series) -> Spec:
    """Draw how scores spread within each source, shootings apart from the rest."""
    order = _sources_by_origin(one)
    layout = rows_layout("Score", order, rows_each=1.4)
    layout["xaxis"] |= {"range": [-0.02, 1.02]}
    layout["boxmode"] = "overlay"
    is_shooting = one.examples.is_shooting
    traces: list[Spec] = []
    groups = (
        (True, "real shootings", _SHOOTING_COLOUR, 0.19),
        (False, "everything else", OTHER_COLOUR, -0.19),
    )
    for answer, name, colour, shift in groups:
        rows: list[float] = []
        values: list[float] = []
        for row, source in enumerate(order[::-1]):
            own = one.examples.source == source
            both = np.unique(is_shooting[own]).size == 2
            chosen = one.examples.score[own & (is_shooting == answer)]
            values += list(chosen)
            rows += [row + (shift if both else 0.0)] * chosen.size
        if values:
            traces.append(
                {
                    "type": "box",
                    "orientation": "h",
                    "x": numbers(values),
                    "y": numbers(rows),
                    "width": 0.3,
                    "name": name,
                    "boxpoints": "outliers",
                    "jitter": 0,
                    "marker": {"color": colour, "size": 4, "opacity": 0.7},
                    "line": {"width": 1.5},
                    "hoverinfo": "x",
                }
            )
    return {"data": traces, "layout": layout}


def sources(series: Sequence[Series], metric: str) -> Spec:
    """Draw one metric of each source with its interval: "auroc" or "false_alarms"."""
    results = [
        {
            name: source.shooting["auroc"] if metric == "auroc" else source.false_alarms
            for name, source in one.metrics.sources.items()
        }
        for one in series
    ]
    rows = [
        (one, name, result[name])
        for one, result in zip(series, results, strict=True)
        for name in _sources_by_origin(one)
        if result[name].value is not None
    ]
    numbered = [(len(rows) - 1 - i, *row) for i, row in enumerate(rows)]
    traces = [
        interval_markers(
            one.name,
            one.colour,
            [(position, name, found) for position, owner, name, found in numbered if owner is one],
        )
        for one in series
    ]
    layout = rows_layout("AUROC" if metric == "auroc" else "False alarms", [row[1] for row in rows])
    if metric == "false_alarms":
        most = max([0.02, *(row[2].high or row[2].known for row in rows)])
        layout["xaxis"] |= {"range": [-0.03 * most, 1.05 * most], "tickformat": ".0%"}
    else:
        layout["xaxis"] |= {"tickformat": ".2f"}
    return {"data": traces, "layout": layout}


def _sources_by_origin(one: Series) -> list[str]:
    known = one.metrics.sources
    return sorted(known, key=lambda name: (known[name].origin_label != "real", name))


def _line(one: Series, x: Any, y: Any, hover: str) -> Spec:
    return figures.line(one.name, x, y, one.colour, hover)
