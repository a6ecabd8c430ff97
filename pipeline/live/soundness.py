"""Tells by its clips whether a stream that had sound still has, beside its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.live.events import SOUND_DRIFTED, SOUND_LOST, SOUND_RECOVERED
from pipeline.live.messages import StreamClip
from pipeline.store.manifest import INCOMPLETE, PRESENT

LATE = "late"
"""Sound that lies so far behind its pictures that these were answered without it."""
DRIFTED_S = 0.25
"""How far sound and pictures part before that is told, and told anew."""
_HEARD = (PRESENT, INCOMPLETE)


class Soundness:
    """Tells when the sound of a stream has gone, and when it is back."""

    def __init__(self, after_s: float) -> None:
        """Begin with a stream of which nobody knows whether it has sound.

        Args:
            after_s: how long there must be none before that is told.
        """
        self._after_s = after_s
        self._heard_s: float | None = None
        """Until when there was sound, in seconds of the stream; None where there never was."""
        self._since_s: float | None = None
        """When the first clip without sound began; None while there is sound."""
        self._is_lost = False
        self._told_s = 0.0
        """By how much the sound has drifted, as was last told."""

    def take(
        self, clip: StreamClip, begin_s: float, end_s: float
    ) -> tuple[str, Mapping[str, Any]] | None:
        """Take the next clip; returns the event that it makes, and its data."""
        if clip.presence in _HEARD:
            was_lost, until_s = self._is_lost, self._heard_s
            self._heard_s, self._since_s, self._is_lost = end_s, None, False
            if not was_lost or until_s is None:
                return self._drifted(clip.drift_s, end_s)
            lost_s = round(max(0.0, begin_s - until_s), 3)
            return SOUND_RECOVERED, {"at_s": round(begin_s, 3), "lost_s": lost_s}
        self._since_s = begin_s if self._since_s is None else self._since_s
        if self._heard_s is None or self._is_lost or end_s - self._since_s < self._after_s:
            return None
        self._is_lost = True
        reason = LATE if clip.sound_is_late else clip.presence
        return SOUND_LOST, {"at_s": round(self._heard_s, 3), "reason": reason}

    def _drifted(self, drift_s: float | None, at_s: float) -> tuple[str, Mapping[str, Any]] | None:
        # After a reconnect nobody knows how far they had parted.
        self._told_s = self._told_s if drift_s is not None else 0.0
        if drift_s is None or abs(drift_s - self._told_s) < DRIFTED_S:
            return None
        self._told_s = drift_s
        return SOUND_DRIFTED, {"at_s": round(at_s, 3), "late_s": round(drift_s, 3)}
