"""What the game reported on every tic, and the label that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from pipeline.engines.vizdoom.scene import BULLET_SLOTS

TRIGGER_TICS = 10
"""Longest wait between pulling the trigger and the discharge (the shotgun's, with margin)."""

_MAX_BLOCKED_SHARE = 0.3
_BLOCKED_DEPTH = 8.0
_MIN_BRIGHTNESS = 14.0
_MIN_RANGE = 32.0


class Told(NamedTuple):
    """What the game reports on one tic."""

    ammo: float
    """Of the selected weapon."""
    slot: float
    """Of the selected weapon."""
    trigger: float
    """1 where ATTACK was held during the tic before."""
    damage_taken: float
    """The running total."""
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
    """What the game reported, as `Told` has it: arrays of shape (N,), N the number of tics."""

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
    def of(cls, tics: Sequence[Told]) -> Telemetry:
        """Of every tic."""
        columns = np.array(tics, np.float64).reshape(len(tics), len(Told._fields)).T
        return cls(**dict(zip(Told._fields, columns, strict=True)))

    def until(self, tic: int) -> Telemetry:
        """What was told before a tic."""
        return Telemetry(*(getattr(self, field.name)[:tic] for field in fields(self)))

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
    return np.flatnonzero(spent & kept & firearm & _trigger_recently_held(telemetry))


def problem(telemetry: Telemetry, num_tics: int) -> str | None:
    """Why the recording cannot be labelled or is not worth watching; None when it is sound.

    With no discharge of the player's own, it is a negative only if nobody else fired either.
    """
    if len(telemetry) < num_tics:
        return "ended_early"
    refilled = np.diff(telemetry.ammo, prepend=telemetry.ammo[:1]) > 0
    kept = np.diff(telemetry.slot, prepend=telemetry.slot[:1]) == 0
    if np.any(refilled & kept & _trigger_recently_held(telemetry)):
        return "ammo_picked_up_while_firing"
    if len(discharge_tics(telemetry)) == 0 and _somebody_attacked(telemetry):
        return "neither_positive_nor_negative"
    if np.mean(telemetry.reach < _BLOCKED_DEPTH) > _MAX_BLOCKED_SHARE:
        return "faces_a_wall"
    if np.mean(telemetry.brightness) < _MIN_BRIGHTNESS:
        return "too_dark"
    if np.hypot(np.ptp(telemetry.x), np.ptp(telemetry.y)) < _MIN_RANGE:
        return "stands_still"
    return None


def _trigger_recently_held(telemetry: Telemetry) -> np.ndarray:
    held = np.convolve(telemetry.trigger, np.ones(TRIGGER_TICS))
    return held[: len(telemetry)] > 0


def _somebody_attacked(telemetry: Telemetry) -> bool:
    hurt = telemetry.damage_taken[-1] > telemetry.damage_taken[0]
    thrown = telemetry.num_projectiles.any() or telemetry.num_puffs.any()
    return bool(telemetry.trigger.any() or thrown or hurt)
