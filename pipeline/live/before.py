"""Holds what is handed on of a stream that another process or machine watches from now on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OpenAlert:
    """An alert that is open: its id, when it opened, and what has come of it."""

    alert: str
    opened_s: float
    highest_level: float
    num_clips_above: int


@dataclass(frozen=True)
class Before:
    """A stream as it was when it was watched last.

    Attributes:
        at_s: the second of the stream at the end of its last clip.
        began_at: when its clock was at zero, in seconds since 1970; None where it has not begun.
        open: the alert that is open; None without one.
        highest: the highest level, and the second at which it was.
        num_alerts: that have opened.
        reason: why it is lost; empty while it is not.
    """

    at_s: float
    began_at: float | None
    open: OpenAlert | None
    highest: tuple[float, float]
    num_alerts: int
    reason: str = ""
