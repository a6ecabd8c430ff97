"""Queues, decisions and exposures in a file of SQLite: what is in it is never changed.

Whoever thinks better of a decision adds another one; of one person the last one counts.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.live.database import created, transaction, unreached
from pipeline.review.population import Population
from pipeline.review.repeats import is_known
from pipeline.review.tasks import Decision, QueuePlace, ReviewTask, stamp

FILE = "review.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS queues (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    made_at TEXT NOT NULL,
    about TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS populations (
    queue INTEGER PRIMARY KEY REFERENCES queues (number),
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS tasks (name TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS places (
    queue INTEGER NOT NULL REFERENCES queues (number),
    position INTEGER NOT NULL,
    task TEXT NOT NULL REFERENCES tasks (name),
    reasons TEXT NOT NULL,
    stratum TEXT NOT NULL,
    inclusion REAL,
    flagged INTEGER NOT NULL,
    value REAL NOT NULL,
    wanted INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (queue, task)
);
CREATE TABLE IF NOT EXISTS decisions (
    number INTEGER PRIMARY KEY,
    task TEXT NOT NULL REFERENCES tasks (name),
    origin TEXT NOT NULL,
    discharge INTEGER,
    discharges_s TEXT NOT NULL,
    who TEXT NOT NULL,
    by TEXT NOT NULL,
    note TEXT NOT NULL,
    at TEXT NOT NULL,
    weights_sha256 TEXT NOT NULL,
    queue INTEGER NOT NULL,
    inclusion REAL
);
CREATE INDEX IF NOT EXISTS of_task ON decisions (task, number);
CREATE TABLE IF NOT EXISTS exposures (
    number INTEGER PRIMARY KEY,
    task TEXT NOT NULL,
    who TEXT NOT NULL,
    kind TEXT NOT NULL,
    seconds REAL NOT NULL,
    at TEXT NOT NULL
);
"""
_PLACE, _DECISION = (", ".join(one.name for one in fields(kind)) for kind in (QueuePlace, Decision))


@dataclass(frozen=True)
class Queue:
    """Holds what was put into one queue.

    Attributes:
        number: from 1.
        about: what it was made of, as JSON values: `scores` (a name), `weights_sha256`,
            `threshold`, `kind`, `seed`, `strata` (videos in and drawn of each), `counts`.
    """

    number: int
    about: Mapping[str, Any]


