"""Tells whether a decision says anything new, since files of other tools may be imported again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.review.tasks import PAGE, Decision

_DIGITS = 4


def is_known(one: Decision, before: Sequence[Decision]) -> bool:
    """Return whether a decision is no new one.

    On the page somebody may go back to what they decided first. A file may be an old one, so that
    what it holds must be later than all that is known, by its own time where it tells one, and
    otherwise nothing that this person ever decided.

    Args:
        one: a decision; its time is empty where it does not tell one.
        before: those of the same person on the same task, the last one at the end.
    """
    told = [_told(other) for other in before]
    if told and told[-1] == _told(one):
        return True
    if one.by == PAGE:
        return False
    if one.at:
        return any(one.at <= other.at for other in before)
    return _told(one) in told


def _told(one: Decision) -> tuple[Any, ...]:
    """Return what is said, as a file may hold it."""
    times_s = tuple(round(time_s, _DIGITS) for time_s in one.discharges_s)
    return one.origin, one.discharge, times_s, " ".join(one.note.split())
