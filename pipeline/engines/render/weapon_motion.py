"""Motion of the wearer's weapon, tabulated at 1 kHz."""

from __future__ import annotations

import numpy as np

from pipeline.engines.render.curves import Vector, drift, ease
from pipeline.engines.render.motion import BodyMotion, rotations
from pipeline.engines.render.people.handling import Routine
from pipeline.engines.render.people.weapons import PISTOL, HeldWeapon

# Raised to the eye, a weapon is above what a camera on the chest sees of it; held low, the
# hands would cover the lens, so it goes to the hip.
_RAISED_BEFORE_CHEST_CAMERA = np.array((0, 0.04, -0.05))
_LOW_BESIDE_CHEST_CAMERA = np.array((0.2, 0.2, 0.93))


class WeaponMotion:
    """The wearer's weapon in the body's frame."""

    def __init__(
        self,
        rng: np.random.Generator,
        weapon: HeldWeapon,
        motion: BodyMotion,
        discharges_s: tuple[float, ...],
        held_up: bool,
        chest_camera: bool = False,
        routine: Routine | None = None,
    ) -> None:
        time, length = motion.time, len(motion.time)
        self._motion, self._weapon = motion, weapon
        self._routine = routine or Routine()
        raised = np.full(length, float(held_up))
        if discharges_s:
            raised = np.ones(length)
            if rng.random() < 0.5 and not chest_camera:
                lead = rng.uniform(0.45, 0.8)
                raised = ease(
                    time, discharges_s[0] - lead, discharges_s[0] - rng.uniform(0.08, 0.2)
                )
            if rng.random() < 0.4 and not chest_camera:
                end = discharges_s[-1]
                raised = raised * (1 - 0.8 * ease(time, end + 0.3, end + 0.75))
        low, high = np.array(weapon.low), np.array(weapon.raised)
        if chest_camera:
            low, high = _LOW_BESIDE_CHEST_CAMERA, high + _RAISED_BEFORE_CHEST_CAMERA
        sway = 0.006 * (1 + 2 * motion.stride)
        place = low + (high - low) * raised[:, None]
        place[:, 0] += sway * drift(rng, length, 1.5)
        place[:, 2] += sway * drift(rng, length, 1.8)
        kick, back = np.zeros(length), np.zeros(length)
        rise = np.radians(weapon.kick_deg) * rng.uniform(0.8, 1.25)
        for discharge in discharges_s:
            since = np.maximum(time - discharge, 0)
            pulse = np.minimum(since / 0.025, 1) * np.exp(-np.maximum(since - 0.025, 0) / 0.075)
            kick += rise * pulse
            back += 0.028 * pulse
        place[:, 1] -= back
        place[:, 2] += 0.22 * kick
        pitch = np.radians(weapon.lowered_pitch_deg) * (1 - raised) + kick
        self._place = place
        self._angles = np.stack(
            [
                pitch + np.radians(0.5) * drift(rng, length, 2.0),
                np.radians(0.5) * drift(rng, length, 2.0),
                np.radians(1.0) * drift(rng, length, 1.0),
            ]
        )

    def pose(self, time_s: float) -> tuple[Vector, Vector]:
        """Return axes (3, 3) and place (3,) in the body's frame."""
        handling = self._routine.at(time_s)
        angles = self._motion.sample(self._angles, [time_s])
        place = self._motion.sample(self._place.T, [time_s])[:, 0] + handling.place
        return rotations(*(angles + handling.angles[:, None]))[0], place

    def left_hand(self, time_s: float) -> Vector:
        """Return how far (3,) the left hand is from its grip, in the weapon's frame."""
        return self._routine.at(time_s).left_hand

    def in_world(self, time_s: float) -> tuple[Vector, Vector]:
        """Return axes (3, 3) and place (3,) in the world."""
        (turn,), (place,) = self._motion.body([time_s])
        axes, local = self.pose(time_s)
        return turn @ axes, place + turn @ local

    def muzzle(self, time_s: float) -> tuple[Vector, Vector]:
        """Return the muzzle's place and direction in the world."""
        axes, place = self.in_world(time_s)
        return place + axes @ np.array(self._weapon.muzzle), axes[:, 1]


def recoil_scale(rng: np.random.Generator, weapon: HeldWeapon) -> float:
    """Draw how strongly a weapon throws its holder."""
    return float((1.0 if weapon is PISTOL else 0.8) * rng.uniform(0.7, 1.3))
