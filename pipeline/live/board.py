"""Shows what is going on now, streams with their levels, to whoever looks at a page or a metric.

The watcher writes it, threads of a server read it. What is written is never changed afterwards.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.assess.wording import count
from pipeline.live import events
from pipeline.live.events import Event

STARTING, WATCHED, LOST, LEFT_OUT = "starting", "watched", "lost", "left out"
STATES = (STARTING, WATCHED, LOST, LEFT_OUT)
_NUM_MATCHES = 20
# Reasons come from processes that read what strangers send.
_MOST_REASONS = 60
OTHER = "other"


@dataclass(frozen=True)
class StreamStatus:
    """A stream as it is now.

    Attributes:
        name: its id.
        state: one of `STATES`.
        reason: why it is lost; else empty.
        at_s: the second of the stream at the end of the clip that was answered last.
        lag_s: how late that clip was; None where nobody knows.
        levels: of up to 60 clips, with the second at which each ends.
        num_answered, num_dropped: clips.
        alert: the id of the alert that is open; None without one.
        faults: errors of its decoders so far, with their code.
    """

    name: str
    state: str
    reason: str
    at_s: float
    lag_s: float | None
    levels: tuple[tuple[float, float], ...]
    num_answered: int
    num_dropped: int
    alert: str | None
    faults: tuple[tuple[str, int], ...] = ()


def sentence(streams: Sequence[StreamStatus]) -> str:
    """Return what is said of all streams together."""
    answered = sum(one.num_answered for one in streams)
    dropped = sum(one.num_dropped for one in streams)
    lags = [one.lag_s for one in streams if one.lag_s is not None]
    behind = f"; the slowest is {max(lags):.1f} s behind" if lags else ""
    num_lost = sum(one.state == LOST for one in streams)
    return (
        f"{count(len(streams), 'stream')}, {num_lost} of them lost; "
        f"{answered} clips answered, {dropped} dropped "
        f"({100 * dropped / max(1, answered + dropped):.1f} %){behind}"
    )


@dataclass
class Board:
    """The state of a watch.

    Attributes:
        threshold: at which alerts open.
        streams: in the order in which they joined.
        load: what the last `load.changed` told.
        matches: data of the latest `match.found`, the newest last.
        num_events: told so far, by type.
        num_lost: losses and ends of streams, by their reason.
        num_gone: clips answered and dropped of streams that have ended.
        gone_faults: errors of their decoders, by code.
        is_watching: the first round is over.
        beat: when the watcher was last at work, by `time.monotonic`.
    """

    threshold: float
    streams: Sequence[StreamStatus] = ()
    load: Mapping[str, Any] = field(default_factory=dict)
    matches: tuple[Mapping[str, Any], ...] = ()
    num_events: Counter[str] = field(default_factory=Counter)
    num_lost: Counter[str] = field(default_factory=Counter)
    num_gone: tuple[int, int] = (0, 0)
    gone_faults: Counter[str] = field(default_factory=Counter)
    is_watching: bool = False
    beat: float = field(default_factory=time.monotonic)

    def see(self, streams: Sequence[StreamStatus]) -> None:
        """Take all streams as they are now."""
        there = {one.name: one for one in streams}
        for one in self.streams:
            later = there.get(one.name)
            # One of the same name may have joined anew.
            if later is None or later.num_answered < one.num_answered:
                self._keep(one)
        self.streams = tuple(streams)
        self.beat, self.is_watching = time.monotonic(), True

    def part(self, last: StreamStatus) -> None:
        """Take a stream as it was when it ended, which may be long after it was seen."""
        self.streams = tuple(one for one in self.streams if one.name != last.name)
        self._keep(last)

    def _keep(self, one: StreamStatus) -> None:
        answered, dropped = self.num_gone
        self.num_gone = answered + one.num_answered, dropped + one.num_dropped
        self.gone_faults.update(dict(one.faults))

    def take(self, event: Event) -> None:
        """Take an event that is told."""
        kind, data = event["type"], event["data"]
        self.num_events[kind] += 1
        if kind == events.LOAD_CHANGED:
            self.load = data
        elif kind == events.MATCH_FOUND:
            self.matches = (*self.matches, {**data, "time": event["time"]})[-_NUM_MATCHES:]
        elif kind in (events.STREAM_LOST, events.STREAM_ENDED):
            reason = str(data.get("reason", ""))
            is_known = reason in self.num_lost or len(self.num_lost) < _MOST_REASONS
            self.num_lost[reason if is_known and reason.isidentifier() else OTHER] += 1

    def num_faults(self) -> Counter[str]:
        """Errors of decoders so far, by code."""
        found = self.gone_faults.copy()
        for one in self.streams:
            found.update(dict(one.faults))
        return found

    def num_clips(self) -> tuple[int, int]:
        """Clips answered and dropped so far."""
        answered, dropped = self.num_gone
        streams = self.streams
        return (
            answered + sum(one.num_answered for one in streams),
            dropped + sum(one.num_dropped for one in streams),
        )
