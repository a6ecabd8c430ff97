"""Tables of the streams suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.assess import wording
from pipeline.assess.evidence import Cell, Table, count, text
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.suites.streams import reviewing, threshold_choice
from pipeline.assess.suites.streams.outcome import Rate
from pipeline.assess.suites.streams.played_clips import PlayedClips
from pipeline.assess.suites.streams.threshold_choice import Applied
from pipeline.assess.suites.streams.tradeoff import TradeoffCurve
from pipeline.config import OperatingConfig
from pipeline.detect import operating_point
from pipeline.footage.collection import ORIGINS

OUTCOME_HEADER = (
    "part",
    "hours",
    "false_alerts",
    "rate",
    "rate_low",
    "rate_high",
    "shootings",
    "missed",
    "missed_low",
    "missed_high",
    "median_s",
)


@dataclass(frozen=True)
class Played:
    """A part, what the operating point does on it, and its curves."""

    scored: JudgedSet
    played: PlayedClips
    applied: Applied | None
    curves: Sequence[TradeoffCurve]


def point_table(parts: Sequence[Played], confidence: float) -> Table:
    """Return what the operating point does on each part; it must have been applied."""
    rows = []
    for one in parts:
        assert one.applied is not None
        outcome = one.applied.outcome
        false_alerts = outcome.false_alerts
        assert false_alerts.num_recordings is not None
        watched = one.played.shootings.watched_s
        rows.append(
            [
                text(one.scored.name),
                Cell(threshold_choice.span(false_alerts.hours), sort=false_alerts.hours),
                Cell(
                    str(false_alerts.num_events),
                    f"in {wording.count(false_alerts.num_recordings, 'recording')}",
                    false_alerts.num_events,
                ),
                _rate_cell(false_alerts),
                Cell(
                    str(outcome.num_shootings),
                    f"{np.median(watched):.1f} s long (median)" if watched.size else "",
                    outcome.num_shootings,
                ),
                _share_cell(outcome.missed),
                *(_delay_cell(delay) for delay in outcome.delays.values()),
            ]
        )
    return Table(
        "At the operating point",
        [
            "Part",
            "Without real gunfire",
            "False alerts",
            "Per 1,000 hours",
            "Shootings",
            "Missed",
            "Half alert within",
            "90 % alert within",
        ],
        rows,
        f"The threshold is in {operating_point.FILE} beside this report; models/ belongs to "
        f"training and is left as it is. Intervals hold {100 * confidence:g} %: exact Poisson "
        "bounds of rates, "
        "which take alerts as independent, and resampled recordings for the rest.",
    )


def outcome_rows(parts: Sequence[Played]) -> list[list[Any]]:
    """The same without rounding, a row a part under `OUTCOME_HEADER`."""
    found = []
    for one in parts:
        if one.applied is not None:
            outcome = one.applied.outcome
            rate, missed = outcome.false_alerts, outcome.missed
            found.append(
                [
                    one.scored.name,
                    rate.hours,
                    rate.num_events,
                    *(rate.measured.value, rate.measured.low, rate.measured.high),
                    outcome.num_shootings,
                    *(missed.value, missed.low, missed.high),
                    outcome.median_s.value,
                ]
            )
    return found


def origin_table(parts: Sequence[Played], confidence: float) -> Table:
    """False alerts of each origin of each part."""
    rows = [
        [
            text(one.scored.name),
            text(origin),
            Cell(threshold_choice.span(found.hours), sort=found.hours),
            count(found.num_events),
            _rate_cell(found),
        ]
        for one in parts
        for origin, found in by_origin(one, confidence).items()
    ]
    columns = ["Part", "Origin", "Without real gunfire", "False alerts", "Per 1,000 hours"]
    caption = "Real footage without a discharge, and fictional footage with or without one."
    return Table("Where false alerts come from", columns, rows, caption)


def by_origin(one: Played, confidence: float) -> dict[str, Rate]:
    """The rate of false alerts of each origin that the part holds."""
    assert one.applied is not None
    reel = one.played.reel
    origins = np.array(one.scored.clips["origin"].to_pylist(), object)[reel.rows]
    return {
        origin: Rate.of(
            int((origins[one.applied.alerts] == origin).sum()),
            float(reel.covered_s[origins == origin].sum()) / 3600,
            confidence,
        )
        for origin in ORIGINS
        if (origins == origin).any()
    }


def load_table(applied: Mapping[str, Applied], config: OperatingConfig) -> Table:
    """A day of reviewers at each base rate; the parts must hold shootings."""
    rows = []
    for name, one in applied.items():
        for base_hours in reviewing.BASE_HOURS:
            day = reviewing.load(one.outcome, config, base_hours)
            alerts, minutes, right = day.alerts, day.minutes, day.right
            rows.append(
                [
                    text(name),
                    Cell(f"one in {base_hours:,} hours", sort=base_hours),
                    Cell(f"{day.shootings:.3g}", sort=day.shootings),
                    _range_cell(alerts),
                    _range_cell(minutes),
                    _right_cell(right),
                ]
            )
    return Table(
        "What reviewers would face",
        ["Part", "Real shootings", "A day", "Alerts a day", "Reviewer minutes a day", "Right"],
        rows,
        f"{config.streams:,} streams all day, {config.minutes_per_alert:g} minutes an alert, at "
        "stated base rates: nobody publishes the true one. A stream raises at most one alert each "
        f"{config.refractory_s:g} s. Bounds take the worst and the best ends "
        "of both intervals at once.",
    )


def scenario_table(applied: Mapping[str, Applied], config: OperatingConfig) -> Table:
    """Return what of known streams nobody need have seen; the parts must hold shootings."""
    review = config.minutes_per_alert
    rows = []
    for name, one in applied.items():
        for title, minutes in reviewing.SCENARIOS:
            rows.append(
                [
                    text(name),
                    Cell(f"{title}: {minutes:g} minutes", sort=minutes),
                    *(
                        _scenario_cell(minutes, delay.value, review)
                        for delay in one.outcome.delays.values()
                    ),
                    _share_cell(one.outcome.missed),
                ]
            )
    return Table(
        "Attacks that were streamed",
        ["Part", "Stream", "Left unseen, half the time", "9 of 10 times", "No alert at all"],
        rows,
        "As if the shooting began with the stream: an alert after so many seconds leaves so many "
        "minutes that nobody need see, fewer if a reviewer looks first. Neither recording is in "
        "the data; nothing here was measured on them.",
    )


def _scenario_cell(minutes: float, delay_s: float | None, review: float) -> Cell:
    if delay_s is None:
        return Cell("fewer are alerted on", sort=0.0)
    at_once = reviewing.unseen_minutes(minutes, delay_s, 0.0)
    reviewed = reviewing.unseen_minutes(minutes, delay_s, review)
    soft = f"alert after {delay_s:.1f} s; {reviewed:.1f} after {review:g} minutes of review"
    return Cell(f"{at_once:.1f} minutes", soft, at_once)


def rate(value: float) -> str:
    """A rate in as many digits as a reader can use."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def rate_interval(found: Measured) -> str:
    """A rate with its bounds."""
    return f"{rate(found.known)} ({rate(found.ends.low)} to {rate(found.ends.high)})"


