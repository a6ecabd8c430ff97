"""What becomes of a stream by what its processes do, without any process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.live import feed as feeds
from pipeline.live.addresses import Rules
from pipeline.live.feed import Feed
from pipeline.live.fetcher import Bounds, Fetch, SessionEnd
from pipeline.live.guarding import TOKEN
from pipeline.live.inbox import Bell, Inbox, StreamChange
from pipeline.live.messages import Heading, Message, StreamClip
from pipeline.live.outcomes import Patience
from pipeline.live.session import SessionSettings
from pipeline.live.soundness import Soundness
from pipeline.store.sound import num_samples
from tests.learn.toy import FORMAT
from tests.live.made import LIMITS, watched

CLIP_S = FORMAT.num_frames / FORMAT.fps


class _Session:
    """Brings some messages, and breaks."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = list(messages)

    def receive(self, timeout_s: float) -> Message:
        if not self._messages:
            raise EOFError
        return self._messages.pop(0)

    def report(self, timeout_s: float = 0.0) -> SessionEnd:
        return SessionEnd("unreachable")

    def behind_s(self) -> float:
        return 0.0

    def close(self) -> None:
        pass


def followed(patience: Patience) -> list[StreamChange]:
    """The turns in the life of a stream that nobody knows."""
    fetch = Fetch("http://a.example/a", Rules(), Bounds(1.0, 1.0))
    inbox = Inbox(100, Bell(), drops=True)
    own = SessionSettings(FORMAT, LIMITS, 4096)
    feed = Feed("a", fetch, own, patience, inbox, 1.0, Soundness(10.0))
    feed.start()
    feed.join(120)
    items = iter(inbox.take, None)
    return [item for item in items if isinstance(item, StreamChange)]


def test_a_stream_is_tried_for_its_time_however_long_its_processes_take_to_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[float] = []

    def begin(*_: Any) -> _Session:
        if not begun:
            time.sleep(0.8)
        begun.append(time.monotonic())
        return _Session(())

    monkeypatch.setattr(feeds, "Session", begin)
    turns = followed(Patience(1.0, end_after_s=0.7))
    assert [(one.kind, one.data["reason"]) for one in turns] == [
        ("stream.lost", "unreachable"),
        ("stream.ended", "unreachable"),
    ]
    assert len(begun) > 1
    assert begun[-1] - begun[0] > 0.6


def test_a_stream_outlives_who_starts_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(*_: Any) -> _Session:
        raise EOFError("unexpected EOF")

    monkeypatch.setattr(feeds, "Session", begin)
    turns = followed(Patience(1.0, end_after_s=0.3))
    assert [one.data["reason"] for one in turns] == ["no_process"] * 2


def test_a_stream_begins_at_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.zeros((FORMAT.num_frames, 2, 2, 3), np.uint8)
    sound = np.zeros(num_samples(FORMAT.num_frames, FORMAT.fps), np.int16)
    for start_s in np.arange(0.1, 9.0, 0.1):
        shown = StreamClip(float(start_s), frames, sound, "absent", (), "")
        heading = Heading("mpegts", "h264", 2, 2, 30.0)
        session = _Session((heading, shown))
        monkeypatch.setattr(feeds, "Session", lambda *_, found=session: found)
        (started, *_) = followed(Patience(1.0, end_after_s=0.0))
        assert started.kind == "stream.started"
        assert started.data["at_s"] == 0.0
        assert math.copysign(1.0, started.data["at_s"]) == 1.0


def test_a_token_that_is_short_is_told_before_anything_is_loaded(
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(TOKEN, "short")
    path = tmp_path / "a.mp4"
    path.touch()
    # There is no detector either.
    watched(capsys, compose, path, "serve=true", fails="fewer than 16 characters")
