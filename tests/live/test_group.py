"""A group of streams as a node of a cluster watches it, in this process."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands import watch
from pipeline.detect.alarm import Choice
from pipeline.live.alerts import Habits
from pipeline.live.before import Before, OpenAlert
from pipeline.live.fetcher import Fetch
from pipeline.live.group import GroupEvent, GroupReport, JoiningStream, StreamGroup
from pipeline.live.plan import WatchPlan
from pipeline.live.watcher import Policy
from tests.learn.toy import FORMAT
from tests.live.made import write_footage, write_model
from tests.live.servers import Server, body, remuxed, serving

OVERRIDES = ("allow_private=true", "end_after_s=0", "timeout_s=60", "max_wait_s=600")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


@pytest.fixture
def plan(tmp_path: Path, compose: Callable[..., Any]) -> WatchPlan:
    write_model(tmp_path / "models")
    habits = Habits(Choice(0.001, "none", 60.0), 0.8, {}, 1.0, False)
    found = WatchPlan(compose("watch", *OVERRIDES), Policy(habits, 30.0, 8, 600.0), 1.0)
    # As it comes to another machine.
    again: WatchPlan = pickle.loads(pickle.dumps(found.anywhere()))
    return again


def test_where_events_are_sent_is_told_to_no_other_machine(compose: Callable[..., Any]) -> None:
    cfg = compose("watch", "webhook=https://receiver/seCret", "kafka=[broker:9092]")
    found = WatchPlan(
        cfg, Policy(Habits(Choice(0.5, "none", 60.0), 0.8, {}, 1.0, False), 30.0, 8, 5.0), 1.0
    )
    assert b"seCret" in pickle.dumps(found)
    assert not any(text in pickle.dumps(found.anywhere()) for text in (b"seCret", b"broker"))


def test_the_detector_is_as_exact_as_is_asked_for(plan: WatchPlan) -> None:
    assert plan.detector().precision == "32-true"
    mixed = replace(plan, cfg=replace(plan.cfg, precision="bf16-mixed"))
    assert mixed.anywhere().detector().precision == "bf16-mixed"


def told_of(
    group: StreamGroup, until: Callable[[list[GroupEvent]], bool]
) -> tuple[list[GroupEvent], list[GroupReport]]:
    """What a group tells, each report asked for twice, as where an answer has been lost."""
    reports: list[GroupReport] = []
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        num_known = reports[-1].number if reports else 0
        first = group.reports(num_known, 0.5)
        again = group.reports(num_known, 0.0)
        assert [one.number for one in again][: len(first)] == [one.number for one in first]
        reports += again
        told = [one for report in reports for one in report.told]
        if until(told):
            return told, reports
    raise AssertionError("nothing came")


def test_a_stream_goes_on_from_what_was_known_of_it(
    plan: WatchPlan, server: Server, tmp_path: Path, compose: Callable[..., Any]
) -> None:
    server.routes["/a"] = body(remuxed(write_footage(tmp_path / "a.mp4", 60), "ts"))
    source = watch.source_of(server.url("/a"), compose("watch", *OVERRIDES))
    assert isinstance(source, Fetch)
    alert = OpenAlert("known", 95.0, 0.9, 7)
    before = Before(100.0, time.time() - 104.0, alert, (0.95, 90.0), 2, "node_died")
    group = StreamGroup(plan)
    group.join(JoiningStream("yard", source, before))
    told, reports = told_of(group, lambda told: any(one.kind == "stream.ended" for one in told))
    assert [report.number for report in reports] == list(range(1, len(reports) + 1))
    assert [one.kind for one in told if one.kind.startswith("stream.")] == [
        "stream.recovered",
        "stream.ended",
    ]
    recovered, ended = (one.data for one in told if one.kind.startswith("stream."))
    assert recovered["reason"] == "node_died"
    # Its clock went on meanwhile.
    assert recovered["at_s"] > 103.0
    assert recovered["lost_s"] == pytest.approx(recovered["at_s"] - 100.0, abs=0.01)
    alerts = [one for one in told if one.kind.startswith("alert.")]
    assert {one.data["alert"] for one in alerts} == {"known"}
    assert [one.kind for one in alerts][-1] == "alert.closed"
    assert "alert.opened" not in [one.kind for one in alerts]
    # With each event goes what the next one would go on from.
    known = next(one.before for one in alerts if one.kind == "alert.updated")
    assert known is not None
    assert known.open is not None
    assert (known.open.alert, known.num_alerts) == ("known", 2)
    assert alerts[-1].before is not None
    assert alerts[-1].before.open is None
    assert (ended["highest_level"], ended["num_alerts"]) == (0.95, 2)
    group.end()


def test_a_file_goes_on_where_another_group_was(plan: WatchPlan, tmp_path: Path) -> None:
    path = write_footage(tmp_path / "a.mp4", 150)
    clip_s = FORMAT.num_frames / FORMAT.fps

    def told_from(before: Before | None) -> list[GroupEvent]:
        group = StreamGroup(replace(plan, speed=None))
        group.join(JoiningStream("a.mp4", path, before))
        told, _ = told_of(group, lambda told: any(one.kind == "stream.ended" for one in told))
        group.end()
        return told

    alert = OpenAlert("known", clip_s, 0.9, 4)
    before = Before(4 * clip_s, None, alert, (0.9, clip_s), 1, "node_died")
    whole, rest = told_from(None), told_from(before)
    assert [one.kind for one in whole if one.kind.startswith("stream.")] == [
        "stream.started",
        "stream.ended",
    ]
    recovered, *alerts, ended = rest
    assert (recovered.kind, recovered.data["reason"]) == ("stream.recovered", "node_died")
    assert recovered.data["at_s"] == pytest.approx(4 * clip_s, abs=0.001)
    assert recovered.data["lost_s"] == 0
    assert {one.data["alert"] for one in alerts} == {"known"}
    assert min(one.data["at_s"] for one in alerts if "at_s" in one.data) > 4 * clip_s
    # Nothing of it was left out, and nothing was watched twice.
    assert ended.data["at_s"] == whole[-1].data["at_s"]
    assert ended.data["num_dropped"] == 0


def test_a_group_that_ends_closes_what_is_open(
    plan: WatchPlan, server: Server, tmp_path: Path, compose: Callable[..., Any]
) -> None:
    data = remuxed(write_footage(tmp_path / "a.mp4", 300), "ts")
    server.routes["/a"] = body(data)
    source = watch.source_of(server.url("/a"), compose("watch", *OVERRIDES))
    assert isinstance(source, Fetch)
    group = StreamGroup(plan)
    group.join(JoiningStream("yard", source))
    told_of(group, lambda told: any(one.kind == "alert.opened" for one in told))
    group.end()
    told, reports = told_of(group, lambda told: any(one.kind == "alert.closed" for one in told))
    assert told[-1].data["reason"] == "watch_ended"
    assert reports[-1].problem == ""
