"""What a scene offers to the rest of the renderer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.bodycam.world.geometry import MeshBuilder
from pipeline.engines.bodycam.world.lighting import Lamp, LitWorld, Sky
from pipeline.engines.bodycam.world.textures import NUM_PALETTES, atlas

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """A scene before its light is baked.

    The wearer starts at `start` and faces +y, with `room_m` to walk ahead and `back_m` to come
    from behind. `targets` are aiming points on paper or steel, `places` where other people may
    stand, `shooting_places` from where they may fire; bullets stop at `backstop_y`. `bounce` is
    how much of a flash comes back from the walls.
    """

    kind: str
    light: str
    builder: MeshBuilder
    lamps: list[Lamp]
    sky: Sky
    start: tuple[float, float]
    targets: list[Vector]
    places: list[tuple[float, float]]
    shooting_places: list[tuple[float, float]]
    room_m: float
    back_m: float
    backstop_y: float
    dust: tuple[float, float, float]
    bounce: float

    @property
    def dark(self) -> bool:
        """Whether a weapon light would be switched on."""
        return self.light == "night"

    def bake(self, rng: np.random.Generator) -> LitWorld:
        """Build the mesh and its light, with one of the texture palettes."""
        palette = int(rng.integers(NUM_PALETTES))
        return LitWorld(self.builder.build(), self.lamps, self.sky, atlas(palette), rng)
