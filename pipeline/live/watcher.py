"""Streams in front of a detector: whose clips come next, and which events they become."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.live.alerts import STREAM_OVER, WATCH_ENDED, Habits, StreamAlerts
from pipeline.live.before import Before
from pipeline.live.board import LEFT_OUT, LOST, STARTING, WATCHED, Board, StreamStatus, sentence
from pipeline.live.events import LOAD_CHANGED, STREAM, STREAM_ENDED, STREAM_LOST, Teller
from pipeline.live.feed import OVERLOAD, Feed
from pipeline.live.inbox import Bell, StreamChange, WaitingClip
from pipeline.live.scoring import StreamScorer
from pipeline.live.shedding import MOST_BEHIND, AnsweredShare, Shedder
from pipeline.system import interrupts

log = logging.getLogger(__name__)

_WAIT_S = 0.5
_LOOK_EVERY_S = 0.5
# So long a network remembers what it has seen.
_OF_LATE_S = 30.0


@dataclass(frozen=True)
class Policy:
    """Tells how streams are watched.

    Attributes:
        habits: of their alerts.
        status_every_s: from one sentence on all streams to the next.
        batch_size: clips that are asked about together, at most.
        most_waits_s: how long a clip may wait before fewer are answered; None where all are,
            however long that takes.
    """

    habits: Habits
    status_every_s: float
    batch_size: int
    most_waits_s: float | None


@dataclass
class _Watched:
    feed: Feed
    alerts: StreamAlerts
    lag_s: float | None = None
    state: str = STARTING
    reason: str = ""
    place: int = 0
    """Among all streams that ever joined."""
    num_come: int = 0
    rests: bool = False
    counts: deque[tuple[float, int, int]] = field(default_factory=lambda: deque([(0.0, 0, 0)]))
    """Second of the stream, clips taken until then and clips dropped."""

    def let_rest(self, rests: bool) -> None:
        """Leave it out, or no more."""
        self.rests = rests
        self.feed.rest(rests)

    def answered_share(self, at_s: float) -> float:
        """Share of the clips of late that were answered, at one that was, at its second."""
        inbox, counts = self.feed.inbox, self.counts
        counts.append((at_s, inbox.num_taken, inbox.num_dropped))
        while len(counts) > 2 and counts[1][0] < at_s - _OF_LATE_S:
            counts.popleft()
        num_taken, num_dropped = (counts[-1][place] - counts[0][place] for place in (1, 2))
        return num_taken / max(1, num_taken + num_dropped)

    def seen(self) -> StreamStatus:
        """Return what a page shows of it."""
        inbox, trace = self.feed.inbox, self.alerts.trace
        # One that was lost before it was left out is lost only once.
        is_left_out = self.rests and self.state == LOST
        return StreamStatus(
            self.feed.stream,
            LEFT_OUT if is_left_out else self.state,
            OVERLOAD if is_left_out else self.reason,
            trace[-1]["at_s"] if trace else 0.0,
            self.lag_s,
            tuple((one["at_s"], one["level"]) for one in trace),
            inbox.num_taken,
            inbox.num_dropped,
            self.alerts.open,
            tuple(self.feed.faults.copy().items()),
        )


class Watcher:
    """Watches streams until each of them has ended."""

    def __init__(
        self, scorer: StreamScorer, policy: Policy, events: Teller, bell: Bell, board: Board
    ) -> None:
        """Watch nothing yet.

        Args:
            scorer: has nothing to do with any other watcher.
            policy: how alerts are raised and told.
            events: are told of every stream.
            bell: that the inboxes of all feeds ring.
            board: is shown what goes on.
        """
        self._scorer, self._policy, self._events, self._bell = scorer, policy, events, bell
        self._board = board
        self._watched: dict[str, _Watched] = {}
        self._num_joined = 0
        self._told_at = self._looked_at = time.monotonic()
        most_s = policy.most_waits_s
        self._shedder = None if most_s is None else Shedder(most_s, self._told_at)

    @property
    def streams(self) -> list[str]:
        """Names of the streams that have not ended."""
        return list(self._watched)

    def join(self, feed: Feed, before: Before | None = None) -> None:
        """Watch one more stream, of another name than all others.

        Args:
            feed: of it.
            before: what became of it where it was watched until now.
        """
        assert feed.stream not in self._watched

        def tell(kind: str, data: Mapping[str, Any]) -> None:
            self._events.tell(kind, feed.stream, data)

        alerts = StreamAlerts(self._policy.habits, tell, self._scorer.seen, before)
        self._num_joined += 1
        one = _Watched(feed, alerts, place=self._num_joined)
        if before is not None:
            one.state, one.reason = LOST, before.reason
        self._watched[feed.stream] = one
        feed.start()

    def before(self, stream: str) -> Before:
        """Return what another watcher goes on from with a stream."""
        one = self._watched[stream]
        return one.alerts.before(one.feed.began_at)

    def leave(self, stream: str) -> None:
        """Let a stream end."""
        self._watched[stream].feed.stop()

    def run(self, between: Callable[[], bool] = lambda: False) -> None:
        """Watch until all streams have ended.

        A signal that says to stop is followed between two rounds, so that no event is told by half.
        Alerts that are open then are closed.

        Args:
            between: is called again and again; while it returns true, others may still join.
        """
        interrupts.postpone()
        try:
            while between() or self._watched:
                interrupts.check()
                if not self._round():
                    self._bell.wait(_WAIT_S)
                if time.monotonic() - self._looked_at >= _LOOK_EVERY_S:
                    self._looked_at = time.monotonic()
                    self._keep_up()
                    self._board.see(self.seen())
                self._say_how_it_goes()
        finally:
            for one in self._watched.values():
                one.feed.stop()
                one.alerts.end(WATCH_ENDED)
        interrupts.resume()

    def _round(self) -> bool:
        """Take what has come, a clip of each stream at most; whether anything had."""
        clips: dict[str, WaitingClip] = {}
        came = False
        for stream, one in list(self._watched.items()):
            while stream not in clips and len(clips) < self._policy.batch_size:
                item = one.feed.inbox.take()
                if item is None:
                    break
                came = True
                if isinstance(item, WaitingClip):
                    one.num_come += 1
                    if self._is_old(item) or one.num_come % self._load.every:
                        one.feed.inbox.skip()
                    else:
                        clips[stream] = item
                elif isinstance(item, StreamChange):
                    self._turn(stream, one, item)
                else:
                    one.alerts.wait(item.at_s)
        answers = self._scorer.score({stream: clip.shown for stream, clip in clips.items()})
        for stream, answer in answers.items():
            one, clip = self._watched[stream], clips[stream]
            one.lag_s = clip.lag_s
            share = one.answered_share(clip.at_s)
            one.alerts.take(answer, clip.shown, clip.at_s, clip.lag_s, share)
        if clips:
            # Those that waited longest come first where a round does not hold all.
            for stream in clips:
                if stream in self._watched:
                    self._watched[stream] = self._watched.pop(stream)
        return came

    def _is_old(self, clip: WaitingClip) -> bool:
        """Return whether a clip has waited for so long that the next ones matter more."""
        most_s = self._policy.most_waits_s
        return most_s is not None and time.monotonic() - clip.came > MOST_BEHIND * most_s

    def _turn(self, stream: str, one: _Watched, turn: StreamChange) -> None:
        if turn.restarts:
            self._scorer.restart(stream)
            one.alerts.quieten()
        if turn.kind.startswith(STREAM):
            is_lost = turn.kind == STREAM_LOST
            one.lag_s = None if is_lost else one.lag_s
            one.state = (LEFT_OUT if one.rests else LOST) if is_lost else WATCHED
            one.reason = str(turn.data.get("reason", "")) if is_lost else ""
        if turn.kind == STREAM_ENDED:
            one.alerts.end(STREAM_OVER)
        is_over = turn.kind == STREAM_ENDED
        self._events.tell(
            turn.kind, stream, {**turn.data, **(one.alerts.summary if is_over else {})}
        )
        if is_over:
            self._board.part(one.seen())
            self._scorer.restart(stream)
            del self._watched[stream]

    @property
    def _load(self) -> AnsweredShare:
        return AnsweredShare() if self._shedder is None else self._shedder.load

    def _keep_up(self) -> None:
        watched, now = self._watched, self._looked_at
        if self._shedder is None:
            return
        waits_s = max((one.feed.inbox.waits_s() for one in watched.values()), default=0.0)
        behind_s = max((one.feed.behind_s for one in watched.values()), default=0.0)
        if self._shedder.look(waits_s, len(watched), now, behind_s):
            load = self._load
            data = {
                "answered_share": 1 / load.every,
                "num_streams": len(watched),
                "num_left_out": load.num_left_out,
                "waits_s": round(waits_s, 3),
                "behind_s": round(behind_s, 3),
            }
            self._events.tell_of_all(LOAD_CHANGED, data)
        self._leave_out()

    def seen(self) -> list[StreamStatus]:
        """All streams as they are now, in the order in which they joined."""
        return [one.seen() for one in self._by_place()]

    def _by_place(self) -> list[_Watched]:
        return sorted(self._watched.values(), key=lambda one: one.place)

    def _leave_out(self) -> None:
        """Let the last streams of the list rest, and none whose alert is open."""
        watched = self._by_place()
        resting = [one for one in watched if one.rests]
        num_more = self._load.num_left_out - len(resting)
        for one in resting[: max(0, -num_more)]:
            one.let_rest(False)
        may_rest = [
            one
            for one in reversed(watched)
            if one.feed.can_rest and not one.rests and one.alerts.open is None
        ]
        for one in may_rest[: max(0, num_more)]:
            one.let_rest(True)

    def _say_how_it_goes(self) -> None:
        now = time.monotonic()
        if now - self._told_at < self._policy.status_every_s or not self._watched:
            return
        self._told_at = now
        log.info("watch: %s", sentence(self.seen()))
