"""Tells by how streams began and ended whether anything was to be watched at all."""

from __future__ import annotations

from pipeline.errors import UserError
from pipeline.live.events import STREAM_ENDED, STREAM_STARTED, Event

# Ends of streams that need not have shown a clip: what is black all over shows none.
_GOOD = ("end", "repeats", "stopped")
_NUM_TOLD = 3


class Endings:
    """Takes the events of a watch, and says whether none of its streams could be watched."""

    def __init__(self) -> None:
        self._begun: set[str] = set()
        self._num_good = self._num_bad = 0
        self._told: list[str] = []

    def take(self, event: Event) -> None:
        """Take an event that is told."""
        data = event["data"]
        if event["type"] == STREAM_STARTED:
            self._begun.add(data["stream"])
        elif event["type"] == STREAM_ENDED:
            has_begun = data["stream"] in self._begun
            self._begun.discard(data["stream"])
            if has_begun or data["reason"] in _GOOD:
                self._num_good += 1
                return
            self._num_bad += 1
            if len(self._told) < _NUM_TOLD:
                detail = f" ({data['detail']})" if data["detail"] else ""
                self._told.append(f"{data['stream']}: {data['reason']}{detail}")

    def check(self) -> None:
        """Check that a stream was watched, or that none was there to be.

        Raises:
            UserError: none of those that there were could be.
        """
        if self._num_bad and not self._num_good:
            more = self._num_bad - len(self._told)
            told = "; ".join([*self._told, *([f"and {more} more"] if more else [])])
            raise UserError(
                f"nothing could be watched: {told}; docs/live.md says what each reason means"
            )
