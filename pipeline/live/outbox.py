"""Events on their way to a receiver: a queue on disk, from which each is delivered at least once.

An event is in the queue before anybody else is told of it, so that neither a receiver that is down
nor the end of this process loses one. What a receiver never takes becomes a dead letter, and stays.
"""

from __future__ import annotations

import json
import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.live.database import begun, opened
from pipeline.live.events import ALERT_CLOSED, ALERT_OPENED, ALERT_UPDATED, Event, line

log = logging.getLogger(__name__)

FILE = "outbox.sqlite"
# Of an alert, what whoever closes it tells.
_OUTLINE = ("alert", "opened_s", "highest_level", "num_clips_above")
MAX_ATTEMPTS = 16
"""After so many an event is a dead letter: about a day after the first."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 3 * 3600.0
_LOOK_EVERY_S = 1.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL DEFAULT 0,
    is_dead INTEGER NOT NULL DEFAULT 0,
    said TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS due ON events (is_dead, next_at, number);
CREATE TABLE IF NOT EXISTS left_open (
    alert TEXT PRIMARY KEY,
    stream TEXT NOT NULL,
    closing TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Letter:
    """An event as it is delivered.

    Attributes:
        name: its id, by which a receiver knows one that comes twice.
        body: JSON.
        attempts: that have failed.
    """

    name: str
    body: str
    attempts: int


@dataclass(frozen=True)
class Delivery:
    """What came of an attempt: `is_done` where the receiver took it, else why it did not."""

    is_done: bool
    said: str = ""


class Outbox:
    """A queue of events in a file, and which alerts are open, whatever becomes of this process."""

    def __init__(self, folder: Path) -> None:
        """Open the queue in a folder, or begin one.

        Raises:
            UserError: what lies there is none.
        """
        self._path = folder / FILE
        with begun(self._path, _SCHEMA, "queue of events"):
            pass

    def put(self, event: Event) -> None:
        """Put an event into the queue; it is on disk when this returns.

        Raises:
            UserError: it cannot be written there.
        """
        try:
            self._put(event)
        except sqlite3.Error as error:
            raise UserError(
                f"{self._path}: an event cannot be put into the queue ({error}); free the disk, "
                "or end who holds the file, and run it again"
            ) from error

    def _put(self, event: Event) -> None:
        kind, data = event["type"], event["data"]
        with opened(self._path) as database:
            database.execute(
                "INSERT INTO events (id, body) VALUES (?, ?)", (event["id"], line(event))
            )
            if kind in (ALERT_OPENED, ALERT_UPDATED):
                closing = {name: data[name] for name in _OUTLINE} | {"closed_s": data["at_s"]}
                row = data["alert"], data["stream"], json.dumps(closing)
                database.execute("INSERT OR REPLACE INTO left_open VALUES (?, ?, ?)", row)
            elif kind == ALERT_CLOSED:
                database.execute("DELETE FROM left_open WHERE alert = ?", (data["alert"],))

    def left_open(self) -> list[tuple[str, dict[str, Any]]]:
        """Streams whose alert nobody has closed, and what is to be told when it is."""
        with opened(self._path) as database:
            rows = database.execute(
                "SELECT stream, closing FROM left_open ORDER BY rowid"
            ).fetchall()
        return [(stream, json.loads(closing)) for stream, closing in rows]

    def due(self, now: float) -> Letter | None:
        """The first event that may be tried at a time; None where there is none."""
        with opened(self._path) as database:
            row = database.execute(
                "SELECT id, body, attempts FROM events WHERE is_dead = 0 AND next_at <= ? "
                "ORDER BY number LIMIT 1",
                (now,),
            ).fetchone()
        return None if row is None else Letter(*row)

    def delivered(self, letter: Letter) -> None:
        """Take an event out."""
        with opened(self._path) as database:
            database.execute("DELETE FROM events WHERE id = ?", (letter.name,))

    def failed(self, letter: Letter, said: str, now: float) -> bool:
        """Keep an event for a later attempt; whether it became a dead letter instead."""
        attempts = letter.attempts + 1
        is_dead = attempts >= MAX_ATTEMPTS
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (attempts - 1))
        # Not everything that has waited for a receiver is to come at the same moment.
        next_at = now + pause_s * random.uniform(0.75, 1.25)
        with opened(self._path) as database:
            database.execute(
                "UPDATE events SET attempts = ?, next_at = ?, is_dead = ?, said = ? WHERE id = ?",
                (attempts, next_at, is_dead, said, letter.name),
            )
        return is_dead

    def count(self) -> tuple[int, int]:
        """How many events wait, and how many are dead letters."""
        with opened(self._path) as database:
            dead = dict(
                database.execute("SELECT is_dead, count(*) FROM events GROUP BY is_dead").fetchall()
            )
        return dead.get(0, 0), dead.get(1, 0)


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
        self._is_failing = False

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

    def _try(self, letter: Letter) -> None:
        delivery = self._deliver(letter)
        if delivery.is_done:
            self._outbox.delivered(letter)
            if self._is_failing:
                log.info("watch: %s: the receiver takes events again", self.name)
            self._is_failing = False
            return
        is_dead = self._outbox.failed(letter, delivery.said, time.time())
        if is_dead or not self._is_failing:
            what = f"event {letter.name} is a dead letter" if is_dead else "an event waits"
            log.warning("watch: %s: %s; %s", self.name, delivery.said, what)
        self._is_failing = True
