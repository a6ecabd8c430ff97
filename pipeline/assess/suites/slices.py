"""Whether the detector is worse at night, indoors, in a still picture: where it must not be used.

A slice is clips of which something is known to be so; it is set against the rest, clips of which it
is known not to be so. Chances are one-sided and those of all slices and measures of all parts are
held together at a false discovery rate of 5 % (Benjamini and Hochberg, 1995). Verdicts, one a part:
red where a slice is worse than the rest at that rate; green where in none the interval reaches a
loss of `LOSS`, so that such a loss would have shown; amber otherwise; grey where no slice is large
enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import false_discovery_control

from pipeline.assess import clustered, figures, known, pixels, wording
from pipeline.assess.clustered import Estimate
from pipeline.assess.examples import SHOOTING
from pipeline.assess.figures import COLOURS, OTHER_COLOUR
from pipeline.assess.notes import Slice
from pipeline.assess.scored import Scored
from pipeline.assess.suites.base import (
    Cell,
    Evidence,
    Figure,
    Section,
    Spec,
    State,
    Table,
    Verdict,
    count,
    text,
)
from pipeline.assess.summary import questions

TITLE = "Slices"
MIN_RECORDINGS = 5
"""Of each answer, in the slice and in the rest: fewer are no ground for a comparison."""
LOSS = 0.1
"""In AUROC or in the share of false alarms: what would change where the detector may be used."""
FALSE_DISCOVERY_RATE = 0.05
MAX_LOOKS = 2_000
"""Clips whose pixels are measured, of all parts together: 5 ms each."""
FALSE_ALARMS = "false_alarms"
MEASURES = {
    "shooting": "AUROC, real shooting",
    "origin": "AUROC, origin",
    "discharge": "AUROC, discharge",
    FALSE_ALARMS: "False alarms",
}
_WORST_FIRST: tuple[State, ...] = ("red", "amber", "green", "grey")
_MAX_ROWS = 24
_DECIMALS = 6
_RESULTS = pa.schema(
    [
        *((name, pa.string()) for name in ("part", "slice", "value", "measure")),
        *((name, pa.int64()) for name in ("num_clips", "num_recordings")),
        *(
            (name, pa.float64())
            for name in (
                "estimate",
                "low",
                "high",
                "rest",
                "difference",
                "difference_low",
                "difference_high",
                "chance",
            )
        ),
        ("state", pa.string()),
    ]
)
_MEMBERS = pa.schema(
    [
        *((name, pa.string()) for name in ("part", "slice", "value", "example")),
        ("member", pa.bool_()),
    ]
)
_LOOKS = pa.schema(
    [
        *((name, pa.string()) for name in ("part", "example")),
        *((name, pa.float64()) for name in ("brightness", "motion", "contrast")),
    ]
)


@dataclass
class _Comparison:
    """One measure of one slice against the rest."""

    measure: str
    own: Estimate | None
    rest: Estimate | None
    confidence: float
    worse: bool = False
    """Beyond chance, among all comparisons."""

    @property
    def difference(self) -> Estimate | None:
        """Own less rest; None where either is too small to be compared."""
        if self.own is None or self.rest is None:
            return None
        if min(self.own.num_recordings, self.rest.num_recordings) < MIN_RECORDINGS:
            return None
        return self.own - self.rest

    @property
    def chance(self) -> float | None:
        """One-sided chance of being as much worse."""
        difference = self.difference
        if difference is None:
            return None
        return (-difference if self.measure == FALSE_ALARMS else difference).chance_of_less()

    @property
    def state(self) -> State:
        """As the module says of a part, of this comparison alone."""
        difference = self.difference
        if difference is None:
            return "grey"
        if self.worse:
            return "red"
        ends = difference.interval(self.confidence)
        if ends is None:
            return "amber"
        loss = ends[1] if self.measure == FALSE_ALARMS else -ends[0]
        return "green" if loss < LOSS else "amber"


@dataclass(frozen=True)
class _Judged:
    part: str
    slice: Slice
    num_clips: int
    num_recordings: int
    comparisons: Mapping[str, _Comparison]

    @property
    def state(self) -> State:
        """The worst of its comparisons; grey where it is too small for all of them."""
        states = [one.state for one in self.comparisons.values()]
        return min(states, key=_WORST_FIRST.index)


def run(evidence: Evidence) -> Section:
    """Judge every slice of every part; nothing is predicted anew."""
    confidence = evidence.settings.bootstrap.confidence
    judged: list[_Judged] = []
    looks: list[dict[str, Any]] = []
    left_out: set[str] = set()
    for part in evidence.parts:
        found = known.of_pixels(part, evidence, MAX_LOOKS // len(evidence.parts))
        looks += _look_rows(part, found)
        slices = pixels.slices(found, len(part.examples))
        if evidence.places is not None and part.files is None:
            by_rows, others = known.of_manifest(part, evidence.places.clips)
            slices = by_rows + slices
            left_out |= set(others)
        judged += [_judge(part, one, confidence) for one in slices]
    _correct(judged)
    return Section(
        lead=(
            "An average hides where a detector fails. Here the test is parted by what is known of "
            "the clips, and each slice is set against the rest. Among many comparisons some look "
            "bad by chance, so that a slice counts as worse only where chance would hardly show "
            "it among all of them."
        ),
        verdicts=[_verdict(part.name, judged) for part in evidence.parts],
        blocks=[
            *(_figure(part.name, judged) for part in evidence.parts),
            _value_table(judged, left_out),
            _difference_table(judged),
        ],
        metrics=_metrics(judged, evidence.parts),
        plots={
            "slices.csv": (
                ("part", "slice", "value", "auroc", "false_alarms"),
                [
                    [
                        one.part,
                        one.slice.name,
                        one.slice.value,
                        *(_value(one.comparisons[name].own) for name in ("shooting", FALSE_ALARMS)),
                    ]
                    for one in judged
                ],
            )
        },
        rows={
            "results": pa.Table.from_pylist(_result_rows(judged), _RESULTS),
            "members": _members(evidence.parts, judged),
            "looks": pa.Table.from_pylist(looks, _LOOKS),
        },
    )


def _judge(part: Scored, one: Slice, confidence: float) -> _Judged:
    examples = part.examples
    asked = questions(examples)
    rest = one.known & ~one.member
    comparisons = {
        name: _Comparison(
            name,
            clustered.auroc(question, one.member),
            clustered.auroc(question, rest),
            confidence,
        )
        for name, question in asked.items()
    }
    alarms, others = examples.predicted == SHOOTING, ~examples.is_shooting
    own, remaining = (
        clustered.share(alarms, asked["shooting"], side & others) for side in (one.member, rest)
    )
    comparisons[FALSE_ALARMS] = _Comparison(FALSE_ALARMS, own, remaining, confidence)
    return _Judged(
        part.name,
        one,
        int(one.member.sum()),
        int(np.unique(examples.clusters[one.member]).size),
        comparisons,
    )


def _correct(judged: Sequence[_Judged]) -> None:
    """Mark the comparisons that are worse beyond chance among all."""
    compared = [(one, one.chance) for row in judged for one in row.comparisons.values()]
    tested = [(one, chance) for one, chance in compared if chance is not None]
    if tested:
        adjusted = false_discovery_control([chance for _, chance in tested])
        for (one, _), chance in zip(tested, adjusted, strict=True):
            one.worse = bool(chance <= FALSE_DISCOVERY_RATE)


def _verdict(part: str, judged: Sequence[_Judged]) -> Verdict:
    own = [one for one in judged if one.part == part]
    compared = [one for one in own if one.state != "grey"]
    num_small = len(own) - len(compared)
    name = f"slices_{part}"
    if not compared:
        return Verdict(
            name,
            "grey",
            f"None of {len(own)} slices of \u201c{part}\u201d holds {MIN_RECORDINGS} recordings of "
            "each answer, beside as many in the rest: too small to compare.",
        )
    small = f" {num_small} more are too small to compare." if num_small else ""
    worse = [one for one in compared if one.state == "red"]
    if worse:
        return Verdict(
            name,
            "red",
            f"On \u201c{part}\u201d the detector is worse than on the rest in {len(worse)} of "
            f"{len(compared)} slices: {_worst(worse)}.{small}",
        )
    open_ones = sum(one.state == "amber" for one in compared)
    if not open_ones:
        return Verdict(
            name,
            "green",
            f"In none of {len(compared)} slices of \u201c{part}\u201d is the detector worse than "
            f"on the rest; a loss of {LOSS:g} would have shown.{small}",
        )
    return Verdict(
        name,
        "amber",
        f"In none of {len(compared)} slices of \u201c{part}\u201d is the detector worse than on "
        f"the rest beyond chance, but in {open_ones} a loss of {LOSS:g} could hide.{small}",
    )


def _worst(worse: Sequence[_Judged]) -> str:
    """The slices in words, the surest first, three at most."""
    found = sorted(
        (
            (one.chance or 0.0, i, measure)
            for i, row in enumerate(worse)
            for measure, one in row.comparisons.items()
            if one.worse
        )
    )
    texts = []
    for _, i, measure in found[:3]:
        row = worse[i]
        one = row.comparisons[measure]
        assert one.own is not None and one.rest is not None and one.difference is not None
        ends = one.difference.interval(one.confidence)
        between = "" if ends is None else f", difference {_signed(ends[0])} to {_signed(ends[1])}"
        texts.append(
            f"{row.slice.name} \u201c{row.slice.value}\u201d "
            f"({MEASURES[measure]} {wording.decimal(one.own.value)} against "
            f"{wording.decimal(one.rest.value)}{between})"
        )
    more = len(found) - len(texts)
    return "; ".join(texts) + (f"; and {more} more" if more else "")


def _figure(part: str, judged: Sequence[_Judged]) -> Figure:
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


def _least_chance(one: _Judged) -> float:
    return min(other.chance for other in one.comparisons.values() if other.chance is not None)


def _trace(
    measure: str, title: str, colour: str, points: Sequence[tuple[float, Slice, _Comparison]]
) -> Spec:
    sign = -1 if measure == FALSE_ALARMS else 1
    values, reaches, sizes = [], [], []
    for _, _, one in points:
        difference = one.difference
        assert difference is not None
        ends = difference.interval(one.confidence)
        values.append(sign * difference.value)
        # Symmetric but for the ends of the scale.
        reaches.append(0.0 if ends is None else (ends[1] - ends[0]) / 2)
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


def _value_table(judged: Sequence[_Judged], left_out: set[str]) -> Table:
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
        f"A slice is too small where it or the rest holds fewer than {MIN_RECORDINGS} recordings "
        "of either answer. Viewpoint and notes come from the index of the footage, sizes and rates "
        f"from the original files. The pixels of {MAX_LOOKS:,} clips at most were measured, on a "
        f"scale from 0 to 255: dark is a mean brightness below {pixels.DARK:g}, bright one above "
        f"{pixels.BRIGHT:g}; still a mean change between frames below {pixels.STILL:g}; low "
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


def _finding(one: _Judged) -> str:
    if bool((one.slice.member == one.slice.known).all()):
        return "nothing else to compare with"
    return _STATES[one.state]


def _value_cell(one: _Comparison) -> Cell:
    if one.own is None:
        return Cell(wording.DASH, "one answer only")
    ends = one.own.share_interval(one.confidence)
    soft = "" if ends is None else f"{wording.decimal(ends[0])} to {wording.decimal(ends[1])}"
    return Cell(wording.decimal(one.own.value), soft, one.own.value)


def _difference_table(judged: Sequence[_Judged]) -> Table:
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


def _difference_cell(one: _Comparison) -> Cell:
    difference = one.difference
    if difference is None:
        return Cell(wording.DASH, "too small")
    ends = difference.interval(one.confidence)
    soft = "" if ends is None else f"{_signed(ends[0])} to {_signed(ends[1])}"
    return Cell(_signed(difference.value), soft, difference.value, state=one.state)


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\u2212")


def _metrics(judged: Sequence[_Judged], parts: Sequence[Scored]) -> dict[str, Any]:
    found: dict[str, Any] = {part.name: {} for part in parts}
    for one in judged:
        found[one.part].setdefault(one.slice.name, {})[one.slice.value] = {
            "num_clips": one.num_clips,
            "num_recordings": one.num_recordings,
            "state": one.state,
            **{
                name: {
                    "value": _value(comparison.own),
                    "difference": _value(comparison.difference),
                }
                for name, comparison in one.comparisons.items()
            },
        }
    return found


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else round(estimate.value, _DECIMALS)


def _result_rows(judged: Sequence[_Judged]) -> list[dict[str, Any]]:
    rows = []
    for row in judged:
        for name, one in row.comparisons.items():
            own, difference = one.own, one.difference
            ends = None if own is None else own.share_interval(one.confidence)
            apart = None if difference is None else difference.interval(one.confidence)
            rows.append(
                {
                    "part": row.part,
                    "slice": row.slice.name,
                    "value": row.slice.value,
                    "measure": name,
                    "num_clips": row.num_clips,
                    "num_recordings": row.num_recordings,
                    "estimate": None if own is None else own.value,
                    "low": None if ends is None else ends[0],
                    "high": None if ends is None else ends[1],
                    "rest": None if one.rest is None else one.rest.value,
                    "difference": None if difference is None else difference.value,
                    "difference_low": None if apart is None else apart[0],
                    "difference_high": None if apart is None else apart[1],
                    "chance": one.chance,
                    "state": one.state,
                }
            )
    return rows


def _look_rows(part: Scored, looks: Mapping[int, pixels.Look]) -> list[dict[str, Any]]:
    names = _names(part)
    return [
        {
            "part": part.name,
            "example": names[row].as_py(),
            "brightness": look.brightness,
            "motion": look.motion,
            "contrast": look.contrast,
        }
        for row, look in looks.items()
    ]


def _names(part: Scored) -> pa.ChunkedArray:
    return part.judged["sample_id" if part.files is None else "path"]


def _members(parts: Sequence[Scored], judged: Sequence[_Judged]) -> pa.Table:
    """A row an example of a slice or of its rest; `member` tells which."""
    names = {part.name: _names(part) for part in parts}
    tables = [_MEMBERS.empty_table()]
    for one in judged:
        rows = np.flatnonzero(one.slice.known)
        columns = [
            *(pa.repeat(value, rows.size) for value in (one.part, one.slice.name, one.slice.value)),
            names[one.part].take(pa.array(rows)),
            pa.array(one.slice.member[rows]),
        ]
        tables.append(pa.table(columns, schema=_MEMBERS))
    return pa.concat_tables(tables)
