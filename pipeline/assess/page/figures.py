"""Plotly figures as plain specifications, without a colour of paper or ink.

The page's style sheet colours text, grid and axes, so that one figure serves light, dark and print.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.assess.statistics.measurement import Measured
from pipeline.numbers.rounding import rounded
from pipeline.system.visible_text import plain

COLOURS = ("#3d7de0", "#d9722e", "#3f9c6b", "#8a63c4")
OTHER_COLOUR = "#8a93a3"
# The page's own font, since Plotly measures labels in the font that it is told.
_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_ROW_PX = 34
_MAX_LABEL = 20
_MOST_CHARACTERS = 200
_REVERSED = {"traceorder": "reversed"}
Spec = dict[str, Any]


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
        traces.append(interval_markers(group, COLOURS[number], placed))
    layout = rows_layout(x_title, order, rows_each=0.8 + 0.3 * len(groups))
    layout["xaxis"] |= {"tickformat": ".2f"}
    layout["shapes"] = [reference(chance)]
    return {"data": traces, "layout": layout}


def strengths(
    curves: Mapping[str, Sequence[float]], ticks: Mapping[str, float], y_title: str
) -> Spec:
    """Curves over strengths at the values of `ticks`: the first in `COLOURS`, the others grey."""
    traces = []
    for number, (name, values) in enumerate(curves.items()):
        is_first = number < len(COLOURS)
        colour = COLOURS[number] if is_first else OTHER_COLOUR
        trace = line(name, ticks.values(), values, colour, f"{escaped(name)}: %{{y:.3f}}")
        trace["line"]["width"] = 2.5 if is_first else 1
        traces.append(trace | {"mode": "lines+markers", "showlegend": is_first})
    layout = base_layout("Strength of the edit", y_title)
    layout["xaxis"] |= {
        "tickvals": list(ticks.values()),
        "ticktext": list(ticks),
        "range": [-0.05, 1.05],
    }
    # What is in colour is drawn last, above the others.
    return {"data": traces[::-1], "layout": layout | {"legend": layout["legend"] | _REVERSED}}


def line(name: str, x: Any, y: Any, colour: str, hover: str) -> Spec:
    """A line through points x, y; `hover` is a template of Plotly's."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": numbers(x),
        "y": numbers(y),
        "line": {"color": colour, "width": 2.5},
        "name": escaped(name),
        "hovertemplate": f"{hover}<extra></extra>",
    }


def band(x: Any, low: Any, high: Any, colour: str) -> Spec:
    """The area between two lines over the same x, behind the line that it belongs to."""
    return {
        "x": numbers([*x, *x[::-1]]),
        "y": numbers([*high, *low[::-1]]),
        "fill": "toself",
        "fillcolor": translucent(colour),
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
        "mode": "lines",
    }


def reliability(lines: Sequence[Spec], x_title: str, y_title: str) -> Spec:
    """Say what was said against what was so, in shares; beside any lines stands the perfect one."""
    diagonal = {
        "x": [0, 1],
        "y": [0, 1],
        "mode": "lines",
        "line": {"dash": "dot", "width": 1.5, "color": OTHER_COLOUR},
        "name": "perfect",
        "hoverinfo": "skip",
    }
    layout = base_layout(x_title, y_title)
    for axis in ("xaxis", "yaxis"):
        layout[axis] |= {"range": [-0.02, 1.02], "tickformat": ".0%"}
    return {"data": [diagonal, *lines] if lines else [], "layout": layout}


def reference(x: float) -> Spec:
    """A dotted line upwards at the value that others are held against."""
    where = {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper"}
    return where | {"line": {"dash": "dot", "width": 1.5, "color": OTHER_COLOUR}}


def interval_markers(name: str, colour: str, rows: Sequence[tuple[float, str, Measured]]) -> Spec:
    """Points with their intervals at rows (position, name, what was found)."""

    def reach(found: Measured, end: float | None) -> float:
        return 0.0 if end is None else rounded(abs(end - found.known))

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