class Record:
    """The file of a folder."""

    def __init__(self, folder: Path) -> None:
        """Open what is in a folder, or begin.

        Raises:
            UserError: what lies there is none.
        """
        self._path = folder / FILE
        with created(self._path, _SCHEMA, "queues and decisions"):
            pass

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with transaction(self._path) as database:
                yield database
        except sqlite3.Error as error:
            raise UserError(unreached(self._path, error)) from error

    def add_queue(
        self,
        key: str,
        about: Mapping[str, Any],
        tasks: Sequence[ReviewTask],
        places: Sequence[QueuePlace],
        population: Population,
    ) -> tuple[int, bool]:
        """Add a queue; returns its number, and whether it was there already, by its key."""
        with self._open() as database:
            there = database.execute("SELECT number FROM queues WHERE key = ?", (key,)).fetchone()
            if there is not None:
                return int(there[0]), True
            number = database.execute(
                "INSERT INTO queues (key, made_at, about) VALUES (?, ?, ?)",
                (key, now(), json.dumps(about, sort_keys=True)),
            ).lastrowid
            assert number is not None
            database.execute(
                "INSERT INTO populations (queue, body) VALUES (?, ?)",
                (number, population.to_bytes()),
            )
            database.executemany(
                "INSERT OR IGNORE INTO tasks (name, body) VALUES (?, ?)",
                [(task.name, task.to_json()) for task in tasks],
            )
            database.executemany(
                f"INSERT INTO places (queue, {_PLACE}, body) VALUES ({', '.join('?' * 10)})",
                [
                    (number, *_row(place), task.to_json())
                    for place, task in zip(places, tasks, strict=True)
                ],
            )
        return number, False

    def queues(self) -> list[Queue]:
        """All queues, in the order in which they were made."""
        with self._open() as database:
            rows = database.execute("SELECT number, about FROM queues ORDER BY number")
            return [Queue(number, json.loads(about)) for number, about in rows]

    def populations(self) -> dict[int, Population]:
        """Return what each queue was made of, by its number."""
        with self._open() as database:
            rows = database.execute("SELECT queue, body FROM populations").fetchall()
        return {number: Population.read(body) for number, body in rows}

    def places(self, queue: int | None = None) -> list[tuple[int, QueuePlace, ReviewTask]]:
        """Return what `standing` gives, with each task as the queue has it."""
        with self._open() as database:
            bodies = {
                (number, name): body
                for number, name, body in database.execute("SELECT queue, task, body FROM places")
            }
        return [
            (number, place, ReviewTask.read(bodies[number, place.task]))
            for number, place in self.standing(queue)
        ]

    def standing(self, queue: int | None = None) -> list[tuple[int, QueuePlace]]:
        """Return what stands in one queue, or in all, the newest first, in order; with the queue's
        number.

        A task that several queues hold is in the newest of them alone where all are asked for.
        """
        where, values = ("WHERE queue = ?", (queue,)) if queue is not None else ("", ())
        with self._open() as database:
            rows = database.execute(
                f"SELECT queue, {_PLACE} FROM places {where} ORDER BY queue DESC, position", values
            ).fetchall()
        found: dict[str, tuple[int, QueuePlace]] = {}
        for number, *row in rows:
            place = _place(row)
            found.setdefault(place.task, (number, place))
        return list(found.values())

    def drawn(self) -> list[tuple[int, QueuePlace]]:
        """All places that an audit drew, of all queues."""
        with self._open() as database:
            rows = database.execute(
                f"SELECT queue, {_PLACE} FROM places WHERE inclusion IS NOT NULL "
                "ORDER BY queue, position"
            ).fetchall()
        return [(number, _place(place)) for number, *place in rows]

    def asked_of_two(self) -> list[str]:
        """The names of the tasks that any queue asks two people about, in order."""
        with self._open() as database:
            rows = database.execute(
                "SELECT DISTINCT task FROM places WHERE wanted > 1 ORDER BY task"
            ).fetchall()
        return [name for (name,) in rows]

    def task(self, name: str) -> ReviewTask | None:
        """The task of that name, as the newest queue has it."""
        with self._open() as database:
            row = database.execute(
                "SELECT body FROM places WHERE task = ? ORDER BY queue DESC LIMIT 1", (name,)
            ).fetchone()
        return row and ReviewTask.read(row[0])

    def tasks_of(self, sha256s: Iterable[str], uris: Iterable[str]) -> list[ReviewTask]:
        """The tasks of files of such bytes, or at such places."""
        known, places = set(sha256s), set(uris)
        with self._open() as database:
            bodies = database.execute("SELECT body FROM tasks ORDER BY name").fetchall()
        tasks = (ReviewTask.read(body) for (body,) in bodies)
        return [one for one in tasks if one.sha256 in known or one.uri in places]

    def decide(self, decisions: Sequence[Decision]) -> int:
        """Add decisions, all or none; returns how many were new.

        What the same person decided of the same task before is no new one (`is_known`), so that
        what was imported twice counts once, and an old file takes nothing back. Each is given what
        the newest queue with its task says of it.

        Raises:
            UserError: there is no such task.
        """
        with self._open() as database:
            num_new = 0
            for one in decisions:
                place = database.execute(
                    "SELECT queue, inclusion, body FROM places WHERE task = ? "
                    "ORDER BY queue DESC LIMIT 1",
                    (one.task,),
                ).fetchone()
                if place is None:
                    raise UserError(f"{one.task}: there is no such task; see discern review list")
                queue, inclusion, body = place
                full = replace(
                    one,
                    at=one.at or now(),
                    weights_sha256=ReviewTask.read(body).weights_sha256,
                    queue=queue,
                    inclusion=inclusion,
                )
                before = database.execute(
                    f"SELECT {_DECISION} FROM decisions WHERE task = ? AND who = ? ORDER BY number",
                    (one.task, one.who),
                ).fetchall()
                if is_known(one, [*map(_decision, before)]):
                    continue
                database.execute(
                    f"INSERT INTO decisions ({_DECISION}) VALUES ({', '.join('?' * 11)})",
                    _row(full),
                )
                num_new += 1
        return num_new

    def decisions(self) -> dict[str, list[Decision]]:
        """The last decision of each person on each task, in the order in which they were made."""
        with self._open() as database:
            rows = database.execute(f"SELECT {_DECISION} FROM decisions ORDER BY number").fetchall()
        found: dict[str, dict[str, Decision]] = defaultdict(dict)
        for row in rows:
            one = _decision(row)
            found[one.task].pop(one.who, None)
            found[one.task][one.who] = one
        return {task: list(of.values()) for task, of in found.items()}

    def expose(self, task: str, who: str, kind: str, seconds: float) -> None:
        """Note that somebody was shown something."""
        with self._open() as database:
            database.execute(
                "INSERT INTO exposures (task, who, kind, seconds, at) VALUES (?, ?, ?, ?, ?)",
                (task, who, kind, seconds, now()),
            )

    def exposures(self, who: str, since: str = "") -> dict[str, tuple[int, float]]:
        """Give how often somebody saw each kind of thing since a time, and for how many seconds."""
        with self._open() as database:
            rows = database.execute(
                "SELECT kind, count(*), sum(seconds) FROM exposures WHERE who = ? AND at >= ? "
                "GROUP BY kind ORDER BY kind",
                (who, since),
            ).fetchall()
        return {kind: (num, seconds) for kind, num, seconds in rows}

    def people(self) -> list[str]:
        """Everybody who decided or was shown something."""
        with self._open() as database:
            rows = database.execute(
                "SELECT who FROM decisions UNION SELECT who FROM exposures ORDER BY who"
            ).fetchall()
        return [who for (who,) in rows]


def now() -> str:
    """The time, in UTC."""
    return stamp(datetime.now(UTC))


def _row(one: QueuePlace | Decision) -> list[Any]:
    """The fields of one, in their order; what is several values is one of JSON."""
    return [json.dumps(value) if isinstance(value, tuple) else value for value in astuple(one)]


def _place(row: Sequence[Any]) -> QueuePlace:
    one = QueuePlace(*row)
    return replace(one, reasons=tuple(json.loads(row[2])), flagged=bool(one.flagged))


def _decision(row: Sequence[Any]) -> Decision:
    one = Decision(*row)
    fires = None if one.discharge is None else bool(one.discharge)
    return replace(one, discharge=fires, discharges_s=tuple(json.loads(row[3])))
