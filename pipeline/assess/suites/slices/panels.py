"""Panels of the section on slices: a figure a part and two tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.assess import wording
from pipeline.assess.evidence import Cell, Figure, Spec, State, Table, count, text
from pipeline.assess.page import figures
from pipeline.assess.page.figures import COLOURS, OTHER_COLOUR
from pipeline.assess.statistics.questions import FEWEST_RECORDINGS
from pipeline.assess.suites.slices import pixels
from pipeline.assess.suites.slices.notes import Slice
from pipeline.assess.suites.slices.slice_tests import (
    FALSE_ALARMS,
    MEASURES,
    Judged,
    SliceComparison,
)

_MAX_ROWS = 24


def slice_figure(part: str, judged: Sequence[Judged]) -> Figure:
    """Differences of every measure, a row a slice."""
    own = [one for one in judged if one.part == part and one.state != "grey"]
    worst = sorted(range(len(own)), key=lambda i: _least_chance(own[i]))[:_MAX_ROWS]
    own = [own[i] for i in sorted(worst)]
    layout = figures.rows_layout(
        "Difference to the rest; left is worse",
        [f"{one.slice.name}: {one.slice.value}" for one in own],
        rows_each=1.3,
    )
    layout["shapes"] = [
        {"type": "line", "x0": 0, "x1": 0, "y0": -0.6, "y1": len(own) - 0.4,
         "line": {"dash": "dot", "width": 1.5, "color": OTHER_COLOUR}}
    ]  # fmt: skip
    layout["margin"] |= {"r": 24}
    traces = []
    for place, (measure, title) in enumerate(MEASURES.items()):
        points = [
            (len(own) - 1 - i + 0.27 - 0.18 * place, one.slice, one.comparisons[measure])
            for i, one in enumerate(own)
            if one.comparisons[measure].difference is not None
        ]
        traces.append(_trace(measure, title, COLOURS[place], points))
    return Figure(
        f"Slices against the rest: {part}",
        {"data": traces, "layout": layout},
        "Lines are intervals over recordings, not corrected for their number; large points are "
        "worse beyond chance among all comparisons. False alarms are turned, so that left is "
        f"worse for every colour. The {_MAX_ROWS} slices that look worst, where there are more.",
        wide=True,
    )


def _least_chance(one: Judged) -> float:
    return min(other.chance for other in one.comparisons.values() if other.chance is not None)


def _trace(
    measure: str, title: str, colour: str, points: Sequence[tuple[float, Slice, SliceComparison]]
) -> Spec:
    sign = -1 if measure == FALSE_ALARMS else 1
    values, reaches, sizes = [], [], []
    for _, _, one in points:
        difference = one.difference
        assert difference is not None
        ends = difference.interval(one.confidence)
        values.append(sign * difference.value)
        # Symmetric but for the ends of the scale.
        reaches.append((ends.high - ends.low) / 2)
        sizes.append(13 if one.worse else 7)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": figures.numbers(values),
        "y": [y for y, _, _ in points],
        "text": [figures.escaped(f"{one.name}: {one.value}") for _, one, _ in points],
        "error_x": {
            "type": "data",
            "array": figures.numbers(reaches),
            "thickness": 1.5,
            "width": 0,
        },
        "marker": {"size": sizes, "color": colour},
        "name": title,
        "hovertemplate": "%{text}: %{x:.3f}<extra></extra>",
    }


_STATES: Mapping[State, str] = {
    "red": "worse than the rest",
    "green": "no loss",
    "amber": "a loss could hide",
    "grey": "too small",
}


def value_table(judged: Sequence[Judged], left_out: set[str]) -> Table:
    """Show every slice with its measures; `left_out` names keys of notes that are no slices."""
    rows = [
        [
            text(one.part),
            text(one.slice.name),
            text(one.slice.value),
            count(one.num_clips),
            count(one.num_recordings),
            *(_value_cell(one.comparisons[name]) for name in MEASURES),
            Cell(_finding(one), state=one.state),
        ]
        for one in judged
    ]
    caption = (
        f"A slice is too small where it or the rest holds fewer than {FEWEST_RECORDINGS} "
        "recordings of either answer. Viewpoint and notes come from the index of the footage, "
        "sizes and rates from the original files. The "
        f"pixels of {pixels.MAX_CLIPS:,} clips at most were measured, "
        f"on a scale from 0 to 255: dark is a mean brightness below {pixels.DARK:g}, bright one "
        f"above {pixels.BRIGHT:g}; still a mean change between frames below {pixels.STILL:g}; low "
        f"contrast a distance of the 5th and 95th percentile below {pixels.FLAT:g}."
    )
    if left_out:
        named = ", ".join(sorted(left_out)[:8])
        caption += f" Keys of notes with too many values or too few clips: {named}."
    return Table(
        "Every slice",
        ("Part", "Slice", "Value", "Clips", "Recordings", *MEASURES.values(), "Finding"),
        rows,
        caption,
    )


def _finding(one: Judged) -> str:
    if bool((one.slice.member == one.slice.known).all()):
        return "nothing else to compare with"
    return _STATES[one.state]


def _value_cell(one: SliceComparison) -> Cell:
    if one.own is None:
        return Cell(wording.DASH, "one answer only")
    ends = one.own.share_interval(one.confidence)
    soft = "" if ends is None else f"{wording.decimal(ends.low)} to {wording.decimal(ends.high)}"
    return Cell(wording.decimal(one.own.value), soft, one.own.value)


def difference_table(judged: Sequence[Judged]) -> Table:
    """Show every slice that could be compared, less the rest."""
    rows = [
        [
            text(one.part),
            text(one.slice.name),
            text(one.slice.value),
            *(_difference_cell(one.comparisons[name]) for name in MEASURES),
        ]
        for one in judged
        if one.state != "grey"
    ]
    tested = sum(one.chance is not None for row in judged for one in row.comparisons.values())
    return Table(
        "Slices against the rest",
        ("Part", "Slice", "Value", *MEASURES.values()),
        rows,
        f"Slice less rest, over {tested} comparisons. An AUROC below 0 and false alarms above 0 "
        "are worse than in the rest.",
    )


def _difference_cell(one: SliceComparison) -> Cell:
    difference = one.difference
    if difference is None:
        return Cell(wording.DASH, "too small")
    ends = difference.interval(one.confidence)
    soft = f"{signed(ends.low)} to {signed(ends.high)}"
    return Cell(signed(difference.value), soft, difference.value, state=one.state)


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{value:+.3f}".replace("-", "\u2212")
