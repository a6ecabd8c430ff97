"""Tells why a session with a stream is over, by what its processes say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.live.fetcher import Fetch, SessionEnd
from pipeline.live.messages import DecoderEnd
from pipeline.live.session import Session

AT_ONCE = ("clock", "discontinuity", "too_long", "behind", "tracks")
"""Reasons after which another try at once may go on."""


@dataclass(frozen=True)
class Patience:
    """Tells how long is waited.

    Attributes:
        timeout_s: for the next clip, and for the first one of a session.
        end_after_s: for a picture of a stream that is lost, after which it has ended.
        most_behind_s: for what was fetched to be decoded, after which all of it is dropped; None
            for as long as it takes.
    """

    timeout_s: float
    end_after_s: float
    most_behind_s: float | None = None


def ended(message: DecoderEnd, session: Session, source: Path | Fetch) -> SessionEnd:
    """Return what the last message of a decoder means for a session with a source."""
    detail = message.detail
    if isinstance(source, Path):
        # Where a file lies on this machine is nobody's business.
        detail = detail.replace(str(source), source.name)
        return SessionEnd(message.reason, detail, is_final=True)
    if message.reason in AT_ONCE:
        return SessionEnd(message.reason, detail)
    found = session.report()
    if found is None:
        # It fetches still what nobody can decode, or is gone.
        is_over = message.reason == "end"
        return SessionEnd("fetcher_died") if is_over else SessionEnd(message.reason, detail)
    # What a server refuses cannot be decoded; what it gives to the end may not be a video.
    is_explained = message.reason == "end" or found.reason != "end"
    return found if is_explained else replace(found, reason=message.reason, detail=detail)
