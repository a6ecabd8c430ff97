"""Long videos: how soon an alert comes, how often one comes for nothing, and what that costs.

Verdicts are of the worst part. `operating_point` is green where validation is long enough to show
the stated cost, else grey. `false_alerts` is red where the lower Poisson bound of the rate is above
the cost; green where the rate is within the cost and its upper bound within twice it, since a
threshold that uses what is allowed lands beside it; grey where even no false alert at all could not
have shown it; else amber. `missed` is red where the interval of the missed share lies above one
half, green where it lies below one fifth, grey without an interval, else amber.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.assess import wording
from pipeline.assess.evidence import Csv, Evidence, Figure, Panel, Section, State, Verdict, gravest
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.statistics.measurement import as_json, named_fields
from pipeline.assess.suites.streams import figures, reviewing, tables, threshold_choice, tradeoff
from pipeline.assess.suites.streams.assembly import assemble
from pipeline.assess.suites.streams.played_clips import PlayedClips
from pipeline.assess.suites.streams.tables import Played
from pipeline.assess.suites.streams.tradeoff import TradeoffCurve
from pipeline.detect import operating_point
from pipeline.detect.alarm import SMOOTHINGS
from pipeline.detect.operating_point import Cost, OperatingPoint
from pipeline.detect.scores import LONG, SCORES, VALIDATION

TITLE = "Streams: how soon an alert comes, and how often for nothing"
MAX_MISSED, GOOD_MISSED = 0.5, 0.2
"""A detector that misses more than half is no alarm; one in five leaves work, but helps."""
NARROW = 2.0
"""How far above the cost the upper bound of a rate within it may lie."""
_CURVE_HEADER = (
    "part",
    "smoothing",
    "threshold",
    "num_events",
    "rate",
    "rate_low",
    "rate_high",
    "missed",
    "missed_low",
    "missed_high",
    "median_s",
    "median_low_s",
    "median_high_s",
    "p90_s",
)
_SURVIVAL_HEADER = ("part", "seconds", "without_alert", "low", "high")
_LEAD = (
    "Recordings are played one after the other, as a stream that someone watches: other footage "
    "for a drawn time of 5 to 30 minutes, then a real shooting that starts at a known second. "
    "False alerts are counted on each second of footage once, however often the streams repeat "
    "it, so their bounds are those of the footage that there is. An alert covers the next "
    "{refractory_s:g} s of its recording and never another one: rates of shorter recordings are "
    "rather too high than too low. Recordings are followed frame by frame, where the detector can, "
    "and the highest score within a clip ({clip_s:.2f} s) counts at its end, as where streams are "
    "watched. What is approximated: a shooting counts from the start of the first clip that shows "
    "a discharge; what raises no alert before its recording ends is missed; smoothing runs on from "
    "one recording into the next, which blurs short ones, while what a detector with a memory has "
    "seen of a stream begins anew with each."
)


def run(evidence: Evidence) -> Section:
    """Apply the operating point to every part, and follow the thresholds around it."""
    clip_s, point = evidence.clip_s, evidence.point
    settings, config = evidence.settings, evidence.settings.operating
    parts = [
        _play(one.joined(evidence.long.get(one.name)), point, evidence)
        for one in evidence.judged_sets
    ]
    long = [
        _play(evidence.long[one.name], point, evidence)
        for one in evidence.judged_sets
        if one.name in evidence.long
    ]
    applied = {one.scored.name: one.applied for one in parts if one.applied is not None}
    survival, survival_rows = figures.survival(applied, settings.bootstrap)

    cost = operating_point.cost_of(config)
    panels: list[Panel] = []
    if applied:
        panels += [tables.point_table([*parts, *long], settings.bootstrap.confidence)]
    for one in parts:
        if one.curves:
            panels += _curve_figures(one, cost.false_alerts_per_1000_h)
    if survival_rows:
        panels.append(
            Figure(
                "Waiting for the alert",
                survival,
                "Share of shootings without an alert so long after they started, at the operating "
                "point; a line that stays up was never alerted on while its footage lasted.",
            )
        )
    if applied:
        panels.append(tables.origin_table(parts, settings.bootstrap.confidence))
    with_shootings = {
        name: one for name, one in applied.items() if one.outcome.missed.value is not None
    }
    if with_shootings:
        panels += [
            tables.load_table(with_shootings, config),
            tables.scenario_table(with_shootings, config),
        ]
    metrics = {
        "operating_point": dict(point.record) if isinstance(point, OperatingPoint) else None,
        "judged_sets": {one.scored.name: _metrics(one, evidence) for one in [*parts, *long]},
    }
    return Section(
        lead=_LEAD.format(refractory_s=config.refractory_s, clip_s=clip_s),
        verdicts=_verdicts(parts, point, cost, settings.bootstrap.confidence),
        panels=panels,
        metrics=as_json(metrics),
        plots={
            "curve.csv": _curve_csv(parts),
            "time_to_alert.csv": (_SURVIVAL_HEADER, survival_rows),
            "outcome.csv": (tables.OUTCOME_HEADER, tables.outcome_rows([*parts, *long])),
        },
        rows={
            "curve.parquet": _curve_rows(parts),
            "streams.parquet": _stream_rows(parts),
            "false_alerts.parquet": _false_alert_rows(parts),
        },
        tables=(SCORES, LONG, VALIDATION),
    )


def _play(scored: JudgedSet, point: OperatingPoint | str, evidence: Evidence) -> Played:
    bootstrap = evidence.settings.bootstrap
    refractory_s = evidence.settings.operating.refractory_s
    played = PlayedClips.of(scored.clips, evidence.clip_s, bootstrap.seed)
    applied = None
    if isinstance(point, OperatingPoint):
        applied = threshold_choice.apply(point.choice, played, bootstrap)
    curves: list[TradeoffCurve] = []
    if played.reel.hours:
        streams = applied.streams if applied else assemble(played, bootstrap.seed)
        curves = [
            tradeoff.trace(played, streams, smoothing, refractory_s, bootstrap)
            for smoothing in SMOOTHINGS
        ]
    return Played(scored, played, applied, curves)


def _verdicts(
    parts: Sequence[Played],
    point: OperatingPoint | str,
    cost: Cost,
    confidence: float,
) -> list[Verdict]:
    if isinstance(point, str):
        return [Verdict("operating_point", "grey", f"No threshold is applied: {point}.")]
    false_alerts = [_judge_false_alerts(one, cost, confidence) for one in parts]
    missed = [_judge_missed(one) for one in parts]
    return [
        Verdict("operating_point", "green" if point.supported else "grey", point.says),
        _worst("false_alerts", false_alerts),
        _worst("missed", missed),
    ]


def _worst(name: str, found: Sequence[tuple[State, str]]) -> Verdict:
    state = gravest(state for state, _ in found)
    assert state is not None
    return Verdict(name, state, " ".join(says for _, says in found))


def _judge_false_alerts(one: Played, cost: Cost, confidence: float) -> tuple[State, str]:
    assert one.applied is not None
    rate, name = one.applied.outcome.false_alerts, tables.capitalised(one.scored.name)
    found = rate.measured
    if found.value is None:
        return "grey", f"{name}: {found.reason}, so it cannot show a false alert."
    allowed = cost.false_alerts_per_1000_h
    needed = threshold_choice.hours_to_show(cost, confidence)
    says = (
        f"{name}: {wording.count(rate.num_events, 'false alert')} in "
        f"{threshold_choice.span(rate.hours)} without real gunfire, "
        f"{tables.rate_interval(found)} per 1,000 hours; allowed are {tables.rate(allowed)}."
    )
    if found.ends.low > allowed:
        return "red", says
    if rate.hours < needed:
        time = threshold_choice.span(needed)
        return "grey", f"{says} It would take {time} without one to show that."
    kept = found.value <= allowed and found.ends.high <= NARROW * allowed
    return ("green" if kept else "amber"), says


def _judge_missed(one: Played) -> tuple[State, str]:
    assert one.applied is not None
    missed, name = one.applied.outcome.missed, tables.capitalised(one.scored.name)
    if missed.value is None:
        return "grey", f"{name}: no shooting in it."
    watched = float(np.median(one.played.shootings.watched_s))
    says = (
        f"{name}: {wording.percent(missed.value)} of {_shootings(one)} raise no alert before "
        f"their footage ends (after {watched:.1f} s, at the median)"
    )
    if missed.interval is None:
        return "grey", f"{says}; {missed.reason}."
    low, high = missed.interval.low, missed.interval.high
    says += f", between {wording.percent(low)} and {wording.percent(high)}."
    if low > MAX_MISSED:
        return "red", says
    return ("green" if high < GOOD_MISSED else "amber"), says


def _curve_figures(one: Played, cost: float) -> list[Panel]:
    hours = one.played.reel.hours
    name = tables.capitalised(one.scored.name)
    found: list[Panel] = []
    if one.played.shootings.first.size:
        found.append(
            Figure(
                f"{name}: shootings missed against false alerts",
                figures.missed(one.curves, hours, cost, one.applied),
                f"Lower left is better; the dotted line is the stated cost. Rates in the grey "
                f"stretch are below one event in the {threshold_choice.span(hours)} that there "
                "are: no threshold can be told from another there.",
            )
        )
        delays = figures.delays(one.curves, hours, cost)
        if delays is not None:
            found.append(
                Figure(
                    f"{name}: time to alert against false alerts",
                    delays,
                    "Lines: half of the shootings are alerted on within so long; dots: 90 %. They "
                    "end where fewer than that are alerted on at all.",
                )
            )
    return found


def _metrics(one: Played, evidence: Evidence) -> dict[str, Any]:
    if one.applied is None:
        return {}
    confidence, config = evidence.settings.bootstrap.confidence, evidence.settings.operating
    outcome, loads = one.applied.outcome, {}
    if outcome.missed.value is not None:
        loads = {
            f"one_in_{base_hours}_h": reviewing.load(outcome, config, base_hours)
            for base_hours in reviewing.BASE_HOURS
        }
    return {
        **named_fields(outcome),
        "num_unlabelled_clips": one.played.num_unlabelled,
        "by_origin": tables.by_origin(one, confidence),
        "load": loads,
    }


def _curve_csv(parts: Sequence[Played]) -> Csv:
    return _CURVE_HEADER, [[row[name] for name in _CURVE_HEADER] for row in _curve_list(parts)]


def _curve_list(parts: Sequence[Played]) -> list[dict[str, Any]]:
    return [
        {"part": one.scored.name, "smoothing": curve.smoothing, **row}
        for one in parts
        for curve in one.curves
        for row in curve.rows()
    ]


def _curve_rows(parts: Sequence[Played]) -> pa.Table:
    kinds = {"part": pa.string(), "smoothing": pa.string(), "num_events": pa.int64()}
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in _CURVE_HEADER])
    return pa.Table.from_pylist(_curve_list(parts), schema=schema)


def _stream_rows(parts: Sequence[Played]) -> pa.Table:
    """A row a stream at the operating point; `time_to_alert_s` is null where none came."""
    found: list[pa.Table] = []
    for one in parts:
        if one.applied is None:
            continue
        streams, shootings = one.applied.streams, one.played.shootings
        own = one.scored.clips.take(shootings.rows[shootings.first][streams.shooting])
        reel = one.played.reel
        begins = pa.nulls(streams.shooting.size, pa.string())
        if reel.first.size:
            begins = one.scored.clips["path"].take(reel.rows[reel.first][streams.first_file])
        delays = one.applied.delays_s
        found.append(
            pa.table(
                {
                    "part": pa.array([one.scored.name] * own.num_rows, pa.string()),
                    **{name: own[name] for name in ("collection", "path", "recording", "source")},
                    "background_from": begins,
                    "background_s": streams.background_s,
                    "false_alerts_in_background": streams.alerts_before(one.applied.alerts),
                    "onset_s": streams.onset_s,
                    "shooting_s": shootings.watched_s[streams.shooting],
                    "time_to_alert_s": pa.array(delays, mask=np.isinf(delays)),
                }
            )
        )
    return pa.concat_tables(found) if found else pa.table({"part": pa.array([], pa.string())})


def _false_alert_rows(parts: Sequence[Played]) -> pa.Table:
    """A row a false alert at the operating point: the clip at whose end it rises."""
    columns = ["clip_id", "collection", "path", "recording", "source", "origin", "start_s"]
    columns += ["score", "stream_score"]
    found: list[pa.Table] = []
    for one in parts:
        if one.applied is None:
            continue
        own = one.scored.clips.take(one.played.reel.rows[one.applied.alerts]).select(columns)
        found.append(
            own.add_column(0, "part", pa.array([one.scored.name] * own.num_rows, pa.string()))
        )
    return pa.concat_tables(found) if found else pa.table({"part": pa.array([], pa.string())})


def _shootings(one: Played) -> str:
    rendered = pc.sum(one.scored.clips["rendered"].take(one.played.shootings.rows)).as_py()
    every = one.played.shootings.rows.size
    kind = "rendered " if rendered == every else "partly rendered " if rendered else ""
    return wording.count(one.played.shootings.first.size, f"{kind}shooting")
