"""Alerts from scores, one score of each stream at a time, in memory that does not grow.

A score is what the detector says at the end of a clip, or after a frame. A smoothing turns the last
three of a stream into one level, and an alert opens where the level reaches a threshold. It covers
what follows in its stream for the refractory time, and closes then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

SMOOTHINGS = {
    "none": "each clip alone",
    "mean_3": "mean of the last 3 clips",
    "two_of_three": "2 of the last 3 clips",
}
"""How levels are made of scores, simplest first."""
# Keeps what sums of floats make a hair's breadth shorter than the refractory time.
_SLACK_S = 1e-6


@dataclass(frozen=True)
class Choice:
    """A threshold on the levels of a smoothing."""

    threshold: float
    """An alert opens at this level and above; beyond 1 it never does."""
    smoothing: str
    """One of `SMOOTHINGS`."""
    refractory_s: float
    """How long an alert covers what follows in its stream."""


@dataclass(frozen=True)
class Alert:
    """Holds what became of an alert of one stream."""

    stream: int
    state: Literal["opened", "continued", "closed"]
    opened_s: float
    """The second of the stream at which it opened."""
    at_s: float
    """The second at which it opened, reached the threshold again, or closed."""


@dataclass(frozen=True)
class Step:
    """Holds what one score of each of B streams did; arrays are (B,)."""

    levels: Floats
    opened: Bools
    continued: Bools
    """An open alert covers a level at the threshold or above it."""
    closed: Bools
    """An alert closed, and another one may have opened at once."""
    opened_s: Floats
    """When the alert that continued or closed had opened; NaN where none was open."""
    at_s: Floats
    closed_s: Floats
    """When the alert that was open before closes."""

    def alerts(self) -> list[Alert]:
        """Return what became of alerts, in the order of streams; of one, closed before opened."""
        found = []
        for stream in map(int, np.flatnonzero(self.opened | self.continued | self.closed)):
            opened_s, at_s = float(self.opened_s[stream]), float(self.at_s[stream])
            if self.closed[stream]:
                found.append(Alert(stream, "closed", opened_s, float(self.closed_s[stream])))
            if self.opened[stream]:
                found.append(Alert(stream, "opened", at_s, at_s))
            elif self.continued[stream]:
                found.append(Alert(stream, "continued", opened_s, at_s))
        return found


class Alarm:
    """The alerts of streams that go on side by side."""

    def __init__(self, choice: Choice, num_streams: int, before: Floats | None = None) -> None:
        """Begin `num_streams` streams.

        Args:
            choice: of the threshold and the smoothing.
            num_streams: B.
            before: (B, 2) the two scores before the first of each stream, the nearest first; it
                was quiet if not given.
        """
        assert choice.smoothing in SMOOTHINGS, choice.smoothing
        self._choice = choice
        quiet = np.zeros((num_streams, 2))
        self._last, self._before_last = (quiet if before is None else before).T
        self._opened_s = np.full(num_streams, np.nan)

    def push(self, scores: Floats, at_s: Floats) -> Step:
        """Take the next score of every stream.

        Args:
            scores: (B,) from 0 to 1.
            at_s: (B,) the second of each stream that the score is of; it never falls.
        """
        choice = self._choice
        levels = smooth(choice.smoothing, scores, self._last, self._before_last)
        self._last, self._before_last = scores, self._last
        opened_s = self._opened_s
        closed_s = opened_s + choice.refractory_s
        closed = at_s >= closed_s - _SLACK_S
        above = levels >= choice.threshold
        continued = above & (at_s < closed_s - _SLACK_S)
        opened = above & ~continued
        self._opened_s = np.where(opened, at_s, np.where(closed, np.nan, opened_s))
        return Step(levels, opened, continued, closed, opened_s, at_s, closed_s)

    def keep(self, streams: Ints) -> None:
        """Go on with these streams alone, in this order; the others have ended.

        Args:
            streams: numbers of streams, which are counted anew from here on.
        """
        self._last, self._before_last = self._last[streams], self._before_last[streams]
        self._opened_s = self._opened_s[streams]


def smooth(smoothing: str, now: Floats, last: Floats, before_last: Floats) -> Floats:
    """Levels from the scores of now and of the two times before.

    With `two_of_three` the level is the middle score: it reaches a threshold when two do.
    """
    if smoothing == "none":
        return now
    if smoothing == "mean_3":
        return (now + last + before_last) / 3
    higher, lower = np.maximum(now, last), np.minimum(now, last)
    return np.maximum(lower, np.minimum(higher, before_last))


@dataclass(frozen=True)
class Recordings:
    """F recordings that are played through an alarm, each as a stream of its own."""

    scores: Floats
    """(N,) one recording after the other."""
    at_s: Floats
    """(N,) the second of its recording that each score is of."""
    first: Ints
    """(F,) the first score of each recording."""
    before: Floats
    """(F, 2) the two scores before it, the nearest first."""


@dataclass(frozen=True)
class Replay:
    """Holds what an alarm did at each of N scores."""

    levels: Floats
    """(N,)"""
    opened: Bools
    """(N,)"""


def replay(recordings: Recordings, choice: Choice) -> Replay:
    """Play recordings through one `Alarm`, side by side."""
    scores, first = recordings.scores, recordings.first
    lengths = np.diff(np.append(first, scores.size))
    # The longest first, so that those that go on are always the first ones.
    order = np.argsort(-lengths, kind="stable")
    first, lengths = first[order], lengths[order]
    alarm = Alarm(choice, first.size, recordings.before[order])
    levels, opened = np.zeros(scores.size), np.zeros(scores.size, np.bool_)
    playing = first.size
    for played in range(int(lengths.max(initial=0))):
        going_on = int(np.searchsorted(-lengths, -played))
        if going_on < playing:
            alarm.keep(np.arange(going_on))
            playing = going_on
        now = first[:playing] + played
        step = alarm.push(scores[now], recordings.at_s[now])
        levels[now], opened[now] = step.levels, step.opened
    return Replay(levels, opened)
