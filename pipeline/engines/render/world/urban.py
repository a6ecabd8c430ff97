"""A furnished room and a street, set up as training venues with a target before a bullet trap."""

from __future__ import annotations

import numpy as np

from pipeline.engines.render.world.doors import Door
from pipeline.engines.render.world.geometry import Material, MeshBuilder
from pipeline.engines.render.world.lighting import Lamp, Sky, draw_sky
from pipeline.engines.render.world.props import (
    add_backstop,
    add_barrel,
    add_car,
    add_shelf,
    add_sofa,
    add_target,
    add_tree,
)
from pipeline.engines.render.world.scene import ScenePlan

_WALLPAPERS = ((1, 0.95, 0.85), (0.8, 0.88, 0.95), (0.9, 0.95, 0.85), (1, 0.9, 0.8))
_FURNITURE = (
    (0.25, 0.2, 0.16),
    (0.12, 0.14, 0.2),
    (0.35, 0.12, 0.1),
    (0.4, 0.38, 0.34),
    (0.2, 0.26, 0.2),
)
_WEATHERS, _WEATHER_ODDS = ("clear", "overcast", "dusk", "night"), (0.25, 0.15, 0.15, 0.45)
_FACADES = ((1, 0.95, 0.88), (0.8, 0.55, 0.45), (0.9, 0.85, 0.7), (0.6, 0.62, 0.66))


def room(rng: np.random.Generator) -> ScenePlan:
    """Draw a living room by day or by lamplight."""
    builder = MeshBuilder(tessellation=0.16)
    half, depth, height = rng.uniform(2.3, 3.2), rng.uniform(4.8, 6.5), 2.55
    tint = np.array(_WALLPAPERS[rng.integers(len(_WALLPAPERS))]) * rng.uniform(0.6, 0.95)
    wall = Material("plaster", tint, metres=2.0)
    floor_tint = np.array((0.6, 0.5, 0.42)) * rng.uniform(0.5, 1.2)
    floor = ("carpet", "plywood", "tile")[rng.integers(3)]
    gloss = 0.02 if floor == "carpet" else 0.1
    width, length, up = (2 * half, 0, 0), (0, depth + 2, 0), (0, 0, height)
    builder.sheet((-half, -2, 0), width, length, Material(floor, floor_tint, gloss, metres=1.4))
    ceiling = Material("plaster", (0.92, 0.92, 0.9), metres=2.0)
    builder.sheet((-half, depth, height), width, (0, -depth - 2, 0), ceiling)
    builder.sheet((-half, -2, 0), length, up, wall)
    builder.sheet((half, depth, 0), (0, -depth - 2, 0), up, wall)
    builder.sheet((-half, depth, 0), width, up, wall)
    builder.sheet((half, -2, 0), (-2 * half, 0, 0), up, wall)
    _add_trim(builder, half, depth, height)
    side = int(rng.choice([-1, 1]))
    _furnish(builder, rng, half, depth, side)
    target_x = -side * rng.uniform(0.2, 0.9)
    target = add_target(builder, rng, target_x, depth - 0.75)
    add_backstop(builder, target_x, depth - 0.3)
    wood = (0.5, 0.35, 0.22) if rng.random() < 0.6 else (0.6, 0.62, 0.6)
    door = Door((-side * (half - 0.1), depth), (side, 0), (0, -1), wood, width=0.8)
    door.add_frame(builder)
    lamps, light = _light_room(builder, rng, half, depth, height, side)
    return ScenePlan(
        kind="room",
        light=light,
        builder=builder,
        lamps=lamps,
        sky=Sky(),
        start=(rng.uniform(-0.4, 0.4), -1.2),
        targets=[target],
        places=[(side * 0.9, 2.4), (-side * 1.3, 1.9), (side * 1.2, 0.9)],
        shooting_places=[(side * 0.9, 1.3), (-side * 1.3, 0.9)],
        room_m=1.4,
        back_m=0.5,
        backstop_y=depth - 0.3,
        dust=(0.3, 0.3, 0.3),
        bounce=0.5,
        door=door,
        shelters=[(side * (half - 2.0), 2.2)],
    )


def _add_trim(builder: MeshBuilder, half: float, depth: float, height: float) -> None:
    board = Material("paint", (0.75, 0.74, 0.7))
    for x in (-half + 0.012, half - 0.012):
        builder.box((x, (depth - 2) / 2, 0.05), (0.012, (depth + 2) / 2, 0.05), board)
        builder.box((x, (depth - 2) / 2, height - 0.03), (0.02, (depth + 2) / 2, 0.03), board)
    builder.box((0, depth - 0.012, 0.05), (half, 0.012, 0.05), board)


