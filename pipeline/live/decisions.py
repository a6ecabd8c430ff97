"""Alerts and what people decided of them, in a file that outlives the watch.

A decision is never changed: whoever thinks better of it adds another one, and the last one counts.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.live.database import created, transaction
from pipeline.live.events import ALERT_CLOSED, ALERT_OPENED, ALERT_UPDATED, Event, now

FILE = "alerts.sqlite"
DISMISSED = "dismissed"
DECISIONS = ("acknowledged", DISMISSED)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS alerts (
    number INTEGER PRIMARY KEY,
    alert TEXT NOT NULL UNIQUE,
    stream TEXT NOT NULL,
    opened_at TEXT NOT NULL,
    opened TEXT NOT NULL,
    latest TEXT NOT NULL,
    closed_at TEXT
);
CREATE TABLE IF NOT EXISTS decisions (
    number INTEGER PRIMARY KEY,
    alert TEXT NOT NULL REFERENCES alerts (alert),
    decision TEXT NOT NULL,
    who TEXT NOT NULL,
    at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS of_alert ON decisions (alert, number);
"""


class Decisions:
    """The alerts of a folder, and the decisions on each."""

    def __init__(self, folder: Path) -> None:
        """Open what is in a folder, or begin. What a killed watch left open is closed by now.

        Raises:
            UserError: what lies there is none.
        """
        self._path = folder / FILE
        with created(self._path, _SCHEMA, "alerts and decisions") as database:
            database.execute("UPDATE alerts SET closed_at = ? WHERE closed_at IS NULL", (now(),))

    def take(self, event: Event) -> None:
        """Take an event that is told.

        Raises:
            UserError: it cannot be written.
        """
        kind, data = event["type"], event["data"]
        if kind not in (ALERT_OPENED, ALERT_UPDATED, ALERT_CLOSED):
            return
        text, alert = json.dumps(data), data["alert"]
        try:
            with transaction(self._path) as database:
                if kind == ALERT_OPENED:
                    database.execute(
                        "INSERT INTO alerts (alert, stream, opened_at, opened, latest) "
                        "VALUES (?, ?, ?, ?, ?)",
                        (alert, data["stream"], event["time"], text, text),
                    )
                else:
                    closed_at = event["time"] if kind == ALERT_CLOSED else None
                    database.execute(
                        "UPDATE alerts SET latest = ?, closed_at = ? WHERE alert = ?",
                        (text, closed_at, alert),
                    )
        except sqlite3.Error as error:
            raise UserError(
                f"{self._path}: an alert cannot be written ({error}); free the disk, or end who "
                "holds the file, and run it again"
            ) from error

    def decide(self, alert: str, decision: str, who: str) -> bool:
        """Add a decision of somebody; whether there is such an alert."""
        assert decision in DECISIONS
        with transaction(self._path) as database:
            known = database.execute("SELECT 1 FROM alerts WHERE alert = ?", (alert,)).fetchone()
            if known:
                database.execute(
                    "INSERT INTO decisions (alert, decision, who, at) VALUES (?, ?, ?, ?)",
                    (alert, decision, who, now()),
                )
        return known is not None

    def latest(self, num: int) -> list[dict[str, Any]]:
        """All alerts that are open, and the latest others up to a number of all; the open first."""
        with transaction(self._path) as database:
            rows = database.execute(
                "SELECT alert, stream, opened_at, opened, latest, closed_at FROM alerts "
                "WHERE closed_at IS NULL OR number > (SELECT coalesce(max(number), 0) FROM alerts) "
                "- ? ORDER BY closed_at IS NOT NULL, number DESC",
                (num,),
            ).fetchall()
            decided = {
                alert: {"decision": decision, "who": who, "at": at}
                for alert, decision, who, at in database.execute(
                    "SELECT alert, decision, who, at FROM decisions ORDER BY number"
                )
            }
        return [
            {
                "alert": alert,
                "stream": stream,
                "opened_at": opened_at,
                "opened": json.loads(first),
                "latest": json.loads(latest),
                "closed_at": closed_at,
                "decided": decided.get(alert),
            }
            for alert, stream, opened_at, first, latest, closed_at in rows
        ]
