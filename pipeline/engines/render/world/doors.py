"""A door in a wall, whose leaf may swing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.world.geometry import Material, Mesh, MeshBuilder

Vector = NDArray[np.float64]

_THICKNESS_M = 0.04
_BEFORE_WALL_M = 0.006


@dataclass(frozen=True)
class Door:
    """A leaf hung at `hinge` (x, y); shut, it spans `width` along the unit vector `along`.

    It opens towards the unit vector `into`, away from its wall.
    """

    hinge: tuple[float, float]
    along: tuple[float, float]
    into: tuple[float, float]
    tint: tuple[float, float, float]
    width: float = 0.9
    height: float = 2.05

    def add_frame(self, builder: MeshBuilder) -> None:
        """Add the frame and the darkness behind the leaf to a scene."""
        along, into = np.array((*self.along, 0)), np.array((*self.into, 0))
        foot, up = np.array((*self.hinge, 0)) + _BEFORE_WALL_M * into, np.array((0, 0, self.height))
        across = self.width * along
        facing = np.cross(across, up) @ into
        corner, span = (foot, across) if facing > 0 else (foot + across, -across)
        builder.sheet(corner, span, up, Material("paint", (0.03, 0.03, 0.035)), 0.5)
        frame = Material("paint", np.array(self.tint) * 0.6 + 0.15)
        yaw = float(np.arctan2(along[1], along[0]))
        for share in (-0.03, 1.03):
            post = foot + share * across + up / 2
            builder.box(post, (0.04, 0.05, self.height / 2), frame, yaw)
        builder.box(foot + across / 2 + up, (self.width * 0.55, 0.05, 0.04), frame, yaw)

    def leaf(self) -> Mesh:
        """Return the leaf in its own frame: x along it from the hinge, z up."""
        builder = MeshBuilder(tessellation=0.5)
        half = (self.width / 2, _THICKNESS_M / 2, self.height / 2)
        builder.box((half[0], 0, half[2]), half, Material("door", self.tint, gloss=0.05, fit=True))
        return builder.build()

    def pose(self, angle: float) -> tuple[Vector, Vector]:
        """Return the leaf's axes (3, 3) and place (3,), opened by `angle` radians."""
        along, into = np.array((*self.along, 0.0)), np.array((*self.into, 0.0))
        out, up = np.cos(angle) * along + np.sin(angle) * into, np.array((0.0, 0.0, 1.0))
        place = np.array((*self.hinge, 0.0)) + (_THICKNESS_M / 2 + _BEFORE_WALL_M) * into
        return np.stack([out, np.cross(up, out), up], 1), place

    def shut(self, builder: MeshBuilder) -> None:
        """Add the closed leaf to a scene."""
        turn, place = self.pose(0.0)
        half = (self.width / 2, _THICKNESS_M / 2, self.height / 2)
        material = Material("door", self.tint, gloss=0.05, fit=True)
        builder.box(place + turn @ (half[0], 0, half[2]), half, material, turn)
