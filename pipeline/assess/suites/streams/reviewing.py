"""Says what a rate of false alerts means to those who read them, and to those who watch a stream.

Real shootings are so rare among streams that the rate of false alerts decides what an alert is
worth (the base rate fallacy; Axelsson, 2000).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.assess.suites.streams.outcome import Outcome
from pipeline.config import OperatingConfig
from pipeline.detect.operating_point import PER_HOURS
from pipeline.numbers.rounding import rounded

BASE_HOURS = (100_000, 1_000_000)
"""Hours of streams in which one real shooting is shown. Nobody publishes the true number."""
SCENARIOS = (("Christchurch, 2019", 17.0), ("Halle, 2019", 35.0))
"""Attacks that were streamed live, and about how many minutes each stream went on."""


@dataclass(frozen=True)
class Range:
    """A number with its bounds; None for what is unknown."""

    value: float | None
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, float | None]:
        """Rounded to six decimals."""
        return {
            name: None if value is None else rounded(value)
            for name, value in (("value", self.value), ("low", self.low), ("high", self.high))
        }


@dataclass(frozen=True)
class ReviewLoad:
    """A day of all streams, where one in `base_hours` hours shows a real shooting."""

    base_hours: int
    shootings: float
    """Shootings that are expected a day."""
    alerts: Range
    """Alerts a day, right ones included."""
    minutes: Range
    """Minutes of reviewers, a day."""
    right: Range
    """Share of alerts that are right (positive predictive value)."""

    def to_json(self) -> dict[str, Range]:
        """Return what a day costs, and what its alerts are worth."""
        return {
            "alerts_per_day": self.alerts,
            "reviewer_minutes_per_day": self.minutes,
            "right": self.right,
        }


def load(outcome: Outcome, config: OperatingConfig, base_hours: int) -> ReviewLoad:
    """A day at an operating point, from what it does on some shootings.

    A stream raises no more than one false alert each refractory time, whatever rate short
    recordings show. Bounds take the ends of both intervals at once, so that they are wider than
    either; a missed share without an interval may be anything.
    """
    hours = 24.0 * config.streams
    shootings = hours / base_hours
    most = hours * 3600 / config.refractory_s if config.refractory_s else math.inf
    rate, missed = outcome.false_alerts.measured, outcome.missed
    found_most = 1.0 if missed.low is None else 1 - missed.low
    found_least = 0.0 if missed.high is None else 1 - missed.high
    right = [shootings * share for share in (1 - missed.known, found_least, found_most)]
    if rate.value is None:
        unknown = Range(None, None, None)
        return ReviewLoad(base_hours, shootings, unknown, unknown, unknown)
    rates = (rate.value, rate.ends.low, rate.ends.high)
    wrong = [min(number * hours / PER_HOURS, most) for number in rates]
    alerts = [sum(both) for both in zip(wrong, right, strict=True)]
    return ReviewLoad(
        base_hours,
        shootings,
        Range(*alerts),
        Range(*(number * config.minutes_per_alert for number in alerts)),
        Range(
            _share(right[0], wrong[0]),
            _share(right[1], wrong[2]),
            _share(right[2], wrong[1]),
        ),
    )


def _share(right: float, wrong: float) -> float | None:
    return right / (right + wrong) if right else 0.0 if wrong else None


def unseen_minutes(stream_minutes: float, delay_s: float | None, review_minutes: float) -> float:
    """Minutes of a stream that nobody need see if it ends `review_minutes` after an alert.

    The alert comes `delay_s` after its first second, or never (None).
    """
    if delay_s is None:
        return 0.0
    return max(0.0, stream_minutes - delay_s / 60 - review_minutes)
