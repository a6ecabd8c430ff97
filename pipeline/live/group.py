"""A group of streams that one process of a cluster watches, and what it reports of them.

What it tells waits until whoever asks for it says that it has come: an answer may be lost on its
way. With each event of a stream goes what another group would go on from.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pipeline.live.before import Before
from pipeline.live.board import Board, StreamStatus
from pipeline.live.fetcher import Fetch
from pipeline.live.inbox import Bell
from pipeline.live.plan import WatchPlan
from pipeline.live.scoring import StreamScorer
from pipeline.live.watcher import Watcher

_REPORT_EVERY_S = 0.5


@dataclass(frozen=True)
class GroupEvent:
    """An event of a stream, or of all of the group.

    Attributes:
        kind: of the event.
        stream: its id; None for all.
        data: of the event.
        before: what another group would go on from; None where the stream has ended.
    """

    kind: str
    stream: str | None
    data: Mapping[str, Any]
    before: Before | None = None


@dataclass(frozen=True)
class GroupReport:
    """Holds what has become of a group since the report before.

    Attributes:
        number: reports are counted from 1.
        told: events in order.
        seen: its streams as they are now.
        before: what another group would go on from, of each of them.
        problem: what has ended it; empty while it is at work.
    """

    number: int
    told: Sequence[GroupEvent]
    seen: Sequence[StreamStatus]
    before: Mapping[str, Before]
    problem: str = ""


@dataclass(frozen=True)
class JoiningStream:
    """A stream that is to be watched.

    Attributes:
        name: its id.
        source: a file, or what is to be fetched.
        before: what became of it where it was watched until now; None where it was not.
    """

    name: str
    source: Path | Fetch
    before: Before | None = field(default=None)


class _Over(Exception):
    """The group is to watch no more."""


class StreamGroup:
    """Watches streams in a thread of its own until it is told to end."""

    def __init__(self, plan: WatchPlan) -> None:
        """Load the detector, and watch nothing yet."""
        # As in a process that watches alone: the last bits hang on it.
        torch.set_num_threads(1)
        self._plan, self._bell = plan, Bell()
        self._detector, self._known = plan.detector(), plan.banks()
        self._passed = plan.passed()
        self._orders: queue.SimpleQueue[JoiningStream | str | None] = queue.SimpleQueue()
        self._told: list[GroupEvent] = []
        self._reports: deque[GroupReport] = deque()
        self._num_reports, self._reported_at = 0, 0.0
        self._changed = threading.Condition()
        self._board = Board(plan.policy.habits.choice.threshold)
        self._watcher = Watcher(
            StreamScorer(self._detector), plan.policy, self, self._bell, self._board
        )
        threading.Thread(target=self._watch, name="group", daemon=True).start()

    def is_ready(self) -> bool:
        """Return whether it takes streams, which it does once it is there."""
        return True

    def join(self, joining: JoiningStream) -> None:
        """Watch a stream from now on."""
        self._orders.put(joining)
        self._bell.ring()

    def leave(self, stream: str) -> None:
        """Let a stream end."""
        self._orders.put(stream)
        self._bell.ring()

    def end(self) -> None:
        """Watch no more; the last report tells of alerts that were open."""
        self._orders.put(None)
        self._bell.ring()

    def reports(self, num_known: int, timeout_s: float) -> list[GroupReport]:
        """Return what is new.

        Args:
            num_known: reports that have come, of which it need not keep any.
            timeout_s: how long may be waited for the first one.
        """
        with self._changed:
            while self._reports and self._reports[0].number <= num_known:
                self._reports.popleft()
            if not self._reports:
                self._changed.wait(timeout_s)
            return list(self._reports)

    def tell(self, kind: str, stream: str, data: Mapping[str, Any]) -> None:
        """Take an event of a stream from the watcher."""
        is_there = stream in self._watcher.streams
        before = self._watcher.before(stream) if is_there else None
        self._told.append(GroupEvent(kind, stream, data, before))

    def tell_of_all(self, kind: str, data: Mapping[str, Any]) -> None:
        """Take an event of all streams from the watcher."""
        self._told.append(GroupEvent(kind, None, data))

    def _watch(self) -> None:
        problem = ""
        try:
            self._watcher.run(self._between)
        except _Over:
            pass
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        self._report(problem)

    def _between(self) -> bool:
        watcher = self._watcher
        while not self._orders.empty():
            order = self._orders.get()
            if order is None:
                raise _Over
            if isinstance(order, JoiningStream):
                feed = self._plan.feed(
                    order.name,
                    order.source,
                    self._detector,
                    self._bell,
                    self._known,
                    self._passed,
                    order.before,
                )
                watcher.join(feed, order.before)
            elif order in watcher.streams:
                watcher.leave(order)
        if self._told or time.monotonic() - self._reported_at >= _REPORT_EVERY_S:
            self._report("")
        return True

    def _report(self, problem: str) -> None:
        watcher = self._watcher
        self._reported_at = time.monotonic()
        told, self._told = self._told, []
        self._num_reports += 1
        before = {stream: watcher.before(stream) for stream in watcher.streams}
        report = GroupReport(self._num_reports, told, watcher.seen(), before, problem)
        with self._changed:
            self._reports.append(report)
            self._changed.notify_all()
