"""Where somebody looks who has minutes: some seconds here, a turn, some seconds there."""

from __future__ import annotations

import numpy as np

from pipeline.engines.render.motion import Turn

_HOLDS_S = 3.0, 14.0
_SPEEDS_RAD_S = 1.2, 2.2
_SHORTEST_TURN_S = 0.7
LONGEST_TURN_S = np.pi / _SPEEDS_RAD_S[0]
"""For half a turn round, the widest that is ever needed."""


class Gaze:
    """Collects turns, one after the other, from a first heading in radians on."""

    def __init__(self, rng: np.random.Generator, heading: float, spread_rad: float) -> None:
        """Begin at a heading; turns that nobody asks for are normal, `spread_rad` wide."""
        self._rng, self._spread_rad = rng, spread_rad
        self.heading, self.time_s = heading, 0.0
        self.turns: list[Turn] = []

    def turn_s(self, angle: float) -> float:
        """Draw how long a turn by an angle in radians takes."""
        return float(max(_SHORTEST_TURN_S, abs(angle) / self._rng.uniform(*_SPEEDS_RAD_S)))

    def turn_to(self, heading: float, start_s: float, lasts_s: float) -> None:
        """Turn the shorter way, not before the turn before is over."""
        assert start_s >= self.time_s
        angle = shorter(heading - self.heading)
        self.turns.append(Turn(start_s, start_s + lasts_s, angle))
        self.heading, self.time_s = self.heading + angle, start_s + lasts_s

    def around(self, until_s: float, home: float | None = None) -> None:
        """Look around, with the last turn over in time; near `home` if there is one."""
        while True:
            start_s = self.time_s + float(self._rng.uniform(*_HOLDS_S))
            middle = self.heading if home is None else home
            heading = middle + float(self._rng.normal(0, self._spread_rad))
            lasts_s = self.turn_s(shorter(heading - self.heading))
            if start_s + lasts_s > until_s:
                return
            self.turn_to(heading, start_s, lasts_s)


def shorter(angle: float) -> float:
    """Return the same direction as an angle within half a turn, in radians."""
    return float((angle + np.pi) % (2 * np.pi) - np.pi)
