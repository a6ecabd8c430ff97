from __future__ import annotations

import math
from typing import Any

import pytest

from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.suites.streams import reviewing
from pipeline.assess.suites.streams.outcome import Outcome, Rate
from pipeline.config import OperatingConfig
from pipeline.numbers.intervals import Interval

CONFIG = OperatingConfig(10.0, None, streams=1000, minutes_per_alert=2.0, refractory_s=60.0)


def measured(rate: tuple[Any, ...], missed: tuple[Any, ...]) -> Outcome:
    nothing = Measured.unknown("not asked")
    return Outcome(Rate(of(*rate), 0, 1.0), of(*missed), nothing, nothing, 1, 1)


def of(value: float | None, low: float | None, high: float | None) -> Measured:
    return Measured(value, None if low is None or high is None else Interval(low, high))


def test_a_day_of_alerts_is_hours_times_rate_and_the_few_that_are_right() -> None:
    day = reviewing.load(measured((10.0, 5.0, 20.0), (0.25, 0.0, 0.5)), CONFIG, 100_000)
    assert day.shootings == pytest.approx(0.24)
    assert day.alerts.value == pytest.approx(240 + 0.18)
    assert day.minutes.high == pytest.approx(2 * (480 + 0.24))
    assert day.right.value == pytest.approx(0.18 / 240.18)
    assert day.right.low == pytest.approx(0.12 / 480.12)
    assert day.right.high == pytest.approx(0.24 / 120.24)


def test_an_unknown_interval_of_the_missed_share_leaves_the_bound_at_nothing_found() -> None:
    day = reviewing.load(measured((0.0, 0.0, 20.0), (0.0, None, None)), CONFIG, 1_000_000)
    assert day.right.low == 0.0
    assert day.right.value == day.right.high == 1.0


def test_a_stream_raises_one_alert_each_refractory_time_at_most() -> None:
    day = reviewing.load(measured((1e6, 9e5, 2e6), (1.0, 1.0, 1.0)), CONFIG, 100_000)
    assert day.alerts.value == day.alerts.high == 1000 * 24 * 60


def test_without_an_exposure_nothing_is_said() -> None:
    day = reviewing.load(measured((None, None, None), (0.5, 0.4, 0.6)), CONFIG, 100_000)
    assert day.alerts == day.right == reviewing.Range(None, None, None)


def test_without_any_alert_none_is_right_or_wrong() -> None:
    day = reviewing.load(measured((0.0, 0.0, 1.0), (1.0, 0.9, 1.0)), CONFIG, 100_000)
    assert day.alerts.value == 0.0
    assert day.right.value is None


def test_an_alert_leaves_the_rest_of_a_stream_unseen() -> None:
    assert reviewing.unseen_minutes(17, 30, 0) == pytest.approx(16.5)
    assert reviewing.unseen_minutes(17, 30, 2) == pytest.approx(14.5)
    assert reviewing.unseen_minutes(1, 50, 5) == 0.0
    assert reviewing.unseen_minutes(35, None, 0) == 0.0
    assert math.isfinite(reviewing.unseen_minutes(35, 1e9, 0))
