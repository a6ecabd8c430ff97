"""Events as CloudEvents 1.0 in JSON: what became of a stream, and of an alert."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

STREAM_STARTED, STREAM_LOST = "stream.started", "stream.lost"
STREAM_RECOVERED, STREAM_ENDED = "stream.recovered", "stream.ended"
ALERT_OPENED, ALERT_UPDATED, ALERT_CLOSED = "alert.opened", "alert.updated", "alert.closed"
MATCH_FOUND = "match.found"
LOAD_CHANGED = "load.changed"

Event = dict[str, Any]
Sink = Callable[[Event], None]


class Events:
    """Makes events and hands them on."""

    def __init__(self, sinks: Sequence[Sink], common: Mapping[str, Any] | None = None) -> None:
        """Hand every event to each of some sinks, in the order in which it is told.

        Args:
            sinks: that take them.
            common: what the data of every event holds too.
        """
        self._sinks, self._common = tuple(sinks), dict(common or {})

    def tell(self, kind: str, stream: str, data: Mapping[str, Any]) -> None:
        """Tell of a stream.

        Args:
            kind: one of the names above.
            stream: its id.
            data: JSON values; no sound, no pictures but protected ones, and no address.
        """
        about = {"source": f"/discern/streams/{quote(stream, safe='')}", "subject": stream}
        self._tell(kind, about, {"stream": stream, **data})

    def tell_of_all(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tell of all streams together."""
        self._tell(kind, {"source": "/discern"}, data)

    def _tell(self, kind: str, about: Mapping[str, str], data: Mapping[str, Any]) -> None:
        event = {
            "specversion": "1.0",
            "id": uuid.uuid4().hex,
            **about,
            "type": kind,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": {**data, **self._common},
        }
        for sink in self._sinks:
            sink(event)


def line(event: Event) -> str:
    """An event as a line of JSON.

    Halves of letters, which names of files and what a decoder says may hold, become question marks.
    """
    text = json.dumps(event, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace").decode()
