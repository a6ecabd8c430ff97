"""Real places, photographed all round, where people and props are staged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.world.backdrop import Backdrop, photograph
from pipeline.engines.render.world.geometry import MeshBuilder
from pipeline.engines.render.world.lighting import Sky
from pipeline.engines.render.world.props import add_barrel, add_target
from pipeline.engines.render.world.scene import ScenePlan

_EYE_M = 1.6
_NIGHT_SHARE = 0.15
_SKY_SIZE = 32, 128


@dataclass(frozen=True)
class PhotographedPlace:
    """A photographed place: how far away most of it is, under which light, how bright.

    `room` is its kind among `acoustics.room.ROOMS`.
    """

    name: str
    radius_m: float
    light: str
    level: float
    room: str


PLACES = (
    PhotographedPlace("apartment", 5, "day", 0.5, "room"),
    PhotographedPlace("arcade", 10, "day", 0.6, "corridor"),
    PhotographedPlace("car_park", 22, "overcast", 3, "street"),
    PhotographedPlace("courtyard", 9, "overcast", 2, "courtyard"),
    PhotographedPlace("desert", 22, "dusk", 0.4, "field"),
    PhotographedPlace("film_studio", 7, "day", 0.4, "hall"),
    PhotographedPlace("footbridge", 6, "day", 0.6, "corridor"),
    PhotographedPlace("forest", 14, "overcast", 1.5, "wood"),
    PhotographedPlace("garden", 12, "overcast", 2, "field"),
    PhotographedPlace("hall", 11, "day", 0.5, "hall"),
    PhotographedPlace("hotel_room", 4, "day", 0.4, "room"),
    PhotographedPlace("laboratory", 7, "day", 0.5, "room"),
    PhotographedPlace("lobby", 9, "day", 0.5, "hall"),
    PhotographedPlace("meadow", 20, "clear", 4, "field"),
    PhotographedPlace("palace_square", 20, "dusk", 1, "courtyard"),
    PhotographedPlace("park", 22, "clear", 5, "field"),
    PhotographedPlace("plaza", 20, "overcast", 3, "street"),
    PhotographedPlace("promenade", 20, "dusk", 0.8, "street"),
    PhotographedPlace("quay", 20, "dusk", 1, "field"),
    PhotographedPlace("warehouse", 11, "day", 0.4, "hall"),
    PhotographedPlace("workshop", 11, "day", 0.6, "hall"),
)


def location(place: PhotographedPlace, rng: np.random.Generator) -> ScenePlan:
    """Draw a stage before the photograph of a place, turned and mirrored anyhow."""
    radius = place.radius_m * rng.uniform(0.9, 1.2)
    outdoors = place.light != "day"
    night = outdoors and bool(rng.random() < _NIGHT_SHARE)
    panorama = np.roll(photograph(place.name), int(rng.integers(4096)), 1)
    if rng.random() < 0.5:
        panorama = panorama[:, ::-1]
    level = place.level * np.exp(rng.normal(0, 0.4)) * (0.006 if night else 1)
    tint = np.exp(rng.normal(0, 0.05, 3)) * ((0.8, 0.95, 1.2) if night else (1, 1, 1))
    centre = np.array((rng.normal(0, 0.3), rng.uniform(-0.2, 1.0), _EYE_M), np.float32)
    backdrop = Backdrop(
        place.name,
        np.ascontiguousarray(panorama * (level * tint).astype(np.float32)),
        centre,
        radius,
        float(level),
    )
    builder = MeshBuilder(tessellation=0.35, parts=[backdrop.mesh()])
    far = min(radius - 0.9, 9)
    staged = bool(rng.random() < 0.5)
    targets = []
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.normal(0, 0.12 * far), max(2.4, far * rng.uniform(0.55, 1.0))
        if staged:
            targets.append(add_target(builder, rng, x, y, rng.normal(0, 0.15)))
        else:
            targets.append(np.array((x, y, rng.uniform(1.0, 1.5))))
    if radius > 6 and rng.random() < 0.4:
        side = rng.choice([-1, 1])
        add_barrel(builder, rng, side * rng.uniform(1.4, 3), rng.uniform(2.5, far))
    wide = min(1.0, radius / 9)
    line = [(-1.9 * wide, 0.3), (1.8 * wide, 0.2), (-2.9 * wide, 0.0), (3.0 * wide, 0.1)]
    return ScenePlan(
        kind="outdoor" if outdoors else "indoor",
        light="night" if night else place.light,
        builder=builder,
        lamps=[],
        sky=_sky(backdrop.radiance) if outdoors else Sky(),
        start=(rng.uniform(-0.3, 0.3), 0.0),
        targets=targets,
        places=[(0.7, min(1.9, radius / 3)), (-1.1, min(2.6, radius / 3)), *line],
        shooting_places=line,
        room_m=min(2.5, radius / 4),
        back_m=min(2.5, radius / 4),
        backstop_y=radius - 0.3,
        dust=(0.4, 0.36, 0.3),
        bounce=0.05 if outdoors else 0.3,
        backdrop=backdrop,
    )


def _sky(panorama: NDArray[np.float32]) -> Sky:
    """Return the upper half of a panorama, for what mirrors it."""
    rows, columns = _SKY_SIZE
    polar = np.arccos(np.linspace(0, 1, rows) ** 2)
    row = np.minimum(polar / np.pi * len(panorama), len(panorama) - 1).astype(int)
    column = np.arange(columns) * panorama.shape[1] // columns
    return Sky(np.ascontiguousarray(panorama[row][:, column]))
