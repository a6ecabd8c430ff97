"""Measures how far the sound of a stream has fallen behind its pictures, by its camera's stamps.

A camera sends what it sees and what it hears at one moment side by side, each with a time of its
own. These two may lie apart, but always as far; where the distance changes, its two clocks part,
and sound is given to pictures that it does not belong to.
"""

from __future__ import annotations

from statistics import median

_WINDOW_S = 5.0
# Begun streams come in bursts.
_UNSETTLED_S = 5.0
_MOST_HELD = 4096


class Skew:
    """Compares medians of some seconds each with that of the first such seconds."""

    def __init__(self) -> None:
        """Begin with a stream of which nothing has come."""
        self._held: list[float] = []
        self._since_s: float | None = None
        self._usual_s: float | None = None
        self._last_sound_s: float | None = None
        self.late_s: float | None = None
        """By how much the sound lies further behind than at first; None until that is known."""

    def push(self, picture_s: float, sound_s: float) -> None:
        """Take the stamps of the latest picture and of the latest sound at one place of the bytes.

        Args:
            picture_s: of the picture, which has just come.
            sound_s: of the sound that came before it.
        """
        before_s, self._last_sound_s = self._last_sound_s, sound_s
        if before_s is None or sound_s == before_s:
            # A pause of the sound is no drift.
            return
        if self._since_s is None:
            self._since_s = picture_s + _UNSETTLED_S
        if picture_s < self._since_s:
            return
        self._held.append(picture_s - sound_s)
        if picture_s - self._since_s < _WINDOW_S and len(self._held) < _MOST_HELD:
            return
        now_s = median(self._held)
        self._held, self._since_s = [], picture_s
        if self._usual_s is None:
            self._usual_s = now_s
        self.late_s = now_s - self._usual_s