def _furnish(
    builder: MeshBuilder, rng: np.random.Generator, half: float, depth: float, side: int
) -> None:
    tint = np.array(_FURNITURE[rng.integers(len(_FURNITURE))]) * rng.uniform(0.7, 1.3)
    y = rng.uniform(1.8, depth - 1.5)
    add_sofa(builder, tint, side * half, y, side)
    wood = Material("plywood", (0.5, 0.4, 0.3))
    table_x = side * (half - 1.5)
    builder.box((table_x, y, 0.4), (0.28, 0.5, 0.02), wood)
    for dx in (-0.22, 0.22):
        for dy in (-0.42, 0.42):
            builder.box((table_x + dx, y + dy, 0.2), (0.02, 0.02, 0.2), wood)
    cupboard = Material("plywood", (0.6, 0.45, 0.3))
    builder.box((-side * (half - 0.25), y, 0.3), (0.22, 0.8, 0.3), cupboard)
    screen = Material("paint", (0.02, 0.02, 0.025), gloss=0.25)
    builder.box((-side * (half - 0.2), y, 0.98), (0.03, 0.55, 0.33), screen)
    add_shelf(builder, rng, side * (half - 0.8), depth - 0.18)
    for _ in range(2):
        picture = Material("poster", rng.uniform(0.5, 1.0, 3), fit=True)
        y = rng.uniform(0.5, depth - 1.5)
        x = side * (half - 0.015)
        near = y + 0.5 if side > 0 else y
        builder.sheet((x, near, 1.35), (0, -0.5 * side, 0), (0, 0, 0.4), picture, 0.5)


def _light_room(
    builder: MeshBuilder,
    rng: np.random.Generator,
    half: float,
    depth: float,
    height: float,
    side: int,
) -> tuple[list[Lamp], str]:
    strength, day = rng.uniform(1.5, 5.0), bool(rng.random() < 0.5)
    lamps = []
    if day:
        y, x = rng.uniform(0.6, depth - 1.8), -side * (half - 0.02)
        near = y if side > 0 else y + 1.3
        window = Material("paint", (0.1,) * 3, emission=np.array((7, 8, 9)) * strength)
        builder.sheet((x, near, 1.0), (0, 1.3 * side, 0), (0, 0, 1.1), window, 3)
        bar = Material("paint", (0.8,) * 3)
        builder.box((x, y + 0.65, 1.55), (0.02, 0.02, 0.55), bar)
        builder.box((x, y + 0.65, 1.0), (0.06, 0.7, 0.025), bar)
        daylight = np.array((7, 8, 9)) * strength * 0.85
        centre = (-side * (half - 0.05), y + 0.65, 1.55)
        lamps.append(Lamp(centre, (0, 1.3, 0), (0, 0, 1.1), (side, 0, 0), daylight))
    warm = np.array((1, 0.8, 0.55)) * strength
    globe = Material("paint", emission=warm * 10)
    builder.box((0, depth * 0.45, height - 0.05), (0.18, 0.18, 0.04), globe, 0.0, 1.0)
    centre = (0.0, depth * 0.45, height - 0.12)
    lamps.append(Lamp(centre, (0.3, 0, 0), (0, 0.3, 0), (0, 0, -1), warm * 2.2))
    return lamps, "day" if day else "lamp"


def street(rng: np.random.Generator) -> ScenePlan:
    """Draw a street of a training village: facades, parked cars, a closed lane with a target."""
    builder = MeshBuilder(tessellation=0.7)
    asphalt = Material("asphalt", np.ones(3) * rng.uniform(0.8, 1.3), gloss=0.05, metres=3.0)
    builder.sheet((-4, -30, 0), (8, 0, 0), (0, 80, 0), asphalt, 0.9)
    marking = Material("road_marking", fit=True)
    for y in np.arange(-20, 45, 6.0):
        builder.sheet((-0.07, y, 0.006), (0.14, 0, 0), (0, 2.6, 0), marking, 3)
    for side in (-1, 1):
        pavement = Material("concrete", (0.8, 0.8, 0.78), metres=1.8)
        builder.box((side * 5.6, 10, 0.07), (1.6, 40, 0.07), pavement)
        _add_houses(builder, rng, side)
        for y in np.arange(-14, 40, rng.uniform(6.5, 9)):
            if rng.random() < 0.6:
                yaw = 0.0 if side > 0 else np.pi
                add_car(builder, rng, side * 3.0, y + rng.uniform(-0.5, 0.5), yaw)
    weather = str(rng.choice(_WEATHERS, p=_WEATHER_ODDS))
    door = _add_porch(builder, rng)
    lamps = _add_street_lamps(builder, rng, weather)
    for x, y in ((5.9, 8), (-5.9, 18), (5.7, 27)):
        add_tree(builder, rng, x, y, 4.5)
    for _ in range(3):
        add_barrel(builder, rng, rng.choice([-4.8, 4.8]), rng.uniform(3, 12))
    target_x, distance = rng.uniform(-0.8, 0.8), rng.uniform(6.5, 10)
    target = add_target(builder, rng, target_x, distance)
    add_backstop(builder, target_x, distance + 0.6, 1.0)
    return ScenePlan(
        kind="street",
        light=weather,
        builder=builder,
        lamps=lamps,
        sky=draw_sky(rng, weather),
        start=(rng.uniform(-0.8, 0.8), 0.0),
        targets=[target],
        places=[(-1.5, 4.0), (1.6, 5.0), (4.6, 5.0), (-4.7, 7.0)],
        shooting_places=[(-1.5, 2.2), (1.6, 2.6)],
        room_m=3.0,
        back_m=6.0,
        backstop_y=distance + 0.6,
        dust=(0.3, 0.3, 0.3),
        bounce=0.08,
        door=door,
        shelters=[(1.75, 5.4), (-1.75, 3.2), (-4.7, 6.0)],
    )


