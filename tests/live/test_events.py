from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.watch import stream_id
from pipeline.live.board import Board
from pipeline.live.event_sinks import _writing, events_of
from pipeline.live.events import Event, EventSender, line


def test_half_a_letter_costs_no_event() -> None:
    # Names of files may hold it, and what a decoder says.
    told: list[Event] = []
    EventSender([told.append]).tell("stream.ended", stream_id("a\udcff.mp4"), {"detail": "b\udcff"})
    data = json.loads(line(told[0]).encode())["data"]
    assert data == {"stream": "a?.mp4", "detail": "b?"}


def test_half_a_line_of_a_watch_that_was_killed_costs_no_later_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"id": "cut o')
    for _ in range(2):
        with _writing(str(path)) as write:
            EventSender([write]).tell("stream.ended", "a", {})
    half, *whole = path.read_text().splitlines()
    assert half == '{"id": "cut o'
    assert [json.loads(one)["subject"] for one in whole] == ["a", "a"]


def test_stdout_holds_nothing_but_events_whatever_a_library_prints(
    compose: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with events_of(compose("watch"), Board(0.5)) as events:
        events.tell("stream.started", "a", {})
        # As a thread of Ray does where one of its processes dies.
        print("(raylet) A worker died")
        events.tell("stream.ended", "a", {})
    print("after it")
    said = capsys.readouterr()
    *told, after = said.out.splitlines()
    kinds = [json.loads(one)["type"] for one in told]
    assert (kinds, after) == (["stream.started", "stream.ended"], "after it")
    assert said.err == "(raylet) A worker died\n"
