"""Holds what waits for the detector: a bounded queue a stream, of which the oldest clips go."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.live.messages import StreamClip


@dataclass(frozen=True)
class WaitingClip:
    """A clip, which ends at a second of the stream.

    Attributes:
        due: when it would have come without any delay, by `time.monotonic`; None where a file is
            played as fast as it goes.
        came: when it did, by `time.monotonic`.
    """

    shown: StreamClip
    at_s: float
    due: float | None
    came: float = field(default_factory=time.monotonic)

    @property
    def lag_s(self) -> float | None:
        """Return how late it is by now."""
        return None if self.due is None else max(0.0, time.monotonic() - self.due)


@dataclass(frozen=True)
class StreamChange:
    """A turn in the life of a stream, which becomes an event.

    Attributes:
        kind: of the event.
        data: of the event.
        restarts: nothing of what was shown before has to do with what follows.
    """

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    restarts: bool = False


@dataclass(frozen=True)
class IdleSecond:
    """A second of the stream has come at which nothing is to be seen of it."""

    at_s: float


Item = WaitingClip | StreamChange | IdleSecond


class Bell:
    """Wakes whoever waits for any of several inboxes."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self) -> None:
        """Wake whoever waits."""
        self._rung.set()

    def wait(self, timeout_s: float) -> None:
        """Wait until it is rung, which may have been before."""
        self._rung.wait(timeout_s)
        self._rung.clear()


class Inbox:
    """Items of one stream in order; of too many clips the oldest are dropped, and counted.

    Attributes:
        num_dropped, num_taken: clips.
        drops: whether clips are dropped where too many wait.
    """

    def __init__(self, max_clips: int, bell: Bell, *, drops: bool) -> None:
        """Make an empty one.

        Args:
            max_clips: that wait, at most.
            bell: is rung for each item.
            drops: whether clips are dropped; else `put` waits for room.
        """
        self._max_clips, self._bell, self.drops = max_clips, bell, drops
        self._items: deque[Item] = deque()
        self._num_clips = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self.num_dropped = self.num_taken = 0

    def put(self, item: Item) -> None:
        """Put an item behind all others."""
        with self._changed:
            if isinstance(item, WaitingClip):
                if self.drops and self._num_clips >= self._max_clips:
                    self._drop()
                while self._num_clips >= self._max_clips and not self._is_closed:
                    self._changed.wait()
                self._num_clips += 1
            self._items.append(item)
        self._bell.ring()

    def take(self) -> Item | None:
        """The first item; None where there is none."""
        with self._changed:
            if not self._items:
                return None
            item = self._items.popleft()
            if isinstance(item, WaitingClip):
                self._num_clips -= 1
                self.num_taken += 1
            self._changed.notify_all()
            return item

    def waits_s(self) -> float:
        """Return how long the first clip has waited; 0 where there is none."""
        with self._changed:
            first = next((one for one in self._items if isinstance(one, WaitingClip)), None)
        return 0.0 if first is None else time.monotonic() - first.came

    def skip(self) -> None:
        """Count a clip that was taken, and is not answered, as dropped."""
        with self._changed:
            self.num_taken -= 1
            self.num_dropped += 1

    def miss(self, num: int) -> None:
        """Count clips as dropped that will never come."""
        with self._changed:
            self.num_dropped += num

    def close(self) -> None:
        """Let nobody wait for room any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _drop(self) -> None:
        for number, item in enumerate(self._items):
            if isinstance(item, WaitingClip):
                del self._items[number]
                self._num_clips -= 1
                self.num_dropped += 1
                return
