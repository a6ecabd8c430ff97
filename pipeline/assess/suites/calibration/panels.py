"""Diagrams and tables of the section on calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.assess import wording
from pipeline.assess.evidence import Cell, Figure, Spec, State, Table, count, measured, text
from pipeline.assess.page import figures
from pipeline.assess.page.figures import COLOURS
from pipeline.assess.statistics.calibration_error import QuestionCalibration
from pipeline.assess.statistics.measurement import Measured
from pipeline.numbers.metrics import FloatArray

FINE = 0.1
"""A band that ends higher hides errors that would change what a reviewer does."""
BRIER = {
    "brier": "Brier score",
    "reliability": "= reliability",
    "resolution": "\u2212 resolution",
    "uncertainty": "+ uncertainty",
    "within_variance": "+ variance within bins",
    "within_covariance": "\u2212 covariance within bins",
}
ASKED = {
    "shooting": "P(real shooting)",
    "origin": "P(real)",
    "discharge": "P(discharge)",
}


@dataclass(frozen=True)
class Finding:
    """The calibration of a question on a part, or on a group of it if `kind` is no empty text."""

    part: str
    question: str
    kind: str
    group: str
    found: QuestionCalibration

    @property
    def state(self) -> State:
        """Red, green or amber, as the suite states, and grey where it cannot be told."""
        null, error = self.found.null, self.found.result("ece")
        if null is None:
            return "grey"
        if error.ends.low > null.high:
            return "red"
        return "green" if error.known <= null.high <= FINE else "amber"


@dataclass(frozen=True)
class RiskCurve:
    """Risk against coverage of one part; `results` as `Selective.statistics` names them."""

    part: str
    results: Mapping[str, Measured]
    coverage: FloatArray
    risk: FloatArray
    risk_at: Mapping[float, float]
    reason: str | None


def reliability_figure(name: str, wholes: Sequence[Finding]) -> Figure:
    """A reliability diagram of one question, a line a part."""
    shown = [one for one in wholes if one.question == name and one.found.bins]
    parts = [one.part for one in wholes if one.question == name]
    traces: list[Spec] = []
    for one in shown:
        colour, bins = COLOURS[parts.index(one.part) % len(COLOURS)], one.found.bins
        hover = "said %{x:.1%}, was %{y:.1%}, %{text}"
        traces += [
            figures.band(bins["said"], bins["null_low"], bins["null_high"], colour),
            figures.line(one.part, bins["said"], bins["was"], colour, hover)
            | {
                "mode": "lines+markers",
                "text": [f"{int(n):,} examples" for n in bins["num_examples"]],
                "marker": {"size": 8, "color": colour},
            },
        ]
    return Figure(
        f"Reliability of {ASKED[name]}",
        figures.reliability(traces, f"{ASKED[name]} given", "Share that were so"),
        "Points on the dotted line mean what they say; below it, the detector says too much. "
        "The shaded band is where a perfectly calibrated "
        "detector's points would lie by chance.",
    )


def abstention_figure(curves: Sequence[RiskCurve]) -> Figure:
    """Risk against coverage, a line a part."""
    hover = "answering %{x:.0%}, %{y:.1%} are wrong"
    traces = [
        figures.line(one.part, one.coverage, one.risk, COLOURS[i % len(COLOURS)], hover)
        for i, one in enumerate(curves)
    ]
    layout = figures.base_layout("Coverage: share it answers itself", "Risk: share wrong of these")
    layout["xaxis"] |= {"range": [0, 1.02], "tickformat": ".0%"}
    most = max(0.05, *(float(one.risk.max()) for one in curves))
    layout["yaxis"] |= {"range": [0, 1.05 * most], "tickformat": ".0%"}
    return Figure(
        "What abstaining gains",
        {"data": traces, "layout": layout},
        "The detector answers its surest clips first and leaves the rest to people. A curve that "
        "rises to the right knows when it is unsure; a flat one does not.",
    )


def error_table(wholes: Sequence[Finding]) -> Table:
    """Calibration errors beside what chance would show."""
    rows = []
    for one in wholes:
        null, beyond = one.found.null, one.found.beyond_chance
        rows.append(
            [
                text(one.part),
                text(ASKED[one.question]),
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


def _band(found: QuestionCalibration) -> Cell:
    if found.null is None:
        return text(wording.DASH)
    low, high = wording.decimal(found.null.low), wording.decimal(found.null.high)
    return Cell(f"{low} to {high}", sort=found.null.high)


def brier_table(wholes: Sequence[Finding]) -> Table:
    """The Brier score and its parts."""
    return Table(
        "Where the Brier score comes from",
        ("Part", "Probability", *BRIER.values()),
        [
            [
                text(one.part),
                text(ASKED[one.question]),
                *(measured(name, one.found.result(name)) for name in BRIER),
            ]
            for one in wholes
        ],
        "Lower is better. Reliability is what calibration costs, resolution what telling apart "
        "gains, uncertainty what nobody can change (Murphy, 1973); what varies within bins makes "
        "the sum exact (Stephenson and others, 2008).",
    )


def group_table(groups: Sequence[Finding], beyond: set[int]) -> Table:
    """Calibration of every origin and source; `beyond` numbers those that are no chance."""
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


def abstention_table(curves: Sequence[RiskCurve]) -> Table:
    """Risk at some coverages, and areas under the curves."""
    return Table(
        "Risk against coverage",
        (
            "Part",
            *(f"Wrong of the surest {share:.0%}".replace("%", " %") for share in curves[0].risk_at),
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
