"""The wearer of a script's camera, seen from outside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.people.actors import Actor, Role
from pipeline.engines.render.script import Script
from pipeline.engines.render.world.geometry import rotation

Vector = NDArray[np.float64]

_LOW_ANGLES, _LOW_PLACE = np.array((-0.65, 0.1, 0.0)), np.array((0.0, -0.12, -0.3))
_WALK, _RUN = 0.3, 1.8


class Hero(Actor):
    """The wearer of a script's camera as one of the people in the picture."""

    def __init__(self, rng: np.random.Generator, script: Script) -> None:
        super().__init__(rng, _role(script), script.world)
        self._script = script
        self._lowered = script.weapon is not None and not script.weapon_raised

    def weapon_pose(self, time_s: float) -> tuple[Vector, Vector]:
        """Return axes (3, 3) and position of the weapon: aimed, held low or being handled."""
        turn, place = super().weapon_pose(time_s)
        handling = self._script.handling_at(time_s)
        pitch, yaw, roll = handling.angles + self._lowered * _LOW_ANGLES
        facing = rotation(yaw=self.role.yaw)
        moved = place + facing @ (handling.place + self._lowered * _LOW_PLACE)
        return facing @ rotation(pitch=pitch, roll=roll, yaw=yaw) @ facing.T @ turn, moved


def _role(script: Script) -> Role:
    """Return what the wearer does, as somebody else would see it."""
    movement, heading = script.movement, script.movement.heading
    stop_s = script.duration_s if movement.stop_s is None else movement.stop_s
    walked = movement.speed * min(stop_s, script.duration_s)
    if script.weapon is not None:
        x, y = movement.start
        place = (x - np.sin(heading) * walked, y + np.cos(heading) * walked)
        times = script.own_discharges_s
        return Role("aim", place, heading, script.weapon, times, duck_s=movement.duck_s)
    speed = walked / script.duration_s
    if speed > _WALK:
        return Role("run" if speed > _RUN else "walk", movement.start, heading, speed=speed)
    activity = {"talk": "talk", "cover": "cover"}.get(script.action, "idle")
    return Role(activity, movement.start, heading, duck_s=movement.duck_s)
