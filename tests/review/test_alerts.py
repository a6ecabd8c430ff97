from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.live import decisions
from pipeline.live.decisions import Decisions
from pipeline.review import alerts
from pipeline.review.agreement import Votes
from pipeline.review.deployment import deployments
from pipeline.review.queueing import NewQueue
from pipeline.review.record import Record
from pipeline.review.tasks import ALERT, AUDIT
from tests.live.shown import CLIP, STILLS, event, opened
from tests.review.made import SETTINGS

EVIDENCE = {
    "score": 0.81,
    "weights_sha256": "a" * 64,
    "operating_point": {"threshold": 0.6},
    "last_clip": {**CLIP, "sound": "present"},
}


def watched(num: int) -> list[dict[str, Any]]:
    """Events of alerts, of which the last one is still open."""
    found = []
    for number in range(num):
        name, level = f"alert-{number}", 0.6 + 0.3 * number / num
        found.append(opened(name, "yard", highest_level=level, **EVIDENCE))
        if number < num - 1:
            closed = {"alert": name, "highest_level": level, "closed_s": 73.3}
            found.append(event("alert.closed", "yard", **closed))
    return found


def made(path: Path) -> NewQueue:
    (found,) = alerts.read(path)
    return alerts.make(found, SETTINGS)


def test_alerts_of_a_file_of_events_and_of_the_watch_are_the_same_queue(tmp_path: Path) -> None:
    kept, lines = Decisions(tmp_path), []
    for one in watched(12):
        kept.take(one)
        lines.append(json.dumps(one))
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")
    settings = replace(SETTINGS, num=6, audit=0.5)

    def made(path: Path) -> NewQueue:
        (found,) = alerts.read(path)
        return alerts.make(found, settings)

    of_events, of_watch = made(tmp_path / "events.jsonl"), made(tmp_path)
    assert of_events.tasks == of_watch.tasks
    assert made(tmp_path / decisions.FILE).places == of_watch.places
    assert len(of_watch.places) == 6
    assert sum(AUDIT in place.reasons for place in of_watch.places) == 3
    assert {place.inclusion for place in of_watch.places} == {None, 0.25}
    best = of_watch.tasks[0]
    assert (best.kind, best.uri, best.stills, best.is_silent) == (ALERT, "yard", STILLS, False)
    # Alerts of a watch that still runs are not closed by whoever looks at them.
    with sqlite3.connect(tmp_path / decisions.FILE) as database:
        still_open = "SELECT count(*) FROM alerts WHERE closed_at IS NULL"
        assert database.execute(still_open).fetchone() == (1,)


def test_what_was_dismissed_on_the_page_is_asked_last(tmp_path: Path) -> None:
    kept = Decisions(tmp_path)
    for one in watched(8):
        kept.take(one)

    def asked(num: int = 8, audit: float = 0.0) -> list[str]:
        (found,) = alerts.read(tmp_path)
        of = alerts.make(found, replace(SETTINGS, num=num, audit=audit))
        return [task.id for task in of.tasks]

    drawn, before = asked(num=4, audit=1.0), asked()
    for best, decision in zip(
        before, ("dismissed", "acknowledged", "dismissed", "dismissed"), strict=False
    ):
        kept.decide(best, decision, "Ada")
    # The last word counts.
    kept.decide(before[3], "acknowledged", "Bo")
    assert asked() == [before[1], *before[3:], before[0], before[2]]
    # Of what is drawn for the audit only the order changes.
    assert sorted(asked(num=4, audit=1.0)) == sorted(drawn)


def test_alerts_of_several_detectors_are_queues_of_their_own(tmp_path: Path) -> None:
    events = [
        opened(f"alert-{n}", "yard", highest_level=0.7, **EVIDENCE | {"weights_sha256": of * 64})
        for n, of in enumerate("aabab")
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    found = alerts.read(tmp_path / "events.jsonl")
    queues = [alerts.make(one, replace(SETTINGS, num=6)) for one in found]
    assert [queue.about["weights_sha256"] for queue in queues] == ["a" * 64, "b" * 64]
    assert [{task.id for task in queue.tasks} for queue in queues] == [
        {"alert-0", "alert-1", "alert-3"},
        {"alert-2", "alert-4"},
    ]


def test_alerts_queued_daily_are_counted_once(tmp_path: Path) -> None:
    record = Record(tmp_path / "review")
    for day in (1, 2, 3):
        lines = map(json.dumps, watched(12)[: 6 * day])
        (tmp_path / "events.jsonl").write_text("\n".join(lines))
        (source,) = alerts.read(tmp_path / "events.jsonl")
        made = alerts.make(source, replace(SETTINGS, num=6))
        record.add_queue(made.key, made.about, made.tasks, made.places, made.population)
    (found,) = deployments(record, Votes.of(record, 0.05), 0.95)
    assert (found.queues, found.videos, found.alerts, found.days) == ((1, 2, 3), 9, 9, 1)


def test_the_line_that_a_running_watch_is_writing_is_left_out(tmp_path: Path) -> None:
    lines = [json.dumps(one) for one in watched(3)]
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(lines))
    assert len(made(path).tasks) == 3
    path.write_text("\n".join(lines)[:-20])
    assert len(made(path).tasks) == 2
    path.write_text("\n".join([lines[0][:-20], *lines[1:]]) + "\n")
    with pytest.raises(UserError, match="no alerts of discern watch"):
        made(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"highest_level": float("nan")}, "alert x: highest_level nan is not from 0 to 1; .* mend"),
        ({"highest_level": 10**400}, "alert x: int too large.*mend the alert"),
        ({"opened_s": float("inf")}, "alert x: opened_s inf is not from 0"),
    ],
)
def test_a_number_that_no_watch_writes_is_named(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = tmp_path / "events.jsonl"
    alert = opened("x", "yard", **{"highest_level": 0.7, **EVIDENCE, **changes})
    path.write_text(json.dumps(alert) + "\n")
    with pytest.raises(UserError, match=said):
        made(path)


def test_what_is_no_alert_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("")
    with pytest.raises(UserError, match=r"events\.jsonl: no alert there"):
        alerts.read(path)
    path.write_text("no JSON\n")
    with pytest.raises(UserError, match=r"events\.jsonl: no alerts of discern watch"):
        alerts.read(path)
    path.write_text(json.dumps(opened("x", "yard")) + "\n")
    with pytest.raises(UserError, match="alert x lacks"):
        alerts.read(path)
