"""Whether a probability of 80 % is right eight times in ten, and what abstaining gains.

Verdicts of calibration: red where the interval of the calibration error lies wholly above what a
perfectly calibrated detector would show by chance in as many clips; green where the error lies
within that band and the band ends below `FINE`, so that a larger error would have shown; amber
otherwise. Groups: amber where the error of an origin or source is beyond chance at a false
discovery rate of 5 % (Benjamini and Hochberg, 1995), green where it is in none and every band ends
below `FINE`. Abstention: green where confidence orders errors better than chance, red where
worse, by the interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import false_discovery_control

from pipeline.assess import figures, scores, wording
from pipeline.assess.abstention import Selective
from pipeline.assess.bootstrap import Bootstrap
from pipeline.assess.calibrated import Calibration, judge_calibration
from pipeline.assess.figures import COLOURS, OTHER_COLOUR
from pipeline.assess.metrics import FloatArray
from pipeline.assess.questions import MIN_RECORDINGS
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
    measured,
    text,
)
from pipeline.assess.summary import questions

TITLE = "Calibration"
FINE = 0.1
"""A band that ends higher hides errors that would change what a reviewer does."""
FALSE_DISCOVERY_RATE = 0.05
COVERAGES = (1.0, 0.8, 0.5)
_CURVE_POINTS = 200
_DECIMALS = 6
_BRIER = {
    "brier": "Brier score",
    "reliability": "= reliability",
    "resolution": "\u2212 resolution",
    "uncertainty": "+ uncertainty",
    "within_variance": "+ variance within bins",
    "within_covariance": "\u2212 covariance within bins",
}
_ASKED = {
    "shooting": "P(real shooting)",
    "origin": "P(real)",
    "discharge": "P(discharge)",
}
# An origin is half of the answer to the other questions: within one, also a perfectly calibrated
# detector gives real shootings less than they are, as it cannot be sure that they are real.
_ASKED_OF_GROUPS = "discharge"
_BINS = pa.schema(
    [
        *((name, pa.string()) for name in ("part", "question", "group_kind", "group")),
        *((name, pa.int64()) for name in ("bin", "num_examples")),
        *(
            (name, pa.float64())
            for name in ("said", "was", "was_low", "was_high", "null_low", "null_high")
        ),
    ]
)
_CURVE = pa.schema([("part", pa.string()), ("coverage", pa.float64()), ("risk", pa.float64())])


@dataclass(frozen=True)
class _Look:
    """One question about a part, or about one group of it where `kind` is no empty text."""

    part: str
    question: str
    kind: str
    group: str
    found: Calibration

    @property
    def state(self) -> State:
        """The colour, as the module says."""
        null, error = self.found.null, self.found.result("ece")
        if null is None:
            return "grey"
        if error["low"] > null.high:
            return "red"
        return "green" if error["value"] <= null.high <= FINE else "amber"


@dataclass(frozen=True)
class _Curve:
    """Risk against coverage of one part; `results` as `Selective.statistics` names them."""

    part: str
    results: Mapping[str, Mapping[str, Any]]
    coverage: FloatArray
    risk: FloatArray
    risk_at: Mapping[float, float]
    reason: str | None


def run(evidence: Evidence) -> Section:
    """Judge the probabilities of every part; nothing is predicted anew."""
    bootstrap, num_bins = evidence.settings.bootstrap, evidence.settings.num_bins
    wholes = [
        _Look(part.name, name, "", "", judge_calibration(question, num_bins, bootstrap))
        for part in evidence.parts
        for name, question in questions(part.examples).items()
    ]
    groups = [one for part in evidence.parts for one in _groups(part, num_bins, bootstrap)]
    curves = [_abstain(part, bootstrap) for part in evidence.parts]
    beyond = _beyond_chance(groups)
    points = _bins(wholes)
    return Section(
        lead=(
            "A score is worth something on its own only if it means what it says: of all clips "
            "given 80 %, about 80 % should be what was asked for. Small tests never fit exactly, "
            "so the error is set against what a perfectly calibrated detector would show by "
            "chance in the same clips. Last, what is gained where the detector leaves its least "
            "sure clips to people."
        ),
        verdicts=[
            *(_verdict(one) for one in wholes),
            _group_verdict(groups, beyond),
            *(_abstention_verdict(one) for one in curves),
        ],
        blocks=[
            *(_reliability(name, wholes) for name in _ASKED),
            _abstention_figure(curves),
            _error_table(wholes),
            _brier_table(wholes),
            _group_table(groups, beyond),
            _abstention_table(curves),
        ],
        metrics=_metrics(wholes, groups, curves),
        plots={
            "reliability.csv": _csv(points, ("part", "question", "said", "was", "num_examples")),
            "abstention.csv": _csv(_points(curves), _CURVE.names),
        },
        rows={"bins": pa.concat_tables([points, _bins(groups)]), "abstention": _points(curves)},
    )


def _groups(part: Scored, num_bins: int, bootstrap: Bootstrap) -> Iterator[_Look]:
    examples = part.examples
    question = questions(examples)[_ASKED_OF_GROUPS]
    for kind, labels in (("origin", examples.origin), ("source", examples.source)):
        for group in sorted(set(labels)):
            found = judge_calibration(question.among(labels == group), num_bins, bootstrap)
            yield _Look(part.name, _ASKED_OF_GROUPS, kind, str(group), found)


def _beyond_chance(groups: Sequence[_Look]) -> set[int]:
    """Numbers of the groups whose error is no chance, among all that could be compared."""
    known = [(i, one.found.null.p_value) for i, one in enumerate(groups) if one.found.null]
    if not known:
        return set()
    adjusted = false_discovery_control([p for _, p in known])
    return {i for (i, _), p in zip(known, adjusted, strict=True) if p <= FALSE_DISCOVERY_RATE}


def _abstain(part: Scored, bootstrap: Bootstrap) -> _Curve:
    examples = part.examples
    wrong = examples.predicted != examples.actual
    if part.files is None:
        confidence = scores.joint(part.clips).max(axis=1)
    else:
        # A file's class is decided by its two marginals.
        sides = (examples.p_real, examples.p_discharge)
        confidence = np.prod([np.maximum(side, 1 - side) for side in sides], axis=0)
    selective = Selective(confidence, wrong)
    values = {
        name: round(float(value[0]), _DECIMALS)
        for name, value in selective.statistics(np.ones((1, wrong.size))).items()
    }
    reason = None
    if int(examples.clusters.max()) + 1 < MIN_RECORDINGS:
        reason = "all examples are of one recording"
    elif not wrong.any() or wrong.all():
        reason = "no mistake to avoid" if not wrong.any() else "every answer is wrong"
    results: dict[str, dict[str, Any]] = {}
    intervals = {} if reason else bootstrap.intervals(selective.statistics, examples.clusters)
    for name, value in values.items():
        interval = intervals.get(name)
        results[name] = {
            "value": value,
            "low": None if interval is None else round(min(interval.low, value), _DECIMALS),
            "high": None if interval is None else round(max(interval.high, value), _DECIMALS),
        }
        if reason is not None:
            results[name]["reason"] = reason
    coverage = np.arange(1, _CURVE_POINTS + 1) / _CURVE_POINTS
    coverage = coverage[coverage >= 1 / wrong.size]
    at = selective.risk_at(np.array(COVERAGES))
    return _Curve(
        part.name,
        results,
        coverage,
        selective.risk_at(coverage),
        dict(zip(COVERAGES, at.tolist(), strict=True)),
        reason,
    )


def _verdict(one: _Look) -> Verdict:
    name, found = f"{one.question}_{one.part}", one.found
    asked = f"{_ASKED[one.question]} on \u201c{one.part}\u201d"
    if found.null is None:
        return Verdict(name, "grey", f"{asked}: calibration cannot be told, {found.reason}.")
    error = found.result("ece")
    off = (
        f"{asked} is off by {wording.decimal(error['value'])} on average "
        f"({wording.interval('ece', error)})"
    )
    chance = (
        f"a perfectly calibrated detector would show up to {wording.decimal(found.null.high)} "
        f"by chance in these {found.num_examples:,} examples of {found.num_recordings:,} "
        "recordings"
    )
    if one.state == "red":
        way = "too sure of itself" if found.leaning > 0 else "too cautious or shifted"
        return Verdict(name, "red", f"{off}, and {chance}: it is {way}.")
    if error["value"] > found.null.high:
        return Verdict(name, "amber", f"{off}; {chance}. The data is too small to be sure.")
    ending = "." if one.state == "green" else ", so that a large error could hide."
    return Verdict(name, one.state, f"{off}, no more than chance: {chance}{ending}")


def _group_verdict(groups: Sequence[_Look], beyond: set[int]) -> Verdict:
    bands = [one.found.null.high for one in groups if one.found.null]
    num_known = len(bands)
    if not bands:
        return Verdict(
            "groups", "grey", "No origin or source is large enough to tell its calibration."
        )
    if not beyond:
        state: State = "green" if max(bands) <= FINE else "amber"
        hidden = "" if state == "green" else ", but some are too small to show a large one"
        return Verdict(
            "groups",
            state,
            f"In {num_known} comparisons by origin and source, no calibration error of "
            f"P(discharge) is larger than chance explains{hidden}.",
        )
    worst = max(beyond, key=lambda i: groups[i].found.beyond_chance or 0.0)
    one = groups[worst]
    return Verdict(
        "groups",
        "amber",
        f"In {len(beyond)} of {num_known} comparisons by origin and source the calibration error "
        f"of P(discharge) is beyond chance; most in \u201c{one.group}\u201d "
        f"({one.part}): {wording.decimal(one.found.said)} was said on average, and "
        f"{wording.decimal(one.found.was)} was so.",
    )


def _abstention_verdict(one: _Curve) -> Verdict:
    name = f"abstention_{one.part}"
    if one.reason is not None:
        return Verdict(
            name,
            "grey",
            f"What abstaining gains on \u201c{one.part}\u201d is unknown: {one.reason}.",
        )
    gain = one.results["gain"]
    state: State = "amber"
    if gain["low"] > 0:
        state = "green"
    elif gain["high"] < 0:
        state = "red"
    meaning = {
        "green": "it knows when it is unsure",
        "red": "it is surest where it is wrong",
        "amber": "whether its confidence tells mistakes cannot be said from this data",
    }[state]
    return Verdict(
        name,
        state,
        f"On \u201c{one.part}\u201d {wording.percent(one.risk_at[1.0])} of classes are wrong; of "
        f"the surer half {wording.percent(one.risk_at[0.5])} are: {meaning} (average gain "
        f"{wording.decimal(gain['value'])}, {wording.interval('gain', gain)}).",
    )


def _reliability(name: str, wholes: Sequence[_Look]) -> Figure:
    shown = [one for one in wholes if one.question == name and one.found.bins]
    traces: list[Spec] = []
    if shown:
        traces.append(
            {
                "x": [0, 1],
                "y": [0, 1],
                "mode": "lines",
                "line": {"dash": "dot", "width": 1.5, "color": OTHER_COLOUR},
                "name": "perfect",
                "hoverinfo": "skip",
            }
        )
    for one in shown:
        number = [other.part for other in wholes if other.question == name].index(one.part)
        colour, bins = COLOURS[number % len(COLOURS)], one.found.bins
        traces.append(_chance_band(bins, colour))
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": figures.numbers(bins["said"]),
                "y": figures.numbers(bins["was"]),
                "text": [f"{int(n):,} examples" for n in bins["num_examples"]],
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": figures.numbers(bins["was_high"] - bins["was"]),
                    "arrayminus": figures.numbers(bins["was"] - bins["was_low"]),
                    "thickness": 1.5,
                    "width": 0,
                },
                "line": {"color": colour, "width": 2.5},
                "marker": {"size": 8, "color": colour},
                "name": figures.escaped(one.part),
                "hovertemplate": "said %{x:.1%}, was %{y:.1%}, %{text}<extra></extra>",
            }
        )
    layout = figures.plain_layout(f"{_ASKED[name]} given", "Share that were so")
    for axis in ("xaxis", "yaxis"):
        layout[axis] |= {"range": [-0.02, 1.02], "tickformat": ".0%"}
    return Figure(
        f"Reliability of {_ASKED[name]}",
        {"data": traces, "layout": layout},
        "Points on the dotted line mean what they say; below it, the detector says too much. "
        "Bars are intervals over recordings. The shaded band is where a perfectly calibrated "
        "detector's points would lie by chance.",
    )


def _chance_band(bins: Mapping[str, FloatArray], colour: str) -> Spec:
    return {
        "x": figures.numbers([*bins["said"], *bins["said"][::-1]]),
        "y": figures.numbers([*bins["null_high"], *bins["null_low"][::-1]]),
        "mode": "lines",
        "fill": "toself",
        "fillcolor": figures.translucent(colour),
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _abstention_figure(curves: Sequence[_Curve]) -> Figure:
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": figures.numbers(one.coverage),
            "y": figures.numbers(one.risk),
            "line": {"color": COLOURS[i % len(COLOURS)], "width": 2.5},
            "name": figures.escaped(one.part),
            "hovertemplate": "answering %{x:.0%}, %{y:.1%} are wrong<extra></extra>",
        }
        for i, one in enumerate(curves)
    ]
    layout = figures.plain_layout("Coverage: share it answers itself", "Risk: share wrong of these")
    layout["xaxis"] |= {"range": [0, 1.02], "tickformat": ".0%"}
    most = max(0.05, *(float(one.risk.max()) for one in curves))
    layout["yaxis"] |= {"range": [0, 1.05 * most], "tickformat": ".0%"}
    return Figure(
        "What abstaining gains",
        {"data": traces, "layout": layout},
        "The detector answers its surest clips first and leaves the rest to people. A curve that "
        "rises to the right knows when it is unsure; a flat one does not.",
    )


def _error_table(wholes: Sequence[_Look]) -> Table:
    rows = []
    for one in wholes:
        null, beyond = one.found.null, one.found.beyond_chance
        rows.append(
            [
                text(one.part),
                text(_ASKED[one.question]),
                count(one.found.num_examples),
                count(one.found.num_recordings),
                measured("ece", one.found.result("ece")),
                _band(one.found),
                Cell(wording.number("ece", beyond), sort=beyond),
                Cell(wording.DASH if null is None else wording.percent(null.dependence)),
                Cell(_STATES[one.state], state=one.state),
            ]
        )
    return Table(
        "Calibration error and chance",
        (
            "Part",
            "Probability",
            "Examples",
            "Recordings",
            "ECE",
            "By chance",
            "Beyond chance",
            "Clips alike",
            "Finding",
        ),
        rows,
        "ECE: mean distance between what was said and what was so, in bins of equally many "
        "examples. By chance: the band of a perfectly calibrated detector with the same "
        "probabilities, labels drawn from them. Beyond chance: ECE less the mean of that band. "
        "Clips alike: how often labels of one recording come together in those draws.",
    )


_STATES: Mapping[State, str] = {
    "red": "mis-calibrated",
    "green": "calibrated",
    "amber": "not sure",
    "grey": "cannot be told",
}


def _band(found: Calibration) -> Cell:
    if found.null is None:
        return text(wording.DASH)
    low, high = wording.decimal(found.null.low), wording.decimal(found.null.high)
    return Cell(f"{low} to {high}", sort=found.null.high)


def _brier_table(wholes: Sequence[_Look]) -> Table:
    return Table(
        "Where the Brier score comes from",
        ("Part", "Probability", *_BRIER.values()),
        [
            [
                text(one.part),
                text(_ASKED[one.question]),
                *(measured(name, one.found.result(name)) for name in _BRIER),
            ]
            for one in wholes
        ],
        "Lower is better. Reliability is what calibration costs, resolution what telling apart "
        "gains, uncertainty what nobody can change (Murphy, 1973); what varies within bins makes "
        "the sum exact (Stephenson and others, 2008).",
    )


def _group_table(groups: Sequence[_Look], beyond: set[int]) -> Table:
    rows = []
    for i, one in enumerate(groups):
        found = one.found
        cell = Cell("beyond chance", state="amber") if i in beyond else Cell("within chance")
        if found.null is None:
            cell = Cell(_STATES["grey"], found.reason or "", state="grey")
        rows.append(
            [
                text(one.part),
                Cell(one.group, one.kind),
                count(found.num_examples),
                count(found.num_recordings),
                Cell(wording.decimal(found.said), sort=found.said),
                Cell(wording.decimal(found.was), sort=found.was),
                measured("ece", found.result("ece")),
                _band(found),
                cell,
            ]
        )
    return Table(
        "Calibration of P(discharge) by origin and source",
        (
            "Part",
            "Group",
            "Examples",
            "Recordings",
            "Said on average",
            "Was so",
            "ECE",
            "By chance",
            "Finding",
        ),
        rows,
        "A detector that is calibrated overall may say too much of one source and too little of "
        "another. \u201cBeyond chance\u201d holds the false discovery rate of all rows at 5 %.",
    )


def _abstention_table(curves: Sequence[_Curve]) -> Table:
    return Table(
        "Risk against coverage",
        (
            "Part",
            *(f"Wrong of the surest {share:.0%}".replace("%", " %") for share in COVERAGES),
            "AURC",
            "Excess AURC",
            "Gain over chance",
        ),
        [
            [
                text(one.part),
                *(Cell(wording.percent(risk), sort=risk) for risk in one.risk_at.values()),
                *(measured(name, one.results[name]) for name in ("aurc", "excess_aurc", "gain")),
            ]
            for one in curves
        ],
        "AURC: mean share wrong over all coverages; excess over the best order of the same "
        "mistakes; gain over an order that knows nothing.",
    )


def _metrics(
    wholes: Sequence[_Look], groups: Sequence[_Look], curves: Sequence[_Curve]
) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    for one in wholes:
        parts.setdefault(one.part, {})[one.question] = _metrics_of(one.found)
    for one in groups:
        of_kind = parts[one.part][one.question].setdefault(f"by_{one.kind}", {})
        of_kind[one.group] = _metrics_of(one.found)
    for curve in curves:
        risks = {f"risk_at_{share:g}": _rounded(risk) for share, risk in curve.risk_at.items()}
        parts[curve.part]["abstention"] = {**curve.results, **risks}
    return parts


def _metrics_of(found: Calibration) -> dict[str, Any]:
    null = found.null
    return {
        "num_examples": found.num_examples,
        "num_recordings": found.num_recordings,
        "said": _rounded(found.said),
        "was": _rounded(found.was),
        "ece": dict(found.result("ece")),
        "ece_by_chance": None if null is None else [_rounded(null.low), _rounded(null.high)],
        "ece_beyond_chance": _rounded(found.beyond_chance),
        **{name: dict(found.result(name)) for name in _BRIER},
    }


def _bins(looks: Sequence[_Look]) -> pa.Table:
    rows = [
        {
            "part": one.part,
            "question": one.question,
            "group_kind": one.kind,
            "group": one.group,
            "bin": number,
            **{name: values[number].item() for name, values in one.found.bins.items()},
        }
        for one in looks
        for number in range(len(one.found.bins.get("said", ())))
    ]
    return pa.Table.from_pylist(rows, _BINS)


def _points(curves: Sequence[_Curve]) -> pa.Table:
    rows = [
        {"part": one.part, "coverage": coverage, "risk": risk}
        for one in curves
        for coverage, risk in zip(one.coverage.tolist(), one.risk.tolist(), strict=True)
    ]
    return pa.Table.from_pylist(rows, _CURVE)


def _csv(table: pa.Table, names: Sequence[str]) -> tuple[Sequence[str], list[list[Any]]]:
    columns = [table[name].to_pylist() for name in names]
    return names, [[_rounded(value) for value in row] for row in zip(*columns, strict=True)]


def _rounded(value: Any) -> Any:
    return round(value, _DECIMALS) if isinstance(value, float) else value
