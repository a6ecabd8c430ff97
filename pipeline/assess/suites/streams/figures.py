"""Plotly figures of the streams suite: what an alert costs and how soon it comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.assess.page import figures
from pipeline.assess.page.figures import (
    COLOURS,
    OTHER_COLOUR,
    Spec,
    base_layout,
    numbers,
    translucent,
)
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.suites.streams.threshold_choice import Applied
from pipeline.assess.suites.streams.tradeoff import TradeoffCurve
from pipeline.detect.alarm import SMOOTHINGS
from pipeline.detect.operating_point import PER_HOURS
from pipeline.numbers.metrics import FloatArray

_RATE_TITLE = "False alerts per 1,000 hours"
_MAX_POINTS = 200


def missed(
    curves: Sequence[TradeoffCurve], hours: float, cost: float | None, point: Applied | None
) -> Spec:
    """Missed shootings against false alerts, with bands over recordings.

    Thresholds without a false alert stand in the grey stretch, at half of one event: no rate there
    can be told from another in `hours` of footage.
    """
    traces: list[Spec] = []
    for curve, colour in zip(curves, COLOURS, strict=False):
        x = _rates(curve, hours)
        traces.append(figures.band(x, curve.missed_low, curve.missed_high, colour))
        traces.append(
            _line(curve, x, curve.missed, colour, "%{y:.1%} missed")
            | {"customdata": _bounds(curve)}
        )
    if point is not None:
        traces.append(_point(point, hours))
    layout = _rate_layout(curves, hours, cost, "Missed (share of shootings)")
    layout["yaxis"] |= {"range": [-0.02, 1.02], "tickformat": ".0%"}
    return {"data": traces, "layout": layout}


def delays(curves: Sequence[TradeoffCurve], hours: float, cost: float | None) -> Spec | None:
    """Median (line, with its band) and 90th percentile (dots) of the time to alert.

    Ends where fewer shootings alert at all. None where that is so at every threshold.
    """
    traces: list[Spec] = []
    for curve, colour in zip(curves, COLOURS, strict=False):
        x = _rates(curve, hours)
        known = np.isfinite(curve.median_s)
        bounded = known & np.isfinite(curve.median_high_s)
        if bounded.any():
            low, high = curve.median_low_s[bounded], curve.median_high_s[bounded]
            traces.append(figures.band(x[bounded], low, high, colour))
        if known.any():
            line = _line(curve, x[known], curve.median_s[known], colour, "half alert in %{y:.1f} s")
            traces.append(line | {"customdata": _bounds(curve, known)})
        known = np.isfinite(curve.p90_s)
        if known.any():
            line = _line(curve, x[known], curve.p90_s[known], colour, "90 % alert in %{y:.1f} s")
            line["line"]["dash"] = "dot"
            traces.append(line | {"customdata": _bounds(curve, known), "showlegend": False})
    if not traces:
        return None
    layout = _rate_layout(curves, hours, cost, "Time to alert (s)")
    layout["yaxis"] |= {"rangemode": "tozero"}
    return {"data": traces, "layout": layout}


def survival(
    parts: Mapping[str, Applied], bootstrap: Bootstrap
) -> tuple[Spec, list[tuple[str, float, float, float, float]]]:
    """Share of shootings that have not alerted yet, over the seconds since they started.

    Also returns the rows behind it: part, seconds, share, and the ends of its pointwise interval.
    """
    traces: list[Spec] = []
    rows: list[tuple[str, float, float, float, float]] = []
    for (name, applied), colour in zip(parts.items(), COLOURS, strict=False):
        if not applied.delays_s.size:
            continue
        seconds, share, low, high = _unalerted(applied, bootstrap)
        steps, lows, highs = (
            np.repeat(seconds, 2)[1:],
            np.repeat(low, 2)[:-1],
            np.repeat(high, 2)[:-1],
        )
        hover = "%{y:.1%} without an alert after %{x:.1f} s"
        line = figures.line(name, seconds, share, colour, hover)
        line["line"]["shape"] = "hv"
        traces += [figures.band(steps, lows, highs, colour), line]
        rows += list(zip([name] * seconds.size, seconds, share, low, high, strict=True))
    layout = base_layout("Seconds since the shooting started", "Without an alert yet")
    layout["xaxis"] |= {"range": [0, 1.05 * max([row[1] for row in rows], default=1.0)]}
    layout["yaxis"] |= {"range": [-0.02, 1.02], "tickformat": ".0%"}
    return {"data": traces, "layout": layout}, rows


def _unalerted(
    applied: Applied, bootstrap: Bootstrap
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    watched = applied.played.shootings.watched_s
    found = applied.delays_s[np.isfinite(applied.delays_s)]
    seconds = np.unique(np.concatenate([[0.0], found, [float(watched.max())]]))
    if seconds.size > _MAX_POINTS:
        places = np.linspace(0, seconds.size - 1, _MAX_POINTS).round().astype(int)
        seconds = seconds[np.unique(places)]
    waiting = (applied.delays_s[:, None] > seconds).astype(np.float64)

    def shares(weights: FloatArray) -> FloatArray:
        return (weights @ waiting) / weights.sum(axis=1, keepdims=True)

    return seconds, waiting.mean(axis=0), *bootstrap.band(shares, applied.streams.clusters)


def _rates(curve: TradeoffCurve, hours: float) -> FloatArray:
    """Rates for a logarithmic axis, on which no event stands at half of one."""
    return np.maximum(curve.rate, 0.5 * PER_HOURS / hours)


def _rate_layout(curves: Sequence[TradeoffCurve], hours: float, cost: float | None, y: str) -> Spec:
    layout = base_layout(_RATE_TITLE, y)
    one_event = PER_HOURS / hours
    left = min(0.35 * one_event, cost / 2 if cost else one_event)
    right = 1.3 * max(max(float(curve.rate.max()), one_event) for curve in curves)
    layout["xaxis"] |= {
        "type": "log",
        "range": [float(np.log10(left)), float(np.log10(right))],
        "dtick": 1,
        "tickformat": ",",
    }
    layout["shapes"] = [
        {
            "type": "rect",
            "x0": left,
            "x1": one_event,
            "y0": 0,
            "y1": 1,
            "yref": "paper",
            "layer": "below",
            "line": {"width": 0},
            "fillcolor": translucent(OTHER_COLOUR),
        }
    ]
    if cost:
        line = {"dash": "dot", "width": 1.5}
        where = {"x0": cost, "x1": cost, "y0": 0, "y1": 1, "yref": "paper"}
        layout["shapes"].append({"type": "line", "line": line, **where})
    return layout


def _point(point: Applied, hours: float) -> Spec:
    """The operating point with its bounds both ways."""
    rate, share = point.outcome.false_alerts.measured, point.outcome.missed
    x, y = max(rate.known, 0.5 * PER_HOURS / hours), share.value

    def bar(value: float, ends: Measured) -> Spec:
        high = value if ends.high is None else ends.high
        low = value if ends.low is None else ends.low
        # Nothing is lower than the axis of a logarithm.
        low = max(low, 1e-9)
        return {
            "type": "data",
            "symmetric": False,
            "array": numbers([high - value]),
            "arrayminus": numbers([max(0.0, value - low)]),
            "width": 4,
            "thickness": 1.5,
        }

    return {
        "type": "scatter",
        "mode": "markers",
        "x": numbers([x]),
        "y": numbers([np.nan if y is None else y]),
        "error_x": bar(x, rate),
        "error_y": bar(0.0 if y is None else y, share),
        "marker": {"size": 12, "symbol": "diamond", "color": COLOURS[3]},
        "name": "operating point",
        "hovertemplate": "operating point: %{y:.1%} missed<extra></extra>",
    }


def _line(curve: TradeoffCurve, x: FloatArray, y: FloatArray, colour: str, hover: str) -> Spec:
    said = f"{hover}<br>%{{customdata}}"
    line = figures.line(SMOOTHINGS[curve.smoothing], x, y, colour, said)
    return line | {"mode": "lines+markers", "marker": {"size": 5}}


def _bounds(curve: TradeoffCurve, known: Any = slice(None)) -> list[str]:
    """Return what the hover label says about the rate at each threshold."""
    columns = (curve.threshold, curve.num_events, curve.rate_low, curve.rate_high)
    return [
        f"{events} false alerts, {low:,.0f} to {high:,.0f} per 1,000 h<br>threshold {threshold:.3f}"
        for threshold, events, low, high in zip(*(c[known] for c in columns), strict=True)
    ]
