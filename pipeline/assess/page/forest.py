"""A forest plot: estimates below each other with their intervals, against one reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.assess.page import figures
from pipeline.assess.page.figures import Spec
from pipeline.assess.statistics.measured import Measured


@dataclass(frozen=True)
class Estimate:
    """A row: what was estimated, in which group, and what was found."""

    label: str
    """May have two lines."""
    group: str
    result: Measured


def forest(estimates: Sequence[Estimate], x_title: str, reference: float) -> Spec:
    """Rows from top to bottom, a colour a group, in the order of the groups' first rows."""
    traces = []
    for number, group in enumerate(dict.fromkeys(one.group for one in estimates)):
        rows = [
            (len(estimates) - 1 - i, one) for i, one in enumerate(estimates) if one.group == group
        ]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [one.result.value for _, one in rows],
                "y": [position for position, _ in rows],
                "text": [figures.escaped(one.label.replace("\n", " / ")) for _, one in rows],
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [figures.reach(one.result, one.result.high) for _, one in rows],
                    "arrayminus": [figures.reach(one.result, one.result.low) for _, one in rows],
                    "thickness": 2,
                    "width": 0,
                },
                "marker": {"size": 10, "color": figures.COLOURS[number % len(figures.COLOURS)]},
                "cliponaxis": False,
                "name": figures.escaped(group),
                "hovertemplate": "%{text}: %{x:.3f}<extra></extra>",
            }
        )
    labels = [one.label for one in estimates]
    two_lines = any("\n" in label for label in labels)
    layout = figures.rows_layout(x_title, labels, rows_each=1.35 if two_lines else 1.0)
    layout["xaxis"] |= {"tickformat": ".2f"}
    layout["shapes"] = [
        {
            "type": "line",
            "x0": reference,
            "x1": reference,
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "line": {"dash": "dot", "width": 1.5, "color": figures.OTHER_COLOUR},
        }
    ]
    return {"data": traces, "layout": layout}
