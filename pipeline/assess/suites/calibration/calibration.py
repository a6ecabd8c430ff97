"""Calibration: a probability of 80 % should be right eight times in ten; and gains of abstaining.

Verdicts of calibration: red where the interval of the calibration error lies wholly above what a
perfectly calibrated detector would show by chance in as many clips; green where the error lies
within that band and the band ends below `FINE`, so that a larger error would have shown; amber
otherwise. Groups: amber where the error of an origin or source is beyond chance at a false
discovery rate of 5 % (Benjamini and Hochberg, 1995), green where it is in none and every band ends
below `FINE`. Abstention: green where confidence orders errors better than chance, red where
worse, by the interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.assess import wording
from pipeline.assess.evidence import Evidence, Section, State, Verdict
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.statistics.abstention import Selective
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.calibration_error import QuestionCalibration, judge_calibration
from pipeline.assess.statistics.false_discoveries import beyond_chance
from pipeline.assess.statistics.measurement import Measured, as_json
from pipeline.assess.statistics.summary import questions
from pipeline.assess.suites.calibration.panels import (
    ASKED,
    BRIER,
    FINE,
    Finding,
    RiskCurve,
    abstention_figure,
    abstention_table,
    brier_table,
    error_table,
    group_table,
    reliability_figure,
)
from pipeline.detect import scores
from pipeline.numbers.intervals import MIN_RECORDINGS
from pipeline.numbers.rounding import rounded

TITLE = "Calibration"
_COVERAGES = (1.0, 0.8, 0.5)
_CURVE_POINTS = 200
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


def run(evidence: Evidence) -> Section:
    """Judge the probabilities of every part; nothing is predicted anew."""
    bootstrap, num_bins = evidence.settings.bootstrap, evidence.settings.num_bins
    wholes = [
        Finding(part.name, name, "", "", judge_calibration(question, num_bins, bootstrap))
        for part in evidence.judged_sets
        for name, question in questions(part.examples).items()
    ]
    groups = [one for part in evidence.judged_sets for one in _groups(part, num_bins, bootstrap)]
    curves = [_abstain(part, bootstrap) for part in evidence.judged_sets]
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
        panels=[
            *(reliability_figure(name, wholes) for name in ASKED),
            abstention_figure(curves),
            error_table(wholes),
            brier_table(wholes),
            group_table(groups, beyond),
            abstention_table(curves),
        ],
        metrics=as_json(_metrics(wholes, groups, curves)),
        plots={
            "reliability.csv": _csv(points, ("part", "question", "said", "was", "num_examples")),
            "abstention.csv": _csv(_points(curves), _CURVE.names),
        },
        rows={
            "bins.parquet": pa.concat_tables([points, _bins(groups)]),
            "abstention.parquet": _points(curves),
        },
    )


def _groups(part: JudgedSet, num_bins: int, bootstrap: Bootstrap) -> Iterator[Finding]:
    examples = part.examples
    question = questions(examples)[_ASKED_OF_GROUPS]
    origins, sources = sorted(set(examples.origin)), examples.largest_sources()
    for kind, labels, names in (
        ("origin", examples.origin, origins),
        ("source", examples.source, sources),
    ):
        for group in names:
            found = judge_calibration(question.among(labels == group), num_bins, bootstrap)
            yield Finding(part.name, _ASKED_OF_GROUPS, kind, str(group), found)


def _beyond_chance(groups: Sequence[Finding]) -> set[int]:
    """Numbers of the groups whose error is no chance, among all that could be compared."""
    chances = [None if one.found.null is None else one.found.null.p_value for one in groups]
    return {number for number, is_beyond in enumerate(beyond_chance(chances)) if is_beyond}


def _abstain(part: JudgedSet, bootstrap: Bootstrap) -> RiskCurve:
    examples = part.examples
    wrong = examples.predicted != examples.actual
    if part.files is None:
        confidence = scores.joint(part.clips).max(axis=1)
    else:
        # A file's class is decided by its two marginals.
        sides = (examples.p_real, examples.p_discharge)
        confidence = np.prod([np.maximum(side, 1 - side) for side in sides], axis=0)
    selective = Selective(confidence, wrong, examples.clusters)
    values = selective.values()
    num_recordings = int(examples.clusters.max()) + 1
    reason = None
    if num_recordings < MIN_RECORDINGS:
        reason = "all examples are of one recording"
    elif not wrong.any() or wrong.all():
        reason = "no mistake to avoid" if not wrong.any() else "every answer is wrong"
    recordings = np.arange(num_recordings)
    intervals = {} if reason else bootstrap.intervals(selective.statistics, recordings)
    results = {}
    for name, value in values.items():
        interval = intervals.get(name)
        results[name] = Measured(value, interval and interval.around(value), reason)
    coverage = np.arange(1, _CURVE_POINTS + 1) / _CURVE_POINTS
    coverage = coverage[coverage >= 1 / wrong.size]
    at = selective.risk_at(np.array(_COVERAGES))
    return RiskCurve(
        part.name,
        results,
        coverage,
        selective.risk_at(coverage),
        dict(zip(_COVERAGES, at.tolist(), strict=True)),
        reason,
    )


def _verdict(one: Finding) -> Verdict:
    name, found = f"{one.question}_{one.part}", one.found
    asked = f"{ASKED[one.question]} on \u201c{one.part}\u201d"
    if found.null is None:
        return Verdict(name, "grey", f"{asked}: calibration cannot be told, {found.reason}.")
    error = found.result("ece")
    off = (
        f"{asked} is off by {wording.decimal(error.known)} on average "
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
    if error.known > found.null.high:
        return Verdict(name, "amber", f"{off}; {chance}. The data is too small to be sure.")
    ending = "." if one.state == "green" else ", so that a large error could hide."
    return Verdict(name, one.state, f"{off}, no more than chance: {chance}{ending}")


def _group_verdict(groups: Sequence[Finding], beyond: set[int]) -> Verdict:
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
    error, null = one.found.result("ece"), one.found.null
    assert null is not None
    return Verdict(
        "groups",
        "amber",
        f"In {len(beyond)} of {num_known} comparisons by origin and source the calibration error "
        f"of P(discharge) is beyond chance; most in \u201c{one.group}\u201d ({one.part}), where it "
        f"is off by {wording.decimal(error.known)} ({wording.interval('ece', error)}) and "
        f"{wording.decimal(null.high)} would be chance.",
    )


def _abstention_verdict(one: RiskCurve) -> Verdict:
    name = f"abstention_{one.part}"
    if one.reason is not None:
        return Verdict(
            name,
            "grey",
            f"What abstaining gains on \u201c{one.part}\u201d is unknown: {one.reason}.",
        )
    gain = one.results["gain"]
    state: State = "amber"
    if gain.ends.low > 0:
        state = "green"
    elif gain.ends.high < 0:
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
        f"{wording.decimal(gain.known)}, {wording.interval('gain', gain)}).",
    )


def _metrics(
    wholes: Sequence[Finding], groups: Sequence[Finding], curves: Sequence[RiskCurve]
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


def _metrics_of(found: QuestionCalibration) -> dict[str, Any]:
    null = found.null
    return {
        "num_examples": found.num_examples,
        "num_recordings": found.num_recordings,
        "said": _rounded(found.said),
        "was": _rounded(found.was),
        "ece": found.result("ece"),
        "ece_by_chance": None if null is None else [_rounded(null.low), _rounded(null.high)],
        "ece_beyond_chance": _rounded(found.beyond_chance),
        **{name: found.result(name) for name in BRIER},
    }


def _bins(found: Sequence[Finding]) -> pa.Table:
    rows = [
        {
            "part": one.part,
            "question": one.question,
            "group_kind": one.kind,
            "group": one.group,
            "bin": number,
            **{name: values[number].item() for name, values in one.found.bins.items()},
        }
        for one in found
        for number in range(len(one.found.bins.get("said", ())))
    ]
    return pa.Table.from_pylist(rows, _BINS)


def _points(curves: Sequence[RiskCurve]) -> pa.Table:
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
    return rounded(value) if isinstance(value, float) else value
