"""A corridor of an institution and a car park, set up as training venues."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.world.doors import Door
from pipeline.engines.render.world.geometry import Material, MeshBuilder
from pipeline.engines.render.world.lighting import Lamp, Sky, draw_sky
from pipeline.engines.render.world.props import add_backstop, add_barrel, add_car, add_target
from pipeline.engines.render.world.scene import ScenePlan

Vector = NDArray[np.float64]

_WALLS = ((0.8, 0.82, 0.74), (0.62, 0.72, 0.66), (0.66, 0.72, 0.78), (0.85, 0.8, 0.7), (0.8,) * 3)
_DADOS = ((0.2, 0.32, 0.26), (0.18, 0.26, 0.36), (0.4, 0.34, 0.26), (0.34,) * 3, (0.34, 0.14, 0.12))
_DOORS = ((0.5, 0.36, 0.22), (0.62, 0.64, 0.62), (0.22, 0.3, 0.38), (0.42, 0.16, 0.12))
_TUBES = ((1, 0.97, 0.9), (0.9, 1, 0.96), (0.86, 0.95, 1.0), (1, 0.84, 0.62))


def corridor(rng: np.random.Generator) -> ScenePlan:
    """Draw a corridor with doors, lockers and notices, turning a corner at its end."""
    builder = MeshBuilder(tessellation=0.22)
    half, height = rng.uniform(1.05, 1.5), rng.uniform(2.45, 2.85)
    depth, turn = rng.uniform(8, 13), int(rng.choice([-1, 1]))
    _add_tunnel(builder, rng, half, depth, height, turn)
    door = _add_doors(builder, rng, half, depth)
    _furnish_corridor(builder, rng, half, depth)
    lamps, light = _add_tubes(builder, rng, 0.0, (-1.8, depth + 0.5), height)
    target_x = float(np.clip(-turn * 0.3 + rng.normal(0, 0.15), -half + 0.5, half - 0.5))
    target = add_target(builder, rng, target_x, depth - 0.3)
    add_backstop(builder, target_x, depth + 0.15, min(0.75, half - abs(target_x)))
    return ScenePlan(
        kind="corridor",
        light=light,
        builder=builder,
        lamps=lamps,
        sky=Sky(),
        start=(rng.uniform(-0.2, 0.2), -0.6),
        targets=[target],
        places=[(half - 0.45, 3.2), (0.45 - half, 4.5), (turn * 0.4, depth - 1.6)],
        shooting_places=[(half - 0.5, 1.0), (0.5 - half, 0.6)],
        room_m=depth - 4.5,
        back_m=1.5,
        backstop_y=depth + 0.15,
        dust=(0.3, 0.3, 0.3),
        bounce=0.5,
        door=door,
        shelters=[(turn * (half + 0.3), depth - 0.2)],
    )


def _add_tunnel(
    builder: MeshBuilder,
    rng: np.random.Generator,
    half: float,
    depth: float,
    height: float,
    turn: int,
) -> None:
    """Add floor, ceiling and walls; a passage two metres wide leaves to the side of `turn`."""
    floor = Material(
        ("tile", "carpet", "concrete")[rng.integers(3)],
        np.ones(3) * rng.uniform(0.35, 0.9),
        gloss=rng.uniform(0.03, 0.25),
        metres=1.6,
    )
    ceiling = Material("plaster", (0.85,) * 3, metres=1.2)
    end, low, wide = depth + 1.0, -3.0, 3.5
    builder.sheet((-half, low, 0), (2 * half, 0, 0), (0, end - low, 0), floor)
    builder.sheet((-half, end, height), (2 * half, 0, 0), (0, low - end, 0), ceiling)
    side_x = half if turn > 0 else -half - wide
    builder.sheet((side_x, depth - 1, 0), (wide, 0, 0), (0, 2, 0), floor, 0.5)
    builder.sheet((side_x, end, height), (wide, 0, 0), (0, -2, 0), ceiling, 0.5)
    tint = np.array(_WALLS[rng.integers(len(_WALLS))]) * rng.uniform(0.7, 1.0)
    texture = "brick" if rng.random() < 0.2 else "plaster"
    if texture == "brick":
        tint = np.ones(3) * rng.uniform(1.0, 1.6)
    dado = np.array(_DADOS[rng.integers(len(_DADOS))]) if rng.random() < 0.6 else None
    closed = (-half if turn > 0 else half, low, end)
    opened = (half if turn > 0 else -half, low, depth - 1)
    split = 1.1 if dado is not None else 0.0
    for bottom, top, colour in ((0.0, split, dado), (split, height, tint)):
        if colour is None or top <= bottom:
            continue
        paint = texture if colour is tint else "paint"
        wall, up = Material(paint, colour, gloss=0.04, metres=1.4), (0, 0, top - bottom)
        for x, near, far in (closed, opened):
            if x < 0:
                builder.sheet((x, near, bottom), (0, far - near, 0), up, wall)
            else:
                builder.sheet((x, far, bottom), (0, near - far, 0), up, wall)
        left = -half - (wide if turn < 0 else 0)
        builder.sheet((left, end, bottom), (2 * half + wide, 0, 0), up, wall)
        corner = half + wide if turn > 0 else -half
        builder.sheet((corner, depth - 1, bottom), (-wide, 0, 0), up, wall, 0.5)
        builder.sheet((half, low, bottom), (-2 * half, 0, 0), up, wall, 0.6)
        cap = turn * (half + wide)
        along = (0, -2, 0) if turn > 0 else (0, 2, 0)
        builder.sheet((cap, end if turn > 0 else end - 2, bottom), along, up, wall, 0.6)


def _add_doors(builder: MeshBuilder, rng: np.random.Generator, half: float, depth: float) -> Door:
    """Add shut doors along both walls; returns one that may swing."""
    tint = tuple(np.array(_DOORS[rng.integers(len(_DOORS))]) * rng.uniform(0.7, 1.1))
    doors = []
    for side in (-1, 1):
        for y in np.arange(rng.uniform(0.8, 2.2), depth - 2.2, rng.uniform(2.4, 3.6)):
            ahead = int(rng.choice([-1, 1]))
            hinge = (side * half, float(y if ahead > 0 else y + 0.9))
            doors.append(Door(hinge, (0, ahead), (-side, 0), tint))
    swinging = doors[rng.integers(len(doors))]
    for door in doors:
        door.add_frame(builder)
        if door is not swinging:
            door.shut(builder)
    return swinging


def _furnish_corridor(
    builder: MeshBuilder, rng: np.random.Generator, half: float, depth: float
) -> None:
    for _ in range(rng.integers(1, 5)):
        side, y = int(rng.choice([-1, 1])), rng.uniform(0.5, depth - 2)
        notice = Material("poster", rng.uniform(0.5, 1.0, 3), fit=True)
        x, wide = side * (half - 0.008), rng.uniform(0.4, 0.9)
        near = y + wide if side > 0 else y
        builder.sheet((x, near, 1.3), (0, -wide * side, 0), (0, 0, 0.6 * wide + 0.2), notice, 0.5)
    kind, side = rng.integers(4), int(rng.choice([-1, 1]))
    y = rng.uniform(3, depth - 3)
    if kind == 0:
        locker = Material("paint", rng.uniform(0.12, 0.5, 3), gloss=0.12)
        for k in range(rng.integers(2, 6)):
            builder.box((side * (half - 0.2), y + 0.42 * k, 0.92), (0.2, 0.2, 0.92), locker)
    elif kind == 1:
        bench = Material("plywood", (0.6, 0.5, 0.4))
        builder.box((side * (half - 0.2), y, 0.44), (0.18, 0.7, 0.025), bench)
        for end in (-0.6, 0.6):
            builder.box((side * (half - 0.2), y + end, 0.22), (0.15, 0.03, 0.2), bench)
    elif kind == 2:
        add_barrel(builder, rng, side * (half - 0.35), y)
    red = Material("paint", (0.5, 0.03, 0.02), gloss=0.2)
    y, x = rng.uniform(1.5, depth - 2), -side * (half - 0.1)
    builder.cylinder((x, y, 0.55), (x, y, 1.05), (0.075, 0.07), red, 10)


def _add_tubes(
    builder: MeshBuilder,
    rng: np.random.Generator,
    x: float,
    span: tuple[float, float],
    height: float,
) -> tuple[list[Lamp], str]:
    """Add a row of ceiling lamps, some of them dead; few and weak ones when it is dim."""
    dim = bool(rng.random() < 0.3)
    colour = np.array(_TUBES[rng.integers(len(_TUBES))]) * rng.uniform(1.5, 6.0)
    colour = colour * (rng.uniform(0.1, 0.3) if dim else 1.0)
    lamps: list[Lamp] = []
    for y in np.arange(*span, rng.uniform(2.2, 3.2)):
        if lamps and rng.random() < (0.5 if dim else 0.15):
            continue
        z, glow = height - 0.04, Material("paint", emission=colour * 8)
        builder.sheet((x - 0.15, y + 0.6, z), (0.3, 0, 0), (0, -1.2, 0), glow, 2)
        area = colour * 8 * 0.36 * 0.7
        lamps.append(Lamp((x, y, z - 0.01), (0.3, 0, 0), (0, 1.2, 0), (0, 0, -1), area))
    return lamps[:7], "dim" if dim else "panels"


def car_park(rng: np.random.Generator) -> ScenePlan:
    """Draw one floor of a car park: pillars, marked bays, cars; closed above or an open deck."""
    builder = MeshBuilder(tessellation=0.6)
    half, depth, lane = 7.6, rng.uniform(14, 20), 3.0
    height, open_deck = rng.uniform(2.3, 2.75), bool(rng.random() < 0.4)
    grey = np.ones(3) * rng.uniform(0.7, 1.2)
    floor = Material("concrete", grey, gloss=rng.uniform(0.03, 0.2), metres=3.0)
    builder.sheet((-half, -5, 0), (2 * half, 0, 0), (0, depth + 5, 0), floor, 0.5)
    wall = Material("concrete", grey * rng.uniform(0.8, 1.3), metres=2.2)
    top = 1.1 if open_deck else height
    builder.sheet((-half, -5, 0), (0, depth + 5, 0), (0, 0, top), wall)
    builder.sheet((half, depth, 0), (0, -depth - 5, 0), (0, 0, top), wall)
    builder.sheet((-half, depth, 0), (2 * half, 0, 0), (0, 0, top), wall)
    builder.sheet((half, -5, 0), (-2 * half, 0, 0), (0, 0, top), wall)
    _add_bays(builder, rng, lane, half, depth)
    door = _add_stairs(builder, rng, lane, depth, max(top, 2.4))
    target_x, distance = rng.uniform(-0.9, 0.9), rng.uniform(7, depth - 3)
    target = add_target(builder, rng, target_x, distance)
    add_backstop(builder, target_x, distance + 0.6, 1.0)
    if open_deck:
        weather = ("clear", "overcast", "dusk", "night", "night")[rng.integers(5)]
        sky, lamps, light = (
            draw_sky(rng, weather),
            _add_masts(builder, rng, weather, depth),
            weather,
        )
        _add_skyline(builder, rng, depth)
    else:
        sky = Sky()
        ceiling = Material("concrete", grey * 0.9, metres=2.5)
        builder.sheet((-half, depth, height), (2 * half, 0, 0), (0, -depth - 5, 0), ceiling)
        _add_pillars(builder, rng, lane, half, depth, height)
        lamps, light = _add_tubes(builder, rng, float(rng.choice([-1.2, 1.2])), (-3, depth), height)
    return ScenePlan(
        kind="car_park",
        light=light,
        builder=builder,
        lamps=lamps,
        sky=sky,
        start=(rng.uniform(-0.6, 0.6), 0.0),
        targets=[target],
        places=[(-1.9, 3.4), (1.9, 4.8), (-2.2, 6.5)],
        shooting_places=[(1.6, 1.8), (-1.7, 1.3)],
        room_m=3.0,
        back_m=3.5,
        backstop_y=distance + 0.6,
        dust=(0.35, 0.34, 0.33),
        bounce=0.06 if open_deck else 0.25,
        door=door,
        shelters=[(-2.85, 4.5), (2.85, 4.5)],
    )


def _add_bays(
    builder: MeshBuilder, rng: np.random.Generator, lane: float, half: float, depth: float
) -> None:
    paint = (0.9, 0.75, 0.15) if rng.random() < 0.3 else (1.0, 1.0, 1.0)
    line = Material("road_marking", paint, fit=True)
    full = rng.uniform(0.35, 0.8)
    for side in (-1, 1):
        for y in np.arange(-4, depth - 1, 2.6):
            x = side * lane if side > 0 else -half + 0.2
            builder.sheet((x, y, 0.006), (half - lane - 0.2, 0, 0), (0, 0.1, 0), line, 3)
            if rng.random() < full and not (side > 0 and _STAIRS_Y - 2.7 < y < _STAIRS_Y + 1):
                yaw = np.pi / 2 * rng.choice([-1, 1]) + rng.normal(0, 0.03)
                add_car(builder, rng, side * 5.35, y + 1.35 + rng.normal(0, 0.08), yaw)
    arrow = Material("road_marking", paint, fit=True)
    for y in (1.5, 8.0):
        builder.sheet((0.7, y, 0.007), (0.25, 0, 0), (0, 1.6, 0), arrow, 2)


_STAIRS_Y = 6.0


def _add_stairs(
    builder: MeshBuilder, rng: np.random.Generator, lane: float, depth: float, height: float
) -> Door:
    """Add the concrete box of a staircase on the right; returns its steel door."""
    wall = Material("concrete", np.ones(3) * rng.uniform(0.8, 1.3), metres=1.8)
    builder.box((lane + 2.6, _STAIRS_Y, height / 2), (2.0, 1.2, height / 2), wall)
    tint = tuple(np.array(_DOORS[rng.integers(1, len(_DOORS))]) * rng.uniform(0.8, 1.2))
    door = Door((lane + 0.6, _STAIRS_Y + 0.45), (0, -1), (-1, 0), tint)
    door.add_frame(builder)
    return door


def _add_pillars(
    builder: MeshBuilder,
    rng: np.random.Generator,
    lane: float,
    half: float,
    depth: float,
    height: float,
) -> None:
    concrete = Material("concrete", np.ones(3) * rng.uniform(0.8, 1.2), metres=1.5)
    stripe = Material(
        "paint", ((0.7, 0.55, 0.04), (0.1, 0.25, 0.5), (0.5, 0.06, 0.05))[rng.integers(3)]
    )
    for y in np.arange(-1.4, depth, 5.2):
        for side in (-1, 1):
            x = side * (lane + 0.35)
            builder.box((x, y, height / 2), (0.2, 0.25, height / 2), concrete, 0.0, 0.35)
            builder.box((x, y, 0.55), (0.205, 0.255, 0.35), stripe)
        builder.box((0, y, height - 0.16), (half, 0.15, 0.16), concrete, 0.0, 0.8)
    pipe = Material("paint", (0.35, 0.36, 0.37), gloss=0.1)
    for x in (-2.3, 2.45):
        z = height - 0.4
        builder.cylinder((x, -5, z), (x, depth, z), (0.07, 0.07), pipe, 6)


def _add_masts(
    builder: MeshBuilder, rng: np.random.Generator, weather: str, depth: float
) -> list[Lamp]:
    lamps = []
    metal = Material("paint", (0.2,) * 3)
    for y in (3.0, 0.75 * depth):
        side = float(rng.choice([-1, 1]))
        builder.cylinder((side * 3.1, y, 0), (side * 3.1, y, 4.2), (0.07, 0.05), metal, 6)
        builder.box((side * 2.6, y, 4.2), (0.6, 0.06, 0.05), metal)
        if weather in ("night", "dusk"):
            colour = np.array((1, 0.75, 0.42) if rng.random() < 0.4 else (0.92, 0.98, 1))
            glow = Material("paint", emission=colour * 8)
            builder.box((side * 2.3, y, 4.13), (0.25, 0.1, 0.03), glow)
            power = colour * rng.uniform(8, 22) * (1 if weather == "night" else 0.5)
            lamps.append(Lamp((side * 2.3, y, 4.08), (0.4, 0, 0), (0, 0.2, 0), (0, 0, -1), power))
    return lamps


def _add_skyline(builder: MeshBuilder, rng: np.random.Generator, depth: float) -> None:
    """Add buildings around an open deck, seen over its parapet."""
    for _ in range(9):
        angle, away = rng.uniform(-1.3, 1.3), rng.uniform(22, 45)
        x, y = away * np.sin(angle) * 1.3, depth * 0.5 + away * np.cos(angle)
        tint = np.ones(3) * rng.uniform(0.3, 0.8) * (1, rng.uniform(0.85, 1), rng.uniform(0.7, 1))
        facade = Material("facade", tint, metres=4.0)
        wide, high = rng.uniform(3, 7), rng.uniform(2, 9)
        builder.box((x, max(y, depth + 6), high - 6), (wide, 3, high + 6), facade, angle * 0.3, 4.0)
