"""The alerts of one stream, from what the detector says of its clips.

`Alarm` says when one opens, as in an evaluation. Once its refractory time is over it closes as soon
as the level has fallen clearly below the threshold, and not before, so that what goes on for long
is one alert and not one a minute.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.assess import previews
from pipeline.detect.alarm import Alarm, Choice
from pipeline.live.before import Before, OpenAlert
from pipeline.live.events import ALERT_CLOSED, ALERT_OPENED, ALERT_UPDATED
from pipeline.live.messages import StreamClip
from pipeline.live.scoring import StreamAnswer

STREAM_OVER, WATCH_ENDED = "stream_ended", "watch_ended"
"""Why alerts are closed that would else be open."""
_TRACE = 60
"""Scores that an alert shows, the latest."""
_DIGITS = 6


@dataclass
class _Open:
    """An alert that is open."""

    name: str
    opened_s: float
    highest: float
    num_above: int
    """Clips at whose end the level was at the threshold or above it."""
    updated_s: float
    is_held: bool = False
    """Its refractory time is over, and the level has not fallen yet."""


@dataclass(frozen=True)
class Habits:
    """Tells how the alerts of a stream are raised, closed and told.

    Attributes:
        choice: of the threshold and the smoothing.
        release: share of the threshold below which the level has fallen; None where an alert closes
            with its refractory time, as in an evaluation.
        evidence: what every alert tells of the detector and its operating point.
        update_every_s: seconds of the stream from one update of an alert to the next, at least.
        stills: whether an alert that opens shows protected stills.
    """

    choice: Choice
    release: float | None
    evidence: Mapping[str, Any]
    update_every_s: float
    stills: bool


class StreamAlerts:
    """Raises, renews and closes the one alert that a stream may have open."""

    def __init__(
        self,
        habits: Habits,
        tell: Callable[[str, Mapping[str, Any]], None],
        seen: Callable[[StreamClip, StreamAnswer], StreamAnswer],
        before: Before | None = None,
    ) -> None:
        """Begin with a stream.

        Args:
            habits: of all streams.
            tell: is told the type of an event and its data.
            seen: says what the pictures of a clip say without its sound.
            before: what became of it where it was watched until now.
        """
        self._habits, self._tell, self._seen = habits, tell, seen
        self._alarm = Alarm(habits.choice, 1)
        self._trace: deque[dict[str, float]] = deque(maxlen=_TRACE)
        self._open: _Open | None = None
        self._at_s = 0.0
        self._highest = 0.0, 0.0
        """The highest level, and the first second of the stream at which it was."""
        self._num_opened = 0
        if before is not None:
            self._go_on(before)

    def before(self, began_at: float | None) -> Before:
        """Return what another one goes on from, of a stream whose clock was at zero then."""
        one = self._open
        return Before(
            self._at_s,
            began_at,
            OpenAlert(one.name, one.opened_s, one.highest, one.num_above) if one else None,
            self._highest,
            self._num_opened,
        )

    @property
    def summary(self) -> Mapping[str, Any]:
        """Return how high the level came, when first, and how often an alert opened."""
        level, at_s = self._highest
        return {
            "highest_level": _round(level),
            "highest_at_s": _round(at_s),
            "threshold": _round(self._habits.choice.threshold),
            "num_alerts": self._num_opened,
        }

    @property
    def open(self) -> str | None:
        """The id of the alert that is open; None where there is none."""
        return None if self._open is None else self._open.name

    @property
    def trace(self) -> Sequence[Mapping[str, float]]:
        """The latest scores and levels, and when they were."""
        return self._trace

    def take(
        self,
        answer: StreamAnswer,
        clip: StreamClip,
        at_s: float,
        lag_s: float | None,
        answered_share: float = 1.0,
    ) -> None:
        """Take what is said of the next clip.

        Args:
            answer: what is said.
            clip: of which it is said.
            at_s: the second of the stream at which the clip ends.
            lag_s: how late it is; None where nobody knows.
            answered_share: share of the clips of late that were answered.
        """
        timing = {
            "lag_s": None if lag_s is None else round(lag_s, 3),
            "answered_share": round(answered_share, 3),
        }
        step = self._push(answer.score, at_s)
        at_s = self._at_s
        level = float(step.levels[0])
        self._trace.append(
            {"at_s": _round(at_s), "score": _round(answer.score), "level": _round(level)}
        )
        if level > self._highest[0]:
            self._highest = level, at_s
        one = self._open
        if one is None and step.opened[0]:
            self._num_opened += 1
            self._open = _Open(uuid.uuid4().hex, at_s, level, 1, at_s)
            told = self._told(answer, clip, at_s, timing)
            if self._habits.stills:
                told["stills"] = previews.strip(clip.frames, "protected")
            self._tell(ALERT_OPENED, told)
        elif one is not None and (step.opened[0] or step.continued[0]):
            one.highest, one.num_above = max(one.highest, level), one.num_above + 1
            if at_s - one.updated_s >= self._habits.update_every_s:
                one.updated_s = at_s
                self._tell(ALERT_UPDATED, self._told(answer, clip, at_s, timing))

    def _go_on(self, before: Before) -> None:
        self._at_s, one = before.at_s, before.open
        self._highest, self._num_opened = before.highest, before.num_alerts
        if one is not None:
            # A level at the highest opens it, with whatever smoothing.
            self._alarm = Alarm(self._habits.choice, 1, np.ones((1, 2)))
            self._alarm.push(np.ones(1), np.array([one.opened_s]))
            self._open = _Open(
                one.alert, one.opened_s, one.highest_level, one.num_clips_above, before.at_s
            )

    def quieten(self) -> None:
        """Forget the scores before now, as where the stream goes on with something else."""
        for _ in range(2):
            self._push(0.0, self._at_s)
        self._trace.clear()

    def wait(self, at_s: float) -> None:
        """Let time go by in which nothing is seen of the stream."""
        if self._open is not None:
            self._push(0.0, at_s)

    def end(self, reason: str) -> None:
        """Close what is open, since the stream or the watch has ended."""
        self._close(self._at_s, reason)

    def _push(self, score: float, at_s: float) -> Any:
        # Clocks of several sessions may overlap by the length of a clip.
        self._at_s = max(self._at_s, at_s)
        step = self._alarm.push(np.array([score]), np.array([self._at_s]))
        if self._open is None:
            return step
        release, level = self._habits.release, step.levels[0]
        has_fallen = release is None or level < release * self._habits.choice.threshold
        if step.closed[0] and has_fallen:
            self._close(float(step.closed_s[0]), "refractory_time_over")
        elif self._open.is_held and has_fallen:
            self._close(self._at_s, "level_fell")
        else:
            is_over = step.closed[0] or self._open.is_held
            self._open.is_held = bool(is_over and not step.opened[0])
        return step

    def _close(self, closed_s: float, reason: str) -> None:
        one, self._open = self._open, None
        if one is not None:
            data = {**self._outline(one), "closed_s": _round(closed_s), "reason": reason}
            self._tell(ALERT_CLOSED, data)

    def _outline(self, one: _Open) -> dict[str, Any]:
        return {
            "alert": one.name,
            "opened_s": _round(one.opened_s),
            "highest_level": _round(one.highest),
            "num_clips_above": one.num_above,
        }

    def _told(
        self,
        answer: StreamAnswer,
        clip: StreamClip,
        at_s: float,
        timing: Mapping[str, float | None],
    ) -> dict[str, Any]:
        assert self._open is not None
        seen = self._seen(clip, answer)
        return {
            **self._outline(self._open),
            "at_s": _round(at_s),
            **timing,
            "score": _round(answer.score),
            "trace": list(self._trace),
            "last_clip": {
                "seen": _probabilities(seen),
                "seen_and_heard": _probabilities(answer),
                "sound": clip.presence,
                "marks": list(clip.marks),
            },
            **self._habits.evidence,
        }


def _round(value: float) -> float:
    return round(value, _DIGITS)


def _probabilities(answer: StreamAnswer) -> dict[str, float]:
    return {"p_real": _round(answer.p_real), "p_discharge": _round(answer.p_discharge)}