def _add_porch(builder: MeshBuilder, rng: np.random.Generator) -> Door:
    """Add a porch before the houses on one side; returns its front door."""
    side, y = int(rng.choice([-1, 1])), rng.uniform(5.5, 9.0)
    wall = Material("facade", rng.uniform(0.4, 0.9, 3), metres=9.0)
    builder.box((side * 7.0, y, 1.3), (1.2, 0.8, 1.3), wall)
    tint = tuple(rng.uniform(0.05, 0.5, 3))
    door = Door((side * 5.8, y + 0.45), (0, -1), (-side, 0), tint)
    door.add_frame(builder)
    return door


def _add_houses(builder: MeshBuilder, rng: np.random.Generator, side: int) -> None:
    y = -20.0
    while y < 48:
        width, height, setback = rng.uniform(7, 13), rng.uniform(5, 11), rng.uniform(0, 0.8)
        tint = np.array(_FACADES[rng.integers(len(_FACADES))]) * rng.uniform(0.5, 0.9)
        texture = "brick" if rng.random() < 0.3 else "facade"
        wall = Material(texture, tint, metres=1.2 if texture == "brick" else rng.uniform(4.5, 6))
        front = side * (7.2 + setback)
        builder.box(
            (front + side * 4, y + width / 2, height / 2),
            (4, width / 2 - 0.02, height / 2),
            wall,
            0.0,
            1.6,
        )
        roof = Material("rubber", (2, 1.6, 1.4))
        builder.box((front + side * 3.9, y + width / 2, height + 0.1), (4.2, width / 2, 0.1), roof)
        if texture == "brick":
            _add_windows(builder, front - side * 0.03, y, width, height)
        if rng.random() < 0.6:
            builder.box(
                (front - side * 0.05, y + width * 0.4, 1.05),
                (0.04, 0.5, 1.05),
                Material("door", (0.3, 0.25, 0.2), metres=2),
            )
        if rng.random() < 0.4:
            awning = Material("fabric", rng.uniform(0.05, 0.4, 3))
            builder.box(
                (front - side * 0.45, y + width * 0.4, 2.5), (0.45, width * 0.3, 0.05), awning
            )
        y += width


def _add_windows(builder: MeshBuilder, x: float, start: float, width: float, height: float) -> None:
    glass, sill = Material("paint", (0.05, 0.06, 0.07), gloss=0.5), Material("paint", (0.7,) * 3)
    for y in np.arange(start + 1.4, start + width - 1.2, 2.6):
        for z in np.arange(1.8, height - 0.8, 2.8):
            builder.box((x, y, z), (0.04, 0.5, 0.7), glass)
            builder.box((x, y, z - 0.75), (0.1, 0.6, 0.04), sill)


def _add_street_lamps(builder: MeshBuilder, rng: np.random.Generator, weather: str) -> list[Lamp]:
    lamps = []
    metal = Material("paint", (0.15,) * 3)
    for index, y in enumerate((2.0, 14.0, 26.0)):
        side = (-1) ** index
        builder.cylinder((side * 4.3, y, 0), (side * 4.3, y, 5.0), (0.06, 0.05), metal, 6)
        builder.box((side * 3.6, y, 5.0), (0.75, 0.05, 0.04), metal)
        if weather in ("night", "dusk"):
            colour = np.array((1, 0.72, 0.38) if rng.random() < 0.6 else (0.9, 0.97, 1))
            glow = Material("paint", emission=colour * 8)
            builder.box((side * 3.0, y, 4.93), (0.2, 0.1, 0.03), glow)
            power = colour * np.exp(rng.uniform(np.log(1.5), np.log(16)))
            power = power * (1 if weather == "night" else 0.5)
            centre = (side * 3.0, y, 4.88)
            lamps.append(Lamp(centre, (0.3, 0, 0), (0, 0.15, 0), (0, 0, -1), power))
    return lamps
