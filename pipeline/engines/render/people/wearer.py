"""The wearer's own arms and weapon, in the frame of the wearer's body."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.kernels import SurfaceArrays
from pipeline.engines.render.people.actors import hold
from pipeline.engines.render.people.humanoid import Build, body
from pipeline.engines.render.people.skeleton import Posture, Turns, pose
from pipeline.engines.render.people.surface import Moved, MovingSurface, cube_light, move_rigid
from pipeline.engines.render.people.wardrobe import dress
from pipeline.engines.render.people.weapons import HeldWeapon, weapon_mesh
from pipeline.engines.render.world.embree import Accelerator
from pipeline.engines.render.world.geometry import rotation, unit

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

_RESOLUTION_M = 0.015


class WearerArms:
    """Arms that hold a weapon, or swing empty when `weapon` is None."""

    def __init__(self, rng: np.random.Generator, weapon: HeldWeapon | None, cube: Array) -> None:
        self._weapon, self._cube = weapon, cube
        self._body = body(
            Build(
                gloves=bool(rng.random() < 0.35),
                fists=True,
                arms_only=True,
                resolution_m=_RESOLUTION_M,
            )
        )
        parts = [dress(rng, self._body, uniform=True)]
        if weapon is not None:
            parts.append(weapon_mesh(weapon.name))
        self._parts = parts
        self._surface = MovingSurface(parts)

    def holding(
        self, turn: Vector, place: Vector, heading: Vector, left_hand: Vector | None = None
    ) -> tuple[SurfaceArrays, Accelerator]:
        """Return the surface with the weapon at `place`; `heading` turns the body to the world.

        `left_hand` (3,) moves that hand from its grip, in the weapon's frame.
        """
        assert self._weapon is not None
        posture = pose({})
        hold(posture, self._weapon, turn, place, left_hand)
        cube = self._local_cube(heading)
        return self._surface.place(
            [self._skinned(posture, cube), move_rigid(self._parts[1], turn, place, cube)]
        )

    def swinging(
        self, phase: float, amplitude: float, heading: Vector
    ) -> tuple[SurfaceArrays, Accelerator]:
        """Return the surface with empty arms at a stride phase; amplitude 0 hangs still."""
        turns: Turns = {}
        for side, x in (("L", -1.0), ("R", 1.0)):
            swing = amplitude * np.sin(phase + (np.pi if x > 0 else 0))
            turns[f"shoulder{side}"] = rotation(0.3 + 0.25 * swing, -0.25 * x) @ rotation(
                roll=1.3 * x
            )
            turns[f"elbow{side}"] = rotation(yaw=x * (0.8 + 0.35 * swing))
        return self._surface.place([self._skinned(pose(turns), self._local_cube(heading))])

    def _skinned(self, posture: Posture, cube: Array) -> Moved:
        vertices, normals = posture.skin(self._body)
        normals = unit(normals)
        return Moved(vertices, normals, cube_light(normals, cube) * np.float32(0.8))

    def _local_cube(self, heading: Vector) -> Array:
        axes = np.concatenate([heading.T, -heading.T]).astype(np.float32)
        return cube_light(axes, self._cube)
