"""Takes events from their queue to a receiver, and finds out when one that was down is back."""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable

from pipeline.live.events import Event
from pipeline.live.outbox import Delivery, Letter, Outbox

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
# How often a receiver that is down is tried, whatever pauses events have by then.
_PROBE_EVERY_S = 60.0
# An event that fails so often at a receiver that takes others waits out its own pauses.
_MOST_OWN_FAULTS = 3


class Courier(threading.Thread):
    """Takes events from an outbox to a receiver, one after the other."""

    def __init__(
        self, outbox: Outbox, deliver: Callable[[Letter], Delivery], name: str = "webhook"
    ) -> None:
        """Get ready; `start` begins.

        Args:
            outbox: whose events are delivered, those of earlier runs too.
            deliver: tries it once; raises nothing.
            name: of the receiver.
        """
        super().__init__(name=name, daemon=True)
        self._outbox, self._deliver = outbox, deliver
        self._rung, self._stopped = threading.Event(), threading.Event()
        self._is_failing = self._has_taken = False
        self._probe_at = 0.0
        self._own_faults: Counter[str] = Counter()
        """How often each event failed where the one before it was taken."""

    def put(self, event: Event) -> None:
        """Put an event into the outbox, and see to it at once."""
        self._outbox.put(event)
        self._rung.set()

    def run(self) -> None:
        """Deliver until `finish` is called."""
        while not self._stopped.is_set():
            self._rung.clear()
            try:
                letter = self._outbox.due(time.time())
                if letter is not None:
                    self._try(letter)
                    continue
                self._probe()
            except sqlite3.Error as error:
                # A disk that is full, or a queue that somebody else holds, may be free again.
                log.warning("watch: %s: the queue cannot be used now: %s", self.name, error)
            self._rung.wait(_LOOK_EVERY_S)

    def finish(self, wait_s: float) -> None:
        """Wait until all that is due is delivered, but not for longer than some seconds."""
        until = time.monotonic() + wait_s
        while time.monotonic() < until and self._outbox.count()[0]:
            time.sleep(0.05)
        self._stopped.set()
        self._rung.set()
        num_waiting, num_dead = self._outbox.count()
        if num_waiting or num_dead:
            log.warning(
                "watch: %s: %d events wait for the next run, %d are dead letters",
                self.name,
                num_waiting,
                num_dead,
            )

    def _probe(self) -> None:
        """Try what has waited longest, where nothing was tried for a while; no attempt of it."""
        if time.time() < self._probe_at:
            return
        self._put_off_probe()
        letter = self._outbox.oldest()
        if letter is None or letter.name in self._suspects:
            return
        delivery = self._deliver(letter)
        if delivery.is_done:
            self._take_done(letter)

    def _try(self, letter: Letter) -> None:
        delivery = self._deliver(letter)
        self._put_off_probe()
        if delivery.is_done:
            self._take_done(letter)
            return
        is_dead = self._outbox.failed(letter, delivery.said, time.time())
        if is_dead or not self._is_failing:
            what = f"event {letter.name} is a dead letter" if is_dead else "an event waits"
            log.warning("watch: %s: %s; %s", self.name, delivery.said, what)
        if is_dead:
            self._own_faults.pop(letter.name, None)
        elif delivery.is_refused:
            self._own_faults[letter.name] = _MOST_OWN_FAULTS
        elif not self._is_failing:
            self._own_faults[letter.name] += 1
        self._is_failing = True

    def _take_done(self, letter: Letter) -> None:
        self._outbox.delivered(letter)
        self._own_faults.pop(letter.name, None)
        if self._is_failing:
            log.info("watch: %s: the receiver takes events again", self.name)
        if self._is_failing or not self._has_taken:
            # What an earlier run has left waits too.
            self._outbox.hasten(time.time(), self._suspects)
        self._is_failing, self._has_taken = False, True

    def _put_off_probe(self) -> None:
        self._probe_at = time.time() + _PROBE_EVERY_S * random.uniform(0.75, 1.25)

    @property
    def _suspects(self) -> set[str]:
        return {name for name, num in self._own_faults.items() if num >= _MOST_OWN_FAULTS}
