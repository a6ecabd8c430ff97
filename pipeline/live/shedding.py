"""Says what is left undone where a machine cannot keep up: answers first, and streams after that.

Of each stream one clip of two, of four, at last of eight is answered. Where that is not enough,
streams are left out, an eighth of them at a time. What was taken back last is given back first,
after a pause that doubles each time that it was given back in vain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

MOST_SKIPPED = 8
"""At least one clip of a stream in so many is answered."""
MOST_BEHIND = 3
"""Less is done first; what has waited for so many times as long as it may is dropped."""
_SETTLE_S = 3.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 15.0, 600.0
_CALM_SHARE = 0.25


@dataclass(frozen=True)
class AnsweredShare:
    """How much is done: of `every` clips of a stream one is answered, and so many are left out."""

    every: int = 1
    num_left_out: int = 0


class Shedder:
    """Says how much is done, by how long clips wait for the detector or to be decoded."""

    def __init__(self, most_s: float, now: float) -> None:
        """Begin with everything.

        Args:
            most_s: how long a clip may wait.
            now: in seconds of any clock.
        """
        self._most_s = most_s
        self.load = AnsweredShare()
        self._changed_at = self._busy_at = now
        self._gave_at: float | None = None
        self._compared_at, self._was_behind_s, self._catches_up = now, 0.0, False
        self._pause_s = _FIRST_PAUSE_S

    def look(self, waits_s: float, num_streams: int, now: float, behind_s: float = 0.0) -> bool:
        """Look how long the clip that waits longest has waited; whether the load is another now.

        Args:
            waits_s: how long it has.
            num_streams: that are watched, with those that are left out.
            now: by the clock with which this began.
            behind_s: how far decoding is behind, which takes its time to catch up: while it does,
                no more is taken back.
        """
        before = self.load
        # One stream is always watched, of those that have not ended too.
        num_left_out = min(before.num_left_out, max(0, num_streams - 1))
        self.load = replace(before, num_left_out=num_left_out)
        if now - self._compared_at >= _SETTLE_S:
            self._catches_up = behind_s < self._was_behind_s
            self._compared_at, self._was_behind_s = now, behind_s
        waits_s = max(waits_s, min(behind_s, self._most_s) if self._catches_up else behind_s)
        if waits_s > self._most_s:
            self._busy_at = now
            if now - self._changed_at >= _SETTLE_S:
                self._take_back(num_streams, now)
        elif waits_s > _CALM_SHARE * self._most_s:
            self._busy_at = now
        elif now - max(self._busy_at, self._changed_at) >= self._pause_s:
            self._give_back(num_streams, now)
        if self.load != before:
            self._changed_at = now
        return self.load != before

    def _take_back(self, num_streams: int, now: float) -> None:
        load = self.load
        if self._gave_at is not None:
            in_vain = now - self._gave_at < self._pause_s
            self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s) if in_vain else _FIRST_PAUSE_S
            self._gave_at = None
        if load.every < MOST_SKIPPED:
            self.load = replace(load, every=2 * load.every)
        else:
            num = min(num_streams - 1, load.num_left_out + _share(num_streams))
            self.load = replace(load, num_left_out=max(load.num_left_out, num))

    def _give_back(self, num_streams: int, now: float) -> None:
        load = self.load
        if load == AnsweredShare():
            self._pause_s = _FIRST_PAUSE_S
            return
        self._gave_at = now
        if load.num_left_out:
            num = max(0, load.num_left_out - _share(num_streams))
            self.load = replace(load, num_left_out=num)
        else:
            self.load = replace(load, every=load.every // 2)


def _share(num_streams: int) -> int:
    return math.ceil(num_streams / 8)
