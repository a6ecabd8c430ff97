"""Handling a weapon without firing it: drawing, racking, dry clicks, changing the magazine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_LOWERED_PLACE = np.array((0.1, -0.16, -0.36))
_LOWERED_ANGLES = np.array((-0.7, -0.15, 0.0))
_SLIDE = np.array((0.05, 0.07, 0.12))
_RACK_M = 0.055
_BELT = np.array((-0.03, -0.2, -0.36))
_PAUSE_S = 0.12, 0.4
_MIDDLE_MOVES = ("rack", "dry_fire", "dry_fire", "magazine")


@dataclass(frozen=True)
class Handling:
    """What handling adds to a held weapon's pose in the body's frame, each (3,).

    `place` in metres, `angles` pitch, yaw and roll in radians; `left_hand` in metres moves the
    left hand in the weapon's frame.
    """

    place: Vector
    angles: Vector
    left_hand: Vector


@dataclass(frozen=True)
class Move:
    """One movement: draw, holster, rack, dry_fire or magazine."""

    kind: str
    start_s: float
    duration_s: float
    strength: float

    def at(self, time_s: float) -> Handling:
        """Return what it adds at a time; before a draw and after a holster the weapon is low."""
        share = float(np.clip((time_s - self.start_s) / self.duration_s, 0, 1))
        eased = share * share * (3 - 2 * share)
        if self.kind == "draw":
            return _lowered(1 - eased)
        if self.kind == "holster":
            return _lowered(eased)
        nothing = np.zeros(3)
        if not 0 < share < 1:
            return Handling(nothing, nothing, nothing)
        away = np.sin(np.pi * share) ** 0.7
        if self.kind == "dry_fire":
            dip = np.exp(-(((share - 0.5) / 0.15) ** 2)) * self.strength
            return Handling(nothing, dip * np.array((-0.012, 0.01, 0.006)), nothing)
        if self.kind == "rack":
            pull = _RACK_M * np.interp(share, (0, 0.45, 0.62, 0.68, 1), (0, 0, 1, 0, 0))
            jerk = 0.05 * np.exp(-(((share - 0.68) / 0.05) ** 2)) * self.strength
            angles = away * np.array((0.1, 0.12, -0.25)) - np.array((jerk, 0, 0))
            hand = away * _SLIDE - np.array((0, pull, 0))
            return Handling(away * np.array((-0.02, -0.08, 0.0)), angles * self.strength, hand)
        fetch = np.interp(share, (0, 0.15, 0.4, 0.55, 0.75, 0.82, 1), (0, 0.1, 1, 1, 0.12, 0, 0))
        bump = 0.012 * np.exp(-(((share - 0.8) / 0.03) ** 2))
        place = away * np.array((0.02, -0.1, -0.04)) + np.array((0, 0, bump))
        return Handling(place, away * self.strength * np.array((0.3, 0.25, -0.5)), fetch * _BELT)


def _lowered(share: float) -> Handling:
    return Handling(share * _LOWERED_PLACE, share * _LOWERED_ANGLES, np.zeros(3))


@dataclass(frozen=True)
class Routine:
    """Movements one after the other."""

    moves: tuple[Move, ...] = ()

    def at(self, time_s: float) -> Handling:
        """Return the sum of all movements at a time."""
        parts = [move.at(time_s) for move in self.moves]
        nothing = np.zeros(3)
        return Handling(
            sum((part.place for part in parts), nothing),
            sum((part.angles for part in parts), nothing),
            sum((part.left_hand for part in parts), nothing),
        )


def draw_routine(rng: np.random.Generator, duration_s: float) -> Routine:
    """Draw two to six movements that fit into a recording."""
    kinds = ["draw"] if rng.random() < 0.45 else []
    kinds += [_MIDDLE_MOVES[k] for k in rng.integers(0, len(_MIDDLE_MOVES), rng.integers(2, 6))]
    if rng.random() < 0.4:
        kinds.append("holster")
    lengths = {
        "draw": (0.3, 0.6),
        "holster": (0.5, 0.9),
        "rack": (0.55, 0.9),
        "dry_fire": (0.15, 0.3),
        "magazine": (1.2, 2.0),
    }
    moves, time_s = [], rng.uniform(0.02, 0.14) * duration_s
    for kind in kinds:
        length = rng.uniform(*lengths[kind])
        if time_s + length > duration_s:
            break
        moves.append(Move(kind, time_s, length, rng.uniform(0.7, 1.3)))
        time_s += length + rng.uniform(*_PAUSE_S)
    return Routine(tuple(moves))
