from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from pipeline.detect.alarm import Alarm, Choice
from pipeline.live.alerts import STREAM_OVER, Habits, StreamAlerts
from pipeline.live.before import Before
from pipeline.live.messages import StreamClip
from pipeline.live.scoring import StreamAnswer

SHOWN = StreamClip(0.0, np.zeros((3, 8, 8, 3), np.uint8), np.zeros(4, np.int16), "absent", (), "")
Told = list[tuple[str, Mapping[str, Any]]]


def alerts_of(
    choice: Choice, release: float | None, before: Before | None = None
) -> tuple[StreamAlerts, Told]:
    told: Told = []
    habits = Habits(choice, release, {}, 0.0, False)
    return StreamAlerts(
        habits, lambda *one: told.append(one), lambda _, answer: answer, before
    ), told


def played(scores: Sequence[float], choice: Choice, release: float | None) -> list[tuple[Any, ...]]:
    """Events of a score a second: of which kind, when, and why an alert was closed."""
    alerts, told = alerts_of(choice, release)
    for second, score in enumerate(scores, 1):
        alerts.take(StreamAnswer(score, score, score), SHOWN, float(second), None)
    return [
        (kind.removeprefix("alert."), data["closed_s"], data["reason"])
        if kind == "alert.closed"
        else (kind.removeprefix("alert."), data["at_s"])
        for kind, data in told
    ]


HIGH, MIDDLE, LOW = 0.9, 0.45, 0.1


def test_what_goes_on_is_one_alert_until_its_level_has_fallen() -> None:
    choice = Choice(0.5, "none", 2.0)
    scores = [LOW, HIGH, HIGH, HIGH, HIGH, MIDDLE, MIDDLE, HIGH, MIDDLE, MIDDLE, LOW, HIGH]
    assert played(scores, choice, 0.8) == [
        ("opened", 2.0),
        ("updated", 3.0),
        ("updated", 4.0),
        ("updated", 5.0),
        ("updated", 8.0),
        ("closed", 11.0, "level_fell"),
        ("opened", 12.0),
    ]
    # Where the level falls meanwhile, the refractory time is what closes it.
    assert played([HIGH, LOW, LOW, LOW], choice, 0.8) == [
        ("opened", 1.0),
        ("closed", 3.0, "refractory_time_over"),
    ]
    assert [one[0] for one in played(scores, choice, None)].count("opened") == 4


@pytest.mark.parametrize("smoothing", ["none", "mean_3", "two_of_three"])
def test_there_are_never_more_alerts_than_an_evaluation_counts(smoothing: str) -> None:
    rng = np.random.default_rng(0)
    choice = Choice(0.6, smoothing, 3.0)
    for release in (None, 0.0, 0.5, 0.9, 1.0):
        scores = rng.uniform(0, 1, 400) ** 0.7
        alarm = Alarm(choice, 1)
        expected = sum(
            bool(alarm.push(np.array([score]), np.array([float(at_s)])).opened[0])
            for at_s, score in enumerate(scores, 1)
        )
        events = played(scores.tolist(), choice, release)
        kinds = [one[0] for one in events if one[0] != "updated"]
        # One is open at most.
        assert kinds == ["opened", "closed"] * (len(kinds) // 2) + ["opened"] * (len(kinds) % 2)
        num = kinds.count("opened")
        assert num == expected if release is None else 0 < num < expected


def test_a_stream_that_is_lost_or_ends_leaves_no_alert_open() -> None:
    alerts, told = alerts_of(Choice(0.5, "none", 2.0), 0.8)
    answer = StreamAnswer(HIGH, HIGH, HIGH)
    for second in (1.0, 2.0, 3.0, 4.0):
        alerts.take(answer, SHOWN, second, None)
    assert alerts.open
    alerts.wait(4.5)
    assert alerts.open
    alerts.wait(6.0)
    assert alerts.open is None
    alerts.take(answer, SHOWN, 7.0, None)
    alerts.end(STREAM_OVER)
    assert alerts.open is None
    assert [kind for kind, _ in told].count("alert.closed") == 2
    assert told[-1][1]["reason"] == "stream_ended"


@pytest.mark.parametrize("smoothing", ["none", "mean_3", "two_of_three"])
def test_an_alert_that_was_open_goes_on_elsewhere_under_its_name(smoothing: str) -> None:
    choice = Choice(0.5, smoothing, 30.0)
    first, told = alerts_of(choice, 0.8)
    for second in range(1, 5):
        first.take(StreamAnswer(HIGH, HIGH, HIGH), SHOWN, float(second), None)
    (opened, opened_data), *_ = told
    assert opened == "alert.opened"
    second, told_anew = alerts_of(choice, 0.8, first.before(100.0))
    # As a stream does that was connected to anew.
    second.quieten()
    second.take(StreamAnswer(LOW, LOW, LOW), SHOWN, 9.0, None)
    assert told_anew == []
    assert second.open == opened_data["alert"]
    for at_s in (10.0, 11.0, 12.0):
        second.take(StreamAnswer(HIGH, HIGH, HIGH), SHOWN, at_s, None)
    assert {kind for kind, _ in told_anew} == {"alert.updated"}
    for at_s in (28.0, 29.0, 30.0, 40.0):
        second.wait(at_s)
    kind, closed = told_anew[-1]
    assert (kind, closed["reason"]) == ("alert.closed", "refractory_time_over")
    assert closed["closed_s"] == opened_data["opened_s"] + 30.0
    assert (closed["alert"], closed["opened_s"]) == (opened_data["alert"], opened_data["opened_s"])
    assert closed["num_clips_above"] > opened_data["num_clips_above"]
    summary = second.summary
    assert (summary["num_alerts"], summary["highest_at_s"]) == (1, first.summary["highest_at_s"])
    assert second.before(None).open is None
