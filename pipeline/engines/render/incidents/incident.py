"""An incident, and the setting that one is drawn for."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.engines.render.appearance.effects import Puff
from pipeline.engines.render.appearance.lights import Light, Sparks
from pipeline.engines.render.motion import Movement
from pipeline.engines.render.people.actors import Role, SwingingDoor
from pipeline.engines.render.people.handling import Routine
from pipeline.engines.render.world.lighting import LitWorld
from pipeline.engines.render.world.scene import ScenePlan

Vector = NDArray[np.float64]

_EYE_M = 1.4


@dataclass(frozen=True)
class Blank:
    """Frames that a glitch replaces by one grey, from the one shown at `start_s` on."""

    start_s: float
    num_frames: int
    level: int


@dataclass(frozen=True)
class Switching:
    """The scene's own lamps, switched: `levels` hold from `times_s` on; full light before."""

    times_s: tuple[float, ...]
    levels: tuple[float, ...]

    def at(self, times_s: ArrayLike) -> Vector:
        """Return the factor on the lamps' light at (N,) times."""
        place = np.searchsorted(np.asarray(self.times_s), np.atleast_1d(times_s), side="right")
        return np.asarray(np.array((1.0, *self.levels))[place])

    def undone_at(self, time_s: float) -> Switching:
        """Return the same until a time, and full light from then on."""
        count = int(np.searchsorted(self.times_s, time_s))
        return Switching((*self.times_s[:count], time_s), (*self.levels[:count], 1.0))


@dataclass(frozen=True)
class Noise:
    """What an incident sounds like."""

    kind: str
    """A name of `acoustics.sources.KINDS`."""
    time_s: float
    place: Vector | None = None
    """In the world, (3,); None where the wearer's weapon is."""
    gain_db: float = 0.0
    duration_s: float = 0.0
    """How long it is heard, of kinds that last."""


@dataclass(frozen=True)
class Incident:
    """One such event, with what it adds to a recording."""

    kind: str
    start_s: float
    lights: tuple[Light, ...] = ()
    sparks: tuple[Sparks, ...] = ()
    puffs: tuple[Puff, ...] = ()
    people: tuple[Role, ...] = ()
    door: SwingingDoor | None = None
    routine: Routine = field(default_factory=Routine)
    blanks: tuple[Blank, ...] = ()
    switching: Switching | None = None
    startles_s: tuple[float, ...] = ()
    noises: tuple[Noise, ...] = ()


@dataclass(frozen=True)
class Setting:
    """Where incidents are drawn: a lit scene, its wearer, and whether anybody is armed."""

    plan: ScenePlan
    world: LitWorld
    movement: Movement
    armed: bool
    duration_s: float

    @property
    def eye(self) -> Vector:
        """Return where the wearer looks from at first."""
        return np.array((*self.movement.start, _EYE_M))

    def sees(self, point: Vector) -> bool:
        """Tell whether nothing stands between the wearer and a point."""
        offset = point - self.eye
        length = float(np.linalg.norm(offset))
        blocked = self.world.accelerator.occluded(
            self.eye[None].astype(np.float32),
            (offset / length)[None].astype(np.float32),
            np.array([length * 0.97], np.float32),
        )
        return not bool(blocked[0])

    def ahead(self, distance: float, aside: float, height: float) -> Vector:
        """Return a point ahead of the wearer and to the right."""
        yaw = self.movement.heading
        forward, right = np.array((-np.sin(yaw), np.cos(yaw))), np.array((np.cos(yaw), np.sin(yaw)))
        place = np.array(self.movement.start) + distance * forward + aside * right
        return np.array((*place, height))

    def spot(
        self, rng: np.random.Generator, distance: tuple[float, float], height: tuple[float, float]
    ) -> Vector | None:
        """Draw a point in the wearer's sight, None when a few tries find none."""
        for _ in range(12):
            away = rng.uniform(*distance)
            point = self.ahead(away, rng.uniform(-0.6, 0.6) * away, rng.uniform(*height))
            if self.sees(point):
                return point
        return None
