"""A forest plot: estimates below each other with their intervals, against one reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.assess.page import figures
from pipeline.assess.page.figures import Spec
from pipeline.assess.statistics.measurement import Measured


@dataclass(frozen=True)
class ForestRow:
    """A row: what was estimated, in which group, and what was found."""

    label: str
    """What was estimated, in one line or two."""
    group: str
    result: Measured


def forest(estimates: Sequence[ForestRow], x_title: str, reference: float) -> Spec:
    """Rows from top to bottom, a colour a group, in the order of the groups' first rows."""
    groups: dict[str, list[tuple[float, str, Measured]]] = {}
    for position, one in zip(range(len(estimates) - 1, -1, -1), estimates, strict=True):
        row = (position, one.label.replace("\n", " / "), one.result)
        groups.setdefault(one.group, []).append(row)
    traces = [
        figures.interval_markers(group, figures.COLOURS[number % len(figures.COLOURS)], rows)
        for number, (group, rows) in enumerate(groups.items())
    ]
    labels = [one.label for one in estimates]
    two_lines = any("\n" in label for label in labels)
    layout = figures.rows_layout(x_title, labels, rows_each=1.35 if two_lines else 1.0)
    layout["xaxis"] |= {"tickformat": ".2f"}
    layout["shapes"] = [figures.reference(reference)]
    return {"data": traces, "layout": layout}
