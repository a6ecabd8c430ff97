"""Events as CloudEvents 1.0 in JSON: what became of a stream, and of an alert."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote

STREAM = "stream."
"""What the types of turns in the life of a stream begin with."""
STREAM_STARTED, STREAM_LOST = "stream.started", "stream.lost"
STREAM_RECOVERED, STREAM_ENDED = "stream.recovered", "stream.ended"
ALERT_OPENED, ALERT_UPDATED, ALERT_CLOSED = "alert.opened", "alert.updated", "alert.closed"
SOUND_LOST, SOUND_RECOVERED = "sound.lost", "sound.recovered"
SOUND_DRIFTED = "sound.drifted"
MATCH_FOUND = "match.found"
LOAD_CHANGED = "load.changed"

Event = dict[str, Any]
Sink = Callable[[Event], None]

log = logging.getLogger(__name__)

# What of an event's data is said to people.
_SAID = ("at_s", "late_s", "level", "score", "reason", "bank", "item", "highest_level", "threshold")
_SAID_OF_ALL = ("answered_share", "num_left_out", "num_streams", "waits_s", "behind_s")


class Teller(Protocol):
    """Is told of streams, as `EventSender` is."""

    def tell(self, kind: str, stream: str, data: Mapping[str, Any]) -> None:
        """Tell of a stream."""

    def tell_of_all(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tell of all streams together."""


def now() -> str:
    """The time in UTC, as CloudEvents have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class EventSender:
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
        log.info("watch: %s: %s%s", stream, kind, _in_brackets(data, _SAID))

    def tell_of_all(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tell of all streams together."""
        self._tell(kind, {"source": "/discern"}, data)
        log.warning("watch: %s%s", kind, _in_brackets(data, _SAID_OF_ALL))

    def _tell(self, kind: str, about: Mapping[str, str], data: Mapping[str, Any]) -> None:
        event = {
            "specversion": "1.0",
            "id": uuid.uuid4().hex,
            **about,
            "type": kind,
            "time": now(),
            "datacontenttype": "application/json",
            "data": {**data, **self._common},
        }
        for sink in self._sinks:
            sink(event)


def _in_brackets(data: Mapping[str, Any], names: Sequence[str]) -> str:
    said = ", ".join(f"{name} {data[name]}" for name in names if name in data)
    return f" ({said})" if said else ""


def line(event: Event) -> str:
    """An event as a line of JSON.

    Halves of letters, which names of files and what a decoder says may hold, become question marks.
    """
    text = json.dumps(event, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace").decode()
