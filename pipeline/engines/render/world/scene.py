"""What a scene offers to the rest of the renderer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.world.backdrop import Backdrop
from pipeline.engines.render.world.doors import Door
from pipeline.engines.render.world.geometry import MeshBuilder
from pipeline.engines.render.world.lighting import Lamp, LitWorld, Sky
from pipeline.engines.render.world.textures import NUM_PALETTES, atlas

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class ScenePlan:
    """A scene before its light is baked.

    The wearer starts at `start` and faces +y, with `room_m` to walk ahead and `back_m` to come
    from behind. `targets` are aiming points on paper or steel, `places` where other people may
    stand, `shooting_places` from where they may fire; bullets stop at `backstop_y`. `bounce` is
    how much of a flash comes back from the walls. `shelters` are places behind something that
    covers a person who crouches. A `backdrop`, whose mesh is then the builder's
    first part, is a photograph of all else.
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
    door: Door | None = None
    shelters: list[tuple[float, float]] = field(default_factory=list)
    backdrop: Backdrop | None = None

    @property
    def dark(self) -> bool:
        """Whether a weapon light would be switched on."""
        return self.light == "night"

    @property
    def seated(self) -> bool:
        """Whether the wearer has no room to move."""
        return self.room_m == 0 and self.back_m == 0

    @property
    def outdoors(self) -> bool:
        """Whether there is a sky overhead."""
        return bool(self.sky.radiance.any())

    @property
    def switchable(self) -> bool:
        """Whether a switch darkens it: lit by nothing but lamps."""
        return not self.outdoors and self.light != "day"

    def shut(self) -> ScenePlan:
        """Close the door for good, where there is one."""
        if self.door is None:
            return self
        self.door.shut(self.builder)
        return replace(self, door=None)

    def bake(self, rng: np.random.Generator) -> LitWorld:
        """Build the mesh and its light, with one of the texture palettes."""
        palette = int(rng.integers(NUM_PALETTES))
        mesh, looks = self.builder.build(), atlas(palette)
        return LitWorld(mesh, self.lamps, self.sky, looks, rng, self.backdrop)
