"""Streams that the machines of a Ray cluster watch in groups, as if one watcher did.

Each group is an actor, and consistent hashing says which one a stream belongs to. Where the node
of a group dies, its streams go to the other groups, which connect to them anew and go on from what
is known of them: the clock of the stream, and the alert that is open. Streams of other groups stay
where they are, and so do those that were moved when a group takes the place of the one that died.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.live import addresses
from pipeline.live.alerts import STREAM_OVER, WATCH_ENDED
from pipeline.live.before import Before
from pipeline.live.board import LOST, STARTING, Board, StreamStatus, sentence
from pipeline.live.events import (
    ALERT_CLOSED,
    STREAM,
    STREAM_ENDED,
    STREAM_LOST,
    EventSender,
)
from pipeline.live.fetcher import Fetch
from pipeline.live.group import GroupEvent, GroupReport, JoiningStream, StreamGroup
from pipeline.live.placing import group_of
from pipeline.live.plan import WatchPlan
from pipeline.store.executor import connected_ray
from pipeline.system import interrupts

log = logging.getLogger(__name__)

NODE_DIED = "node_died"
CPUS_A_GROUP = 2
"""For the detector, and for the processes that fetch and decode."""
_ASK_S = 1.0
_BEGIN_S, _ALONE_S, _END_S = 60.0, 120.0, 15.0
_LOOK_EVERY_S = 0.5


@dataclass
class _Stream:
    """A stream, and the group that it is with; None while there is none that could take it."""

    source: Path | Fetch
    group: str | None = None
    before: Before | None = None
    is_lost: bool = False
    is_leaving: bool = False
    seen: StreamStatus | None = None


@dataclass(frozen=True)
class _Came:
    """Holds what came of an actor: it is there, a report, or, with neither, that it has died.

    Attributes:
        cannot_begin: it would die anywhere, since it cannot read its detector or a bank.
        said: why it has died.
    """

    group: str
    actor: Any
    report: GroupReport | None = None
    is_there: bool = False
    cannot_begin: bool = False
    said: str = ""


class Cluster:
    """Watches streams in groups until each of them has ended."""

    def __init__(
        self, plan: WatchPlan, events: EventSender, board: Board, num_groups: int | None
    ) -> None:
        """Begin the groups, and wait until the cluster has made as many as it can at once.

        Args:
            plan: of how streams are watched.
            events: are told of every stream.
            board: is shown what goes on.
            num_groups: one for every two processors of the cluster if not given.

        Raises:
            UserError: Ray is not installed, or the cluster has made no group.
        """
        self._ray = connected_ray()
        self._plan, self._events, self._board = plan, events, board
        num_cpus = int(self._ray.cluster_resources().get("CPU", 1))
        num_groups = num_groups or max(1, num_cpus // CPUS_A_GROUP)
        self._cpus = max(1, min(CPUS_A_GROUP, num_cpus // num_groups))
        self._came: queue.SimpleQueue[_Came] = queue.SimpleQueue()
        self._begun: dict[str, Any] = {}
        """The latest actor of each group."""
        self._actors: dict[str, Any] = {}
        """Those that are there and take streams."""
        self._streams: dict[str, _Stream] = {}
        self._looked_at = self._told_at = time.monotonic()
        self._is_ending = self._is_over = False
        for number in range(num_groups):
            self._begin(f"group {number}")
        self._wait_for(num_groups)

    @property
    def streams(self) -> list[str]:
        """Names of the streams that have not ended."""
        return list(self._streams)

    def join(self, name: str, source: Path | Fetch) -> None:
        """Watch one more stream, of another name than all others.

        Args:
            name: of the stream.
            source: what is to be fetched, or a file that each node finds at this path.
        """
        assert name not in self._streams
        self._streams[name] = _Stream(source)
        self._place(name)

    def leave(self, name: str) -> None:
        """Let a stream end."""
        one = self._streams[name]
        one.is_leaving = True
        if one.group is None:
            self._end(name, "stopped")
        else:
            self._actors[one.group].leave.remote(name)

    def run(self, between: Callable[[], bool] = lambda: False) -> None:
        """Watch until all streams have ended; as `Watcher.run`."""
        interrupts.postpone()
        alone_since: float | None = None
        try:
            while between() or self._streams:
                interrupts.check()
                self._take(_LOOK_EVERY_S)
                now = time.monotonic()
                alone_since = None if self._actors else (alone_since or now)
                if alone_since is not None and now - alone_since > _ALONE_S:
                    raise UserError(
                        f"run.executor=ray: no node of the cluster took a group for {_ALONE_S:.0f} "
                        "s; look at the cluster, then run it again"
                    )
                if now - self._looked_at >= _LOOK_EVERY_S:
                    self._looked_at = now
                    self._board.see(self._seen())
                if now - self._told_at >= self._plan.policy.status_every_s and self._streams:
                    self._told_at = now
                    log.info("watch: %s", sentence(self._seen()))
        finally:
            self._finish()
        interrupts.resume()

    def _wait_for(self, num_groups: int) -> None:
        until = time.monotonic() + _BEGIN_S
        while len(self._actors) < num_groups:
            interrupts.check()
            # One that can be placed nowhere now is taken in when it is there.
            if time.monotonic() > until and self._actors:
                break
            if time.monotonic() > until + _ALONE_S:
                raise UserError(
                    f"run.executor=ray: the cluster has made no group of {self._cpus} processors; "
                    "look at the cluster, or give fewer groups="
                )
            self._take(_LOOK_EVERY_S)
        log.info("watch: %d of %d groups are there", len(self._actors), num_groups)

    def _begin(self, group: str) -> None:
        # Two calls at once, since one waits for what is to be reported.
        options = {"num_cpus": self._cpus, "max_concurrency": 2, "scheduling_strategy": "SPREAD"}
        actor = self._ray.remote(**options)(StreamGroup).remote(self._plan)
        self._begun[group] = actor
        threading.Thread(target=self._ask, args=(group, actor), daemon=True).start()

    def _ask(self, group: str, actor: Any) -> None:
        """Ask an actor for reports until it is dead."""
        num_known = 0
        try:
            self._ray.get(actor.is_ready.remote())
            self._came.put(_Came(group, actor, is_there=True))
            while not self._is_over:
                for report in self._ray.get(actor.reports.remote(num_known, _ASK_S)):
                    num_known = report.number
                    self._came.put(_Came(group, actor, report))
        except Exception as error:
            cannot_begin = getattr(error, "actor_init_failed", False)
            # Behind a traceback, the last line is what a group says that cannot begin.
            said = str(error).strip().splitlines()[-1] if cannot_begin else type(error).__name__
            self._came.put(_Came(group, actor, cannot_begin=cannot_begin, said=said))

    def _take(self, timeout_s: float) -> None:
        """Take all that has come, or wait for the first of it."""
        while True:
            try:
                came = self._came.get(timeout=timeout_s)
            except queue.Empty:
                return
            timeout_s = 0.0
            if came.actor is not self._begun[came.group]:
                continue
            if came.is_there:
                self._actors[came.group] = came.actor
                for name, one in self._streams.items():
                    if one.group is None:
                        self._place(name)
            elif came.cannot_begin:
                raise UserError(f"run.executor=ray: {came.group} cannot begin: {came.said}")
            elif came.report is None:
                self._lose(came.group, came.said)
            else:
                self._take_report(came.group, came.report)

    def _take_report(self, group: str, report: GroupReport) -> None:
        for told in report.told:
            self._tell(group, told)
        for seen in report.seen:
            if (one := self._streams.get(seen.name)) and one.group == group:
                one.seen = seen
        for name, before in report.before.items():
            if (one := self._streams.get(name)) and one.group == group:
                one.before = before
        if report.problem and not self._is_ending:
            self._lose(group, report.problem)

    def _tell(self, group: str, told: GroupEvent) -> None:
        if told.stream is None:
            self._events.tell_of_all(told.kind, {**told.data, "group": group})
            return
        one = self._streams.get(told.stream)
        if one is None or one.group != group:
            return
        self._events.tell(told.kind, told.stream, told.data)
        one.before = told.before
        if told.kind == STREAM_ENDED:
            del self._streams[told.stream]
        elif told.kind.startswith(STREAM):
            one.is_lost = told.kind == STREAM_LOST

    def _lose(self, group: str, said: str) -> None:
        """Hand the streams of a group that has died on to others, and have it made anew."""
        self._actors.pop(group, None)
        if self._is_ending:
            return
        log.warning("watch: %s has died (%s); its streams go to others", group, said)
        # One that only cannot be reached is to watch them no more.
        self._ray.kill(self._begun[group])
        self._begin(group)
        for name, one in list(self._streams.items()):
            if one.group != group:
                continue
            one.group = None
            if one.is_leaving:
                self._end(name, "stopped")
                continue
            if one.before is not None:
                one.before = replace(one.before, reason=NODE_DIED)
                if not one.is_lost:
                    one.is_lost = True
                    self._events.tell(STREAM_LOST, name, self._turn(one, NODE_DIED))
            if one.seen is not None:
                one.seen = replace(one.seen, state=LOST, reason=NODE_DIED)
            self._place(name)

    def _place(self, name: str) -> None:
        one = self._streams[name]
        if self._actors:
            one.group = group_of(name, self._actors)
            self._actors[one.group].join.remote(JoiningStream(name, one.source, one.before))

    def _turn(self, one: _Stream, reason: str) -> dict[str, Any]:
        source = one.source
        return {
            "address": source.name
            if isinstance(source, Path)
            else addresses.public_part(source.url),
            "reason": reason,
            "detail": "",
            "at_s": 0.0 if one.before is None else round(one.before.at_s, 3),
            "num_dropped": 0 if one.seen is None else one.seen.num_dropped,
        }

    def _end(self, name: str, reason: str) -> None:
        """Let a stream end that no group has."""
        one = self._streams[name]
        self._close(name, one, STREAM_OVER)
        self._events.tell(STREAM_ENDED, name, self._turn(one, reason))
        del self._streams[name]

    def _close(self, name: str, one: _Stream, reason: str) -> None:
        if one.before is not None and (alert := one.before.open) is not None:
            data = {**alert.__dict__, "closed_s": one.before.at_s, "reason": reason}
            self._events.tell(ALERT_CLOSED, name, data)

    def _seen(self) -> Sequence[StreamStatus]:
        return [
            one.seen or StreamStatus(name, STARTING, "", 0.0, None, (), 0, 0, None)
            for name, one in self._streams.items()
        ]

    def _finish(self) -> None:
        """Let the groups close what is open, and close what those cannot that have died."""
        self._is_ending = True
        for actor in self._actors.values():
            actor.end.remote()
        until = time.monotonic() + _END_S
        while self._has_open() and self._actors and time.monotonic() < until:
            self._take(0.1)
        self._is_over = True
        for name, one in self._streams.items():
            self._close(name, one, WATCH_ENDED)
        for actor in self._begun.values():
            self._ray.kill(actor)

    def _has_open(self) -> bool:
        return any(one.before and one.before.open for one in self._streams.values())
