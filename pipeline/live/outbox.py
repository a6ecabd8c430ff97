"""Events on their way to a receiver: a queue on disk, from which each is delivered at least once.

An event is in the queue before anybody else is told of it, so that neither a receiver that is down
nor the end of this process loses one. What a receiver never takes becomes a dead letter, and stays.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.live.database import created, transaction
from pipeline.live.events import ALERT_CLOSED, ALERT_OPENED, ALERT_UPDATED, Event, line

FILE = "outbox.sqlite"
# Of an alert, what whoever closes it tells.
_OUTLINE = ("alert", "opened_s", "highest_level", "num_clips_above")
MAX_ATTEMPTS = 16
"""After so many an event is a dead letter: about a day after the first."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 3 * 3600.0
# Once a receiver is there again, it gets what waits for it at this pace.
_CATCH_UP_S = 0.05
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
CREATE INDEX IF NOT EXISTS of_alert ON events (json_extract(body, '$.data.alert'));
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
    """Holds what came of an attempt.

    Attributes:
        is_done: the receiver took it.
        said: why it did not.
        is_refused: the receiver is there, and does not take this event.
    """

    is_done: bool
    said: str = ""
    is_refused: bool = False


class Outbox:
    """A queue of events in a file, and which alerts are open, whatever becomes of this process."""

    def __init__(self, folder: Path) -> None:
        """Open the queue in a folder, or begin one.

        Raises:
            UserError: what lies there is none.
        """
        self._path = folder / FILE
        with created(self._path, _SCHEMA, "queue of events"):
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
        with transaction(self._path) as database:
            # What becomes of an alert is told after what it is.
            database.execute(
                "INSERT INTO events (id, body, next_at) SELECT ?, ?, coalesce(max(next_at), 0) "
                "FROM events WHERE is_dead = 0 AND json_extract(body, '$.data.alert') = ?",
                (event["id"], line(event), data.get("alert")),
            )
            if kind in (ALERT_OPENED, ALERT_UPDATED):
                closing = {name: data[name] for name in _OUTLINE} | {"closed_s": data["at_s"]}
                row = data["alert"], data["stream"], json.dumps(closing)
                database.execute("INSERT OR REPLACE INTO left_open VALUES (?, ?, ?)", row)
            elif kind == ALERT_CLOSED:
                database.execute("DELETE FROM left_open WHERE alert = ?", (data["alert"],))

    def left_open(self) -> list[tuple[str, dict[str, Any]]]:
        """Streams whose alert nobody has closed, and what is to be told when it is."""
        with transaction(self._path) as database:
            rows = database.execute(
                "SELECT stream, closing FROM left_open ORDER BY rowid"
            ).fetchall()
        return [(stream, json.loads(closing)) for stream, closing in rows]

    def due(self, now: float) -> Letter | None:
        """The first event that may be tried at a time; None where there is none."""
        with transaction(self._path) as database:
            row = database.execute(
                "SELECT id, body, attempts FROM events WHERE is_dead = 0 AND next_at <= ? "
                "ORDER BY number LIMIT 1",
                (now,),
            ).fetchone()
        return None if row is None else Letter(*row)

    def oldest(self) -> Letter | None:
        """The event that has waited longest, whether it may be tried or not."""
        with transaction(self._path) as database:
            row = database.execute(
                "SELECT id, body, attempts FROM events WHERE is_dead = 0 ORDER BY number LIMIT 1"
            ).fetchone()
        return None if row is None else Letter(*row)

    def hasten(self, now: float, but: Collection[str]) -> None:
        """Let what waits be tried soon, the oldest first, but for some events by name.

        What goes on from one of these waits for it still.
        """
        with transaction(self._path) as database:
            rows = database.execute(
                "SELECT number, id, next_at, json_extract(body, '$.data.alert') FROM events "
                "WHERE is_dead = 0 ORDER BY number"
            ).fetchall()
            held = {alert for _, name, _, alert in rows if name in but and alert is not None}
            # Receivers of many watches are not to hear of all of them at the same moment.
            begin = now + random.uniform(0.0, 1.0)
            soon = [
                (begin + _CATCH_UP_S * place, number)
                for place, (number, name, next_at, alert) in enumerate(rows)
                if name not in but and alert not in held and next_at > begin + _CATCH_UP_S * place
            ]
            database.executemany("UPDATE events SET next_at = ? WHERE number = ?", soon)

    def delivered(self, letter: Letter) -> None:
        """Take an event out."""
        with transaction(self._path) as database:
            database.execute("DELETE FROM events WHERE id = ?", (letter.name,))

    def failed(self, letter: Letter, said: str, now: float) -> bool:
        """Keep an event for a later attempt; whether it became a dead letter instead."""
        attempts = letter.attempts + 1
        is_dead = attempts >= MAX_ATTEMPTS
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (attempts - 1))
        # Not everything that has waited for a receiver is to come at the same moment.
        next_at = now + pause_s * random.uniform(0.75, 1.25)
        with transaction(self._path) as database:
            database.execute(
                "UPDATE events SET attempts = ?, next_at = ?, is_dead = ?, said = ? WHERE id = ?",
                (attempts, next_at, is_dead, said, letter.name),
            )
            if not is_dead:
                alert = "json_extract(body, '$.data.alert')"
                database.execute(
                    "UPDATE events SET next_at = :at WHERE is_dead = 0 AND next_at < :at "
                    f"AND {alert} = (SELECT {alert} FROM events WHERE id = :id) "
                    "AND number > (SELECT number FROM events WHERE id = :id)",
                    {"at": next_at, "id": letter.name},
                )
        return is_dead

    def count(self) -> tuple[int, int]:
        """Return how many events wait, and how many are dead letters."""
        with transaction(self._path) as database:
            dead = dict(
                database.execute("SELECT is_dead, count(*) FROM events GROUP BY is_dead").fetchall()
            )
        return dead.get(0, 0), dead.get(1, 0)