def _rate_cell(one: Rate) -> Cell:
    found = one.measured
    if found.value is None:
        return _unknown_cell(found)
    low, high = rate(found.ends.low), rate(found.ends.high)
    if not one.num_events:
        return Cell(f"at most {high}", "none seen", found.value)
    return Cell(rate(found.value), f"{low} to {high}", found.value)


def _range_cell(found: reviewing.Range) -> Cell:
    if found.value is None or found.low is None or found.high is None:
        return text(wording.DASH)
    return Cell(rate(found.value), f"{rate(found.low)} to {rate(found.high)}", found.value)


def _right_cell(found: reviewing.Range) -> Cell:
    """A share that rests on no false alert at all is a bound, not a number."""
    if found.value is None:
        return text(wording.DASH)
    low = "" if found.low is None else _right(found.low)
    if found.value == 1.0:
        return Cell(f"at least {low}", "no false alert seen", found.low)
    high = "" if found.high is None else _right(found.high)
    return Cell(_right(found.value), f"{low} to {high}", found.value)


def _right(share: float) -> str:
    return f"one in {1 / share:,.0f}" if 0 < share < 0.01 else wording.percent(share)


def _share_cell(found: Measured) -> Cell:
    if found.value is None:
        return _unknown_cell(found)
    soft = found.reason or ""
    if found.interval is not None:
        soft = f"{wording.percent(found.interval.low)} to {wording.percent(found.interval.high)}"
    return Cell(wording.percent(found.value), soft, found.value)


def _delay_cell(found: Measured) -> Cell:
    if found.value is None:
        return _unknown_cell(found)
    soft = found.reason or ""
    if found.low is not None:
        high = "never" if found.high is None else f"{found.high:.1f} s"
        soft = f"{found.low:.1f} s to {high}"
    return Cell(f"{found.value:.1f} s", soft, found.value)


def _unknown_cell(found: Measured) -> Cell:
    return Cell(wording.DASH, found.reason or "")


def capitalised(name: str) -> str:
    """A name as the first word of a sentence."""
    return name[:1].upper() + name[1:]
