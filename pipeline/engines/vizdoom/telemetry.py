"""What the game reported on every tic, and the label that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from pipeline.engines.vizdoom.scene import (
    BULLET_SLOTS,
    FISTS,
    MOST_BULLETS,
    MOST_SHELLS,
    SHOTGUN,
    TIC_HZ,
)

TOLD, FRAMES = "told.npz", "frames.npy"
"""The files that the game is reported in."""

TRIGGER_TICS = 10
"""Longest wait between pulling the trigger and the discharge (the shotgun's, with margin)."""

PART_TICS = 20 * TIC_HZ
"""Parts of a recording of minutes that are each worth watching, or not."""

PUFF_TICS = TIC_HZ
"""Longest time that a puff is there, with margin."""

_MAX_BLOCKED_SHARE = 0.3
_MAX_BLOCKED_SHARE_OF_PART = 0.5
_MAX_DULL_SHARE = 1 / 6
_BLOCKED_DEPTH = 8.0
_MIN_BRIGHTNESS = 14.0
_MIN_RANGE = 32.0


class TicReading(NamedTuple):
    """What the game reports on one tic."""

    ammo: float
    """Ammunition that the selected weapon has."""
    slot: float
    """Number of the slot of the selected weapon."""
    trigger: float
    """1 where ATTACK was held during the tic before."""
    damage_taken: float
    """Damage that the player has taken so far."""
    num_projectiles: float
    """How many projectiles exist anywhere on the map."""
    num_puffs: float
    """How many puffs, which bullets and blows leave where they strike, exist anywhere."""
    reach: float
    """How far the view reaches along the horizon (0 near, 255 far)."""
    brightness: float
    """Mean of the picture (0 to 255)."""
    x: float
    """Where the player stands, in map units (about 32 to the metre)."""
    y: float


@dataclass(frozen=True)
class Telemetry:
    """What the game reported, as in `TicReading`: arrays of shape (N,), N the number of tics."""

    ammo: np.ndarray
    slot: np.ndarray
    trigger: np.ndarray
    damage_taken: np.ndarray
    num_projectiles: np.ndarray
    num_puffs: np.ndarray
    reach: np.ndarray
    brightness: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @classmethod
    def of(cls, tics: Sequence[TicReading]) -> Telemetry:
        """Telemetry of what was told of every tic, one after the other."""
        columns = np.array(tics, np.float64).reshape(len(tics), len(TicReading._fields)).T
        return cls(**dict(zip(TicReading._fields, columns, strict=True)))

    def between(self, start: int, stop: int) -> Telemetry:
        """What was told from one tic on and before another."""
        return Telemetry(*(getattr(self, field.name)[start:stop] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.ammo)


def discharge_tics(telemetry: Telemetry) -> np.ndarray:
    """Tics at which the player's own firearm was fired, int64 (D,).

    A discharge is a fall in the ammunition of a firearm that stayed selected, while the trigger
    was, or had just been, held. A super shotgun spends two shells in one discharge.
    """
    spent = np.diff(telemetry.ammo, prepend=telemetry.ammo[:1]) < 0
    kept = np.diff(telemetry.slot, prepend=telemetry.slot[:1]) == 0
    firearm = np.isin(telemetry.slot, BULLET_SLOTS)
    held = _recently(telemetry.trigger > 0, TRIGGER_TICS)
    return np.flatnonzero(spent & kept & firearm & held)


def problem(telemetry: Telemetry, num_tics: int) -> str | None:
    """Why the recording cannot be labelled or is not worth watching; None when it is sound.

    With no discharge of the player's own, it is a negative only if nobody else fired either.
    """
    if len(telemetry) < num_tics:
        return "ended_early"
    if _ammo_picked_up_while_firing(telemetry):
        return "ammo_picked_up_while_firing"
    if len(discharge_tics(telemetry)) == 0 and _somebody_attacked(telemetry):
        return "neither_positive_nor_negative"
    return _dullness(telemetry, _MAX_BLOCKED_SHARE)


def problem_of_long(telemetry: Telemetry, num_tics: int) -> str | None:
    """`problem` of a recording of minutes, every part of which has a label of its own.

    Parts without a discharge are negatives, so nobody else may have fired in any of them: bullets
    leave puffs, of which there may be none but those of the player's own discharges and blows. What
    is no firearm, such as a fireball, a rocket or a barrel, leaves the label as it is. Of parts of
    `PART_TICS`, one of six may be dull.
    """
    if len(telemetry) < num_tics:
        return "ended_early"
    if _ammo_picked_up_while_firing(telemetry):
        return "ammo_picked_up_while_firing"
    own = (telemetry.trigger > 0) & (telemetry.slot == FISTS)
    own[discharge_tics(telemetry)] = True
    if np.any((telemetry.num_puffs > 0) & ~_recently(own, PUFF_TICS)):
        return "somebody_else_fired"
    starts = range(0, max(1, num_tics - PART_TICS // 2), PART_TICS)
    parts = (telemetry.between(start, start + PART_TICS) for start in starts)
    dull = [reason for part in parts if (reason := _dullness(part, _MAX_BLOCKED_SHARE_OF_PART))]
    return dull[0] if len(dull) > len(starts) * _MAX_DULL_SHARE else None


def _ammo_picked_up_while_firing(telemetry: Telemetry) -> bool:
    """Whether ammunition was picked up in a way that may hide a discharge in the same tic.

    Bullets are picked up by fives and shells by fours, and a discharge spends one or two. So what
    is gained is divided by these only where nothing was spent, unless there was no room for more.
    """
    gained = np.diff(telemetry.ammo, prepend=telemetry.ammo[:1])
    kept = np.diff(telemetry.slot, prepend=telemetry.slot[:1]) == 0
    held = _recently(telemetry.trigger > 0, TRIGGER_TICS)
    firing = kept & held & np.isin(telemetry.slot, BULLET_SLOTS)
    with_shells = telemetry.slot == SHOTGUN
    odd = gained % np.where(with_shells, 4, 5) != 0
    full = np.isin(telemetry.ammo, np.multiply.outer((1, 2), (MOST_BULLETS, MOST_SHELLS)))
    return bool(np.any((gained > 0) & firing & (odd | full)))


def _dullness(telemetry: Telemetry, max_blocked_share: float) -> str | None:
    """Why a recording, or a part of one, is not worth watching."""
    if np.mean(telemetry.reach < _BLOCKED_DEPTH) > max_blocked_share:
        return "faces_a_wall"
    if np.mean(telemetry.brightness) < _MIN_BRIGHTNESS:
        return "too_dark"
    if np.hypot(np.ptp(telemetry.x), np.ptp(telemetry.y)) < _MIN_RANGE:
        return "stands_still"
    return None


def _recently(happens: np.ndarray, num_tics: int) -> np.ndarray:
    """Where something, bool (N,), happens or did so within a number of tics."""
    near = np.convolve(happens, np.ones(num_tics))
    return np.asarray(near[: len(happens)] > 0)


def _somebody_attacked(telemetry: Telemetry) -> bool:
    hurt = telemetry.damage_taken[-1] > telemetry.damage_taken[0]
    thrown = telemetry.num_projectiles.any() or telemetry.num_puffs.any()
    return bool(telemetry.trigger.any() or thrown or hurt)
