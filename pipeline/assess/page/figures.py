"""Plotly figures of the report as plain specifications, without a colour of paper or ink.

The page's style sheet colours text, grid and axes, so that one figure serves light, dark and print.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.assess.examples import Examples
from pipeline.assess.page.untrusted import plain
from pipeline.assess.statistics import curves
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measured import Measured, rounded
from pipeline.assess.statistics.summary import questions

COLOURS = ("#3d7de0", "#d9722e", "#3f9c6b", "#8a63c4")
SHOOTING_COLOUR, OTHER_COLOUR = "#c8464b", "#8a93a3"
_FPR_TICKS = (0.0001, 0.001, 0.01, 0.1, 1.0)
# The page's own font, since Plotly measures labels in the font that it is told.
_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_ROW_PX = 34
_MAX_LABEL = 20
_MOST_CHARACTERS = 200
_REVERSED = {"traceorder": "reversed"}
Spec = dict[str, Any]


@dataclass(frozen=True)
class Series:
    """One split or collection to draw: its name, its colour, its examples and metrics."""

    name: str
    colour: str
    examples: Examples
    metrics: Mapping[str, Any]

    @property
    def has_both(self) -> bool:
        """Whether it holds real shootings and something else."""
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
        band = {
            "x": numbers([*grid, *grid[::-1]]),
            "y": numbers([*high, *low[::-1]]),
            "fill": "toself",
            "fillcolor": translucent(one.colour),
            "line": {"width": 0},
            "hoverinfo": "skip",
            "showlegend": False,
            "mode": "lines",
        }
        traces += [band, _line(one, grid, rates, "%{y:.1%} found at %{x:.2%} false alarms")]
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
    """What was said against what was so."""
    diagonal = {
        "x": [0, 1],
        "y": [0, 1],
        "mode": "lines",
        "line": {"dash": "dot", "width": 1.5, "color": OTHER_COLOUR},
        "name": "perfect",
        "hoverinfo": "skip",
    }
    traces: list[Spec] = []
    for one in series:
        if not one.has_both:
            continue
        bins = curves.reliability(questions(one.examples)["shooting"], num_bins)
        trace = _line(one, bins.predicted, bins.observed, "said %{x:.1%}, was %{y:.1%}")
        traces.append(trace | {"mode": "lines+markers", "marker": {"size": 8}})
    layout = base_layout("Score given", "Share that were real shootings")
    for axis in ("xaxis", "yaxis"):
        layout[axis] |= {"range": [-0.02, 1.02], "tickformat": ".0%"}
    return {"data": [diagonal, *traces] if traces else [], "layout": layout}


def scores(one: Series) -> Spec:
    """How scores spread within each source, shootings apart from the rest."""
    order = _sources_by_origin(one)
    layout = rows_layout("Score", order, rows_each=1.4)
    layout["xaxis"] |= {"range": [-0.02, 1.02]}
    layout["boxmode"] = "overlay"
    is_shooting = one.examples.is_shooting
    traces: list[Spec] = []
    groups = (
        (True, "real shootings", SHOOTING_COLOUR, 0.19),
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
    """One metric of each source with its interval: "auroc" or "false_alarms"."""
    results = [
        {
            name: source["shooting"]["auroc"] if metric == "auroc" else source["false_alarms"]
            for name, source in one.metrics["sources"].items()
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
        _intervals(
            one.name,
            one.colour,
            [(position, *rest) for position, owner, *rest in numbered if owner is one],
        )
        for one in series
    ]
    layout = rows_layout("AUROC" if metric == "auroc" else "False alarms", [row[1] for row in rows])
    if metric == "false_alarms":
        most = max([0.02, *(row[2].high or row[2].value for row in rows)])
        layout["xaxis"] |= {"range": [-0.03 * most, 1.05 * most], "tickformat": ".0%"}
    else:
        layout["xaxis"] |= {"tickformat": ".2f"}
    return {"data": traces, "layout": layout}


def dots(groups: Mapping[str, Sequence[tuple[str, Measured]]], x_title: str, chance: float) -> Spec:
    """Values with their intervals: one colour a group of (row's name, what was found)."""
    order = list(dict.fromkeys(name for rows in groups.values() for name, _ in rows))
    step = 0.5 / len(groups)
    traces: list[Spec] = []
    for number, (group, rows) in enumerate(groups.items()):
        shift = step * ((len(groups) - 1) / 2 - number)
        placed = [
            (len(order) - 1 - order.index(name) + shift, name, result)
            for name, result in rows
            if result.value is not None
        ]
        traces.append(_intervals(group, COLOURS[number], placed))
    layout = rows_layout(x_title, order, rows_each=0.8 + 0.3 * len(groups))
    layout["xaxis"] |= {"tickformat": ".2f"}
    layout["shapes"] = [
        {"type": "line", "x0": chance, "x1": chance, "y0": 0, "y1": 1, "yref": "paper"}
        | {"line": {"dash": "dot", "width": 1.5, "color": OTHER_COLOUR}}
    ]
    return {"data": traces, "layout": layout}


def strengths(
    curves: Mapping[str, Sequence[float]], ticks: Mapping[str, float], y_title: str
) -> Spec:
    """Curves over strengths at the values of `ticks`: the first in `COLOURS`, the others grey."""
    traces = []
    for number, (name, values) in enumerate(curves.items()):
        colour = COLOURS[number] if number < len(COLOURS) else OTHER_COLOUR
        trace = {
            "type": "scatter",
            "mode": "lines+markers",
            "x": numbers(ticks.values()),
            "y": numbers(values),
            "line": {"color": colour, "width": 2.5 if number < len(COLOURS) else 1},
            "name": escaped(name),
            "showlegend": number < len(COLOURS),
            "hovertemplate": f"{escaped(name)}: %{{y:.3f}}<extra></extra>",
        }
        traces.append(trace)
    layout = base_layout("Strength of the edit", y_title)
    layout["xaxis"] |= {
        "tickvals": list(ticks.values()),
        "ticktext": list(ticks),
        "range": [-0.05, 1.05],
    }
    # What is in colour is drawn last, above the others.
    return {"data": traces[::-1], "layout": layout | {"legend": layout["legend"] | _REVERSED}}


def reach(found: Measured, end: float | None) -> float:
    """How far an end of the interval lies from the value, six decimals; 0 without an interval."""
    return 0.0 if end is None else rounded(abs(end - found.known))


def _intervals(name: str, colour: str, rows: Sequence[tuple[float, str, Measured]]) -> Spec:
    """Points with their intervals at rows (position, name, what was found)."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [result.value for _, _, result in rows],
        "y": [position for position, _, _ in rows],
        "text": [escaped(name) for _, name, _ in rows],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [reach(result, result.high) for _, _, result in rows],
            "arrayminus": [reach(result, result.low) for _, _, result in rows],
            "thickness": 2,
            "width": 0,
        },
        "marker": {"size": 10, "color": colour},
        "cliponaxis": False,
        "name": escaped(name),
        "hovertemplate": "%{text}: %{x:.3f}<extra></extra>",
    }


def _sources_by_origin(one: Series) -> list[str]:
    known = one.metrics["sources"]
    return sorted(known, key=lambda name: (known[name]["origin_label"] != "real", name))


def _line(one: Series, x: Any, y: Any, hover: str) -> Spec:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": numbers(x),
        "y": numbers(y),
        "line": {"color": one.colour, "width": 2.5},
        "name": escaped(one.name),
        "hovertemplate": f"{hover}<extra></extra>",
    }


def base_layout(x_title: str, y_title: str) -> Spec:
    """A layout with titled axes, a legend above, and nothing that can be dragged."""
    axis = {
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
        "ticklabelstandoff": 6,
        "tickangle": 0,
    }
    return {
        "xaxis": axis | {"title": {"text": x_title, "font": {"size": 13}}},
        "yaxis": axis | {"title": {"text": y_title, "font": {"size": 13}}},
        "height": 360,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": _FONT, "size": 13},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "dragmode": False,
    }


def rows_layout(x_title: str, names: Sequence[str], rows_each: float = 1.0) -> Spec:
    """Layout of a figure with a row a name, the first on top; row i of n lies at n - 1 - i.

    A name may have several lines.
    """
    layout = base_layout(x_title, "")
    del layout["yaxis"]["title"]
    # Rows are numbered upwards, and read downwards.
    labels = [
        "<br>".join(escaped(_shortened(line)) for line in name.split("\n")) for name in names[::-1]
    ]
    layout["yaxis"] |= {
        "tickmode": "array",
        "tickvals": list(range(len(labels))),
        "ticktext": labels,
        "range": [-0.6, len(labels) - 0.4],
    }
    layout["height"] = round(110 + _ROW_PX * rows_each * max(1, len(labels)))
    return layout


def escaped(text: str) -> str:
    """Plotly reads tags in labels; those of an index are text."""
    return html.escape(plain(text, _MOST_CHARACTERS), quote=False)


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_LABEL else f"{text[: _MAX_LABEL - 8]}\u2026{text[-7:]}"


def translucent(colour: str) -> str:
    """A `#rrggbb` colour for a band behind a line."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"


def numbers(values: Any) -> list[float | None]:
    """Numbers as JSON, six decimals, None for NaN."""
    return [None if np.isnan(value) else rounded(value) for value in values]
