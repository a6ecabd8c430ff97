"""A machine that is too slow for its streams: what is left undone, and who is told."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import psutil
import pytest

from pipeline.detect.alarm import Choice
from pipeline.live import shedding, watcher
from pipeline.live.addresses import Rules
from pipeline.live.alerts import Habits
from pipeline.live.board import Board
from pipeline.live.events import STREAM_ENDED, STREAM_LOST, STREAM_STARTED, Event, EventSender
from pipeline.live.feed import Feed
from pipeline.live.fetcher import Bounds, Fetch
from pipeline.live.inbox import Bell, Inbox, StreamChange, WaitingClip
from pipeline.live.messages import StreamClip
from pipeline.live.outcomes import Patience
from pipeline.live.scoring import StreamAnswer
from pipeline.live.session import SessionSettings
from pipeline.live.shedding import AnsweredShare, Shedder
from pipeline.live.soundness import Soundness
from pipeline.live.watcher import Policy, Watcher
from tests.learn.toy import FORMAT
from tests.live.made import LIMITS, write_footage
from tests.live.servers import chunked, paced, remuxed, serving

CALM, BUSY = 0.1, 9.0


def after(
    shedder: Shedder, waits_s: float, seconds: range, num_streams: int = 16
) -> list[AnsweredShare]:
    """Every load that is told, second by second."""
    return [shedder.load for now in seconds if shedder.look(waits_s, num_streams, float(now))]


def test_fewer_answers_come_before_fewer_streams_and_go_after_them() -> None:
    shedder = Shedder(5.0, 0.0)
    assert after(shedder, BUSY, range(20)) == [
        AnsweredShare(2),
        AnsweredShare(4),
        AnsweredShare(8),
        AnsweredShare(8, 2),
        AnsweredShare(8, 4),
        AnsweredShare(8, 6),
    ]
    # Neither calm nor too slow: it stays as it is.
    assert after(shedder, 3.0, range(20, 100)) == []
    assert after(shedder, CALM, range(100, 250)) == [
        AnsweredShare(8, 4),
        AnsweredShare(8, 2),
        AnsweredShare(8),
        AnsweredShare(4),
        AnsweredShare(2),
        AnsweredShare(),
    ]
    assert after(shedder, CALM, range(250, 400)) == []


def test_one_stream_is_always_watched() -> None:
    shedder = Shedder(5.0, 0.0)
    assert after(shedder, BUSY, range(100), 3)[-1] == AnsweredShare(8, 2)
    assert after(Shedder(5.0, 0.0), BUSY, range(100), 1)[-1] == AnsweredShare(8, 0)
    # Of those that were left out most may have gone since.
    assert after(shedder, 3.0, range(100, 110), 2)[-1] == AnsweredShare(8, 1)
    assert after(shedder, 3.0, range(110, 120), 0)[-1] == AnsweredShare(8, 0)


def test_what_was_given_back_in_vain_is_given_back_later_the_next_time() -> None:
    shedder, now, pauses = Shedder(5.0, 0.0), 0, []
    after(shedder, BUSY, range(4))
    for _ in range(4):
        begin = now = now + 4
        while not shedder.look(CALM, 4, float(now)):
            now += 1
        pauses.append(now - begin)
        assert shedder.load == AnsweredShare()
        now += 3
        assert shedder.look(BUSY, 4, float(now))
        assert shedder.load == AnsweredShare(2)
    assert pauses[0] < 20
    assert all(b > 1.5 * a for a, b in itertools.pairwise(pauses))


def test_while_decoding_catches_up_no_more_is_taken_back() -> None:
    shedder, loads = Shedder(5.0, 0.0), list[AnsweredShare]()
    rising, falling = range(6, 15), range(14, -1, -1)
    for second, behind_s in enumerate([*rising, *falling]):
        if shedder.look(0.0, 16, float(second), float(behind_s)):
            loads.append(shedder.load)
    assert loads == [AnsweredShare(2), AnsweredShare(4), AnsweredShare(8)]
    # What stays as it is does not catch up.
    assert any(shedder.look(0.0, 16, 23.0 + second, 9.0) for second in range(8))


class _Feed:
    """Brings clips at a pace, and nothing while it rests."""

    can_rest = True

    def __init__(self, name: str, bell: Bell, every_s: float, seconds: float) -> None:
        self.stream, self.inbox = name, Inbox(1000, bell, drops=True)
        self.faults: Counter[str] = Counter()
        self.behind_s = 0.0
        self.num_come, self.rests, self.ever_rested = 0, False, False
        self._every_s, self._seconds = every_s, seconds

    def rest(self, rests: bool) -> None:
        self.rests = rests
        self.ever_rested |= rests

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        pass

    def _run(self) -> None:
        pixels, sound = np.zeros((1, 2, 2, 3), np.uint8), np.zeros(1, np.int16)
        for number in range(int(self._seconds / self._every_s)):
            if not self.rests:
                self.num_come += 1
                shown = StreamClip(float(number), pixels, sound, "absent", (), "")
                self.inbox.put(WaitingClip(shown, float(number), time.monotonic()))
            time.sleep(self._every_s)
        self.inbox.put(StreamChange(STREAM_ENDED))


class _Slow:
    """Takes some seconds for each clip, and scores it."""

    def __init__(self, seconds: float, score: float = 0.0) -> None:
        self._seconds, self._score = seconds, score
        self.num_answered = dict.fromkeys("abcd", 0)

    def score(self, clips: Mapping[str, StreamClip]) -> dict[str, StreamAnswer]:
        for name in clips:
            time.sleep(self._seconds)
            self.num_answered[name] += 1
        return {name: StreamAnswer(self._score, 0.0, 0.0) for name in clips}

    def seen(self, clip: StreamClip, answer: StreamAnswer) -> StreamAnswer:
        return answer

    def restart(self, stream: str) -> None:
        pass


@pytest.mark.parametrize(("takes_s", "leaves_out"), [(0.015, False), (0.2, True)])
def test_a_slow_detector_answers_less_and_says_so(
    monkeypatch: pytest.MonkeyPatch, takes_s: float, leaves_out: bool
) -> None:
    monkeypatch.setattr(shedding, "_SETTLE_S", 0.25)
    monkeypatch.setattr(watcher, "_LOOK_EVERY_S", 0.05)
    bell, told, slow = Bell(), list[Event](), _Slow(takes_s)
    policy = Policy(Habits(Choice(0.5, "none", 60.0), None, {}, 10.0, False), 60.0, 4, 0.3)
    own: Any = slow
    one = Watcher(own, policy, EventSender([told.append]), bell, Board(0.5))
    feeds = [_Feed(name, bell, 0.05, 3.0) for name in "abcd"]
    for feed in feeds:
        added: Any = feed
        one.join(added)
    one.run()
    changes = [event["data"] for event in told if event["type"] == "load.changed"]
    assert changes[0]["answered_share"] == 0.5
    # It is told in milliseconds.
    assert changes[0]["waits_s"] >= 0.3
    assert not feeds[0].ever_rested
    rested = any(feed.ever_rested for feed in feeds)
    assert any(one["num_left_out"] for one in changes) == rested
    if leaves_out:
        assert feeds[-1].ever_rested
        assert min(one["answered_share"] for one in changes) == 0.125
    for feed in feeds:
        # Whatever is not answered is counted.
        assert feed.inbox.num_taken == slow.num_answered[feed.stream] > 0
        assert feed.inbox.num_taken + feed.inbox.num_dropped == feed.num_come
        assert feed.inbox.num_dropped > 0


def test_a_stream_that_is_lost_already_is_seen_to_be_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shedding, "_SETTLE_S", 0.02)
    monkeypatch.setattr(watcher, "_LOOK_EVERY_S", 0.02)
    bell, seen = Bell(), list[tuple[str, str]]()
    policy = Policy(Habits(Choice(0.5, "none", 60.0), None, {}, 10.0, False), 60.0, 4, 0.3)
    own: Any = _Slow(0.0)
    board = Mock(see=lambda streams: seen.extend((one.state, one.reason) for one in streams[1:]))
    one = Watcher(own, policy, EventSender([]), bell, board)
    feeds = [_Feed(name, bell, 0.05, 0.6) for name in "ab"]
    feeds[0].behind_s = 9.0
    feeds[1].inbox.put(StreamChange(STREAM_LOST, {"reason": "behind"}))
    for feed in feeds:
        added: Any = feed
        one.join(added)
    one.run()
    assert ("lost", "behind") in seen
    assert ("left out", "overload") in seen


def test_clips_that_are_too_old_are_dropped_and_the_next_are_answered() -> None:
    bell, slow, board = Bell(), _Slow(0.0), Board(0.5)
    policy = Policy(Habits(Choice(0.5, "none", 60.0), None, {}, 10.0, False), 60.0, 4, 5.0)
    own: Any = slow
    one = Watcher(own, policy, EventSender([]), bell, board)
    feed: Any = _Feed("a", bell, 0.05, 0.0)
    now = time.monotonic()
    pixels, sound = np.zeros((1, 2, 2, 3), np.uint8), np.zeros(1, np.int16)
    for second, waited_s in enumerate((30.0, 16.0, 14.0, 1.0)):
        shown = StreamClip(float(second), pixels, sound, "absent", (), "")
        feed.inbox.put(WaitingClip(shown, float(second), now, now - waited_s))
    feed.faults["InvalidDataError"] = 3
    one.join(feed)
    one.run()
    assert (feed.inbox.num_taken, feed.inbox.num_dropped) == (2, 2)
    assert slow.num_answered["a"] == 2
    # A stream that ended between two looks counts too.
    assert board.num_clips() == (2, 2)
    assert board.num_faults() == {"InvalidDataError": 3}


def test_a_stream_that_is_lost_is_not_behind() -> None:
    lags: list[float | None] = []
    policy = Policy(Habits(Choice(0.5, "none", 60.0), None, {}, 10.0, False), 60.0, 4, 5.0)
    own: Any = _Slow(0.0)
    bell = Bell()
    sink = lambda _: lags.extend(seen.lag_s for seen in one.seen())  # noqa: E731
    one = Watcher(own, policy, EventSender([sink]), bell, Board(0.5))
    feed: Any = _Feed("a", bell, 0.05, 0.0)
    pixels, sound = np.zeros((1, 2, 2, 3), np.uint8), np.zeros(1, np.int16)
    shown = StreamClip(0.0, pixels, sound, "absent", (), "")
    feed.inbox.put(WaitingClip(shown, 1.0, time.monotonic() - 4.0))
    feed.inbox.put(StreamChange(STREAM_STARTED))
    feed.inbox.put(StreamChange(STREAM_LOST))
    one.join(feed)
    one.run()
    assert lags[0] is not None
    assert lags[0] >= 4.0
    assert lags[1] is None


def test_a_stream_that_is_left_out_costs_nothing_and_comes_back(tmp_path: Path) -> None:
    data = remuxed(write_footage(tmp_path / "a.mp4", 150), "ts")
    with serving() as server:
        server.routes["/a"] = chunked(lambda: paced(data, 24.0, 100))
        fetch = Fetch(server.url("/a"), Rules(allow_private=True), Bounds(10.0, 1.0))
        inbox = Inbox(100, Bell(), drops=True)
        means = SessionSettings(FORMAT, LIMITS, 4096)
        feed = Feed("a", fetch, means, Patience(10.0, 1.0), inbox, 1.0, Soundness(10.0))
        assert feed.can_rest
        feed.start()
        assert next_turn(inbox).kind == "stream.started"
        feed.rest(True)
        lost = next_turn(inbox)
        assert (lost.kind, lost.data["reason"]) == ("stream.lost", "overload")
        # However long it rests, it has not ended.
        time.sleep(1.5)
        feed.rest(False)
        found = next_turn(inbox)
        assert (found.kind, found.data["reason"]) == ("stream.recovered", "overload")
        assert found.data["lost_s"] > 0
        feed.stop()
        feed.join(timeout=60)
        assert not feed.is_alive()


def test_a_machine_that_is_slow_to_decode_does_less_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watcher, "_LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(shedding, "_SETTLE_S", 0.1)
    bell, told, quick = Bell(), list[Event](), _Slow(0.0, score=0.9)
    policy = Policy(Habits(Choice(0.5, "none", 60.0), None, {}, 0.0, False), 60.0, 4, 0.3)
    own: Any = quick
    one = Watcher(own, policy, EventSender([told.append]), bell, Board(0.5))
    feed: Any = _Feed("a", bell, 0.05, 0.6)
    feed.behind_s = 6.0
    one.join(feed)
    one.run()
    changes = [event["data"] for event in told if event["type"] == "load.changed"]
    assert changes[0]["behind_s"] == 6.0
    assert changes[0]["waits_s"] < 6.0
    assert changes[0]["answered_share"] == 0.5
    assert feed.inbox.num_dropped > 0
    # An alert tells what share of the clips its evidence is.
    shares = [one["data"]["answered_share"] for one in told if one["type"].startswith("alert.o")]
    shares += [one["data"]["answered_share"] for one in told if one["type"] == "alert.updated"]
    assert shares == sorted(shares, reverse=True)
    inbox = feed.inbox
    expected = inbox.num_taken / (inbox.num_taken + inbox.num_dropped)
    assert shares[-1] < 1
    assert shares[-1] == pytest.approx(expected, abs=0.2)


def test_what_is_too_old_to_be_decoded_is_dropped_and_counted(tmp_path: Path) -> None:
    data = remuxed(write_footage(tmp_path / "a.mp4", 240), "ts")
    with serving() as server:
        server.routes["/a"] = chunked(lambda: paced(data, 24.0, 240))
        fetch = Fetch(server.url("/a"), Rules(allow_private=True), Bounds(10.0, 1.0))
        inbox, means = Inbox(100, Bell(), drops=True), SessionSettings(FORMAT, LIMITS, 4096)
        patience = Patience(10.0, 1.0, most_behind_s=1.5)
        feed = Feed("a", fetch, means, patience, inbox, 1.0, Soundness(10.0))
        feed.start()
        assert next_turn(inbox).kind == "stream.started"
        # A machine that gives a decoder no time.
        (decoder,) = _decoders()
        decoder.suspend()
        lost = next_turn(inbox)
        assert (lost.kind, lost.data["reason"]) == ("stream.lost", "behind")
        clip_s = FORMAT.num_frames / FORMAT.fps
        assert lost.data["num_dropped"] >= int(1.5 / clip_s)
        found = next_turn(inbox)
        assert (found.kind, found.data["reason"]) == ("stream.recovered", "behind")
        assert feed.behind_s == 0.0
        feed.stop()
        feed.join(timeout=60)
        assert not decoder.is_running()


def _decoders() -> list[psutil.Process]:
    """Processes of this test that may not use the network."""
    found = psutil.Process().children(recursive=True)
    return [
        one
        for one in found
        if Path(f"/proc/{one.pid}/status").read_text().split("Seccomp:")[1].split()[0] == "2"
    ]


def next_turn(inbox: Inbox) -> StreamChange:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if isinstance(item := inbox.take(), StreamChange):
            return item
        time.sleep(0.02)
    raise AssertionError("nothing became of the stream")
