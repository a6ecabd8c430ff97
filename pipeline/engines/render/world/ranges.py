"""Shooting ranges, indoors and outdoors."""

from __future__ import annotations

import numpy as np

from pipeline.engines.render.world.doors import Door
from pipeline.engines.render.world.geometry import Material, MeshBuilder, unit
from pipeline.engines.render.world.lighting import Lamp, Sky, draw_sky
from pipeline.engines.render.world.props import add_barrel, add_target, add_tree
from pipeline.engines.render.world.scene import ScenePlan, Vector

_LANE_M = 1.25
_MAX_LAMPS = 8
_LAMP_COLOURS = ((1, 0.96, 0.88), (0.93, 1, 0.96), (1, 0.88, 0.68))


def indoor_range(rng: np.random.Generator) -> ScenePlan:
    """Draw an indoor range: lanes, most with booths, ceiling panels, a rubber backstop."""
    builder = MeshBuilder(tessellation=0.25)
    half, depth, height = rng.uniform(3.2, 5.2), rng.uniform(9, 15), rng.uniform(2.6, 3.2)
    _add_shell(builder, rng, half, depth, height)
    num_lanes = int(2 * half // _LANE_M)
    left = -num_lanes * _LANE_M / 2
    lanes = [left + (lane + 0.5) * _LANE_M for lane in range(num_lanes)]
    middle = min(lanes, key=abs)
    booths = bool(rng.random() < 0.65)
    if booths:
        partition = Material("plaster", (0.35, 0.37, 0.4))
        for lane in range(num_lanes + 1):
            builder.box((left + lane * _LANE_M, 0.35, 1.05), (0.03, 0.55, 1.05), partition)
        shelf = Material("plywood", (0.5, 0.5, 0.5))
        builder.box((0, 0.62, 0.98), (num_lanes * _LANE_M / 2, 0.22, 0.02), shelf)
    targets = []
    for x in lanes:
        if x == middle or rng.random() < 0.75:
            y = rng.uniform(4, min(depth - 1, 9))
            targets.append(add_target(builder, rng, x, y, rng.normal(0, 0.05), bottom=0.95))
            builder.box((x, y, 2.3), (0.01, 0.01, 0.5), Material("paint", (0.3,) * 3))
    side = int(rng.choice([-1, 1]))
    tint = tuple(np.ones(3) * rng.uniform(0.15, 0.6))
    door = Door((side * half, rng.uniform(3.0, 5.0)), (0, 1), (-side, 0), tint)
    door.add_frame(builder)
    if booths:
        door.shut(builder)
    others = sorted(((x, -0.1) for x in lanes if x != middle), key=lambda p: abs(p[0] - middle))
    return ScenePlan(
        kind="indoor_range",
        light="panels",
        builder=builder,
        lamps=_add_ceiling_panels(builder, rng, half, depth, height),
        sky=Sky(),
        start=(middle, -0.15),
        targets=targets,
        places=[(middle + 0.6, 1.6), *others, (middle - 0.9, -1.3)],
        shooting_places=others,
        room_m=0.3,
        back_m=1.9,
        backstop_y=depth,
        dust=(0.2, 0.2, 0.2),
        bounce=0.4,
        door=None if booths else door,
    )


def _add_shell(
    builder: MeshBuilder, rng: np.random.Generator, half: float, depth: float, height: float
) -> None:
    wall = ("concrete", "plaster", "acoustic", "brick")[rng.integers(4)]
    tint = np.ones(3) * rng.uniform(0.45, 0.9)
    sides = Material(wall, tint, metres=1.5)
    floor = Material("concrete", np.ones(3) * rng.uniform(0.35, 0.75), gloss=0.08, metres=2.0)
    width, length = (2 * half, 0, 0), (0, depth + 3, 0)
    builder.sheet((-half, -3, 0), width, length, floor)
    ceiling = Material("concrete", (0.5,) * 3, metres=2.0)
    builder.sheet((-half, depth, height), width, (0, -depth - 3, 0), ceiling)
    builder.sheet((-half, -3, 0), length, (0, 0, height), sides)
    builder.sheet((half, depth, 0), (0, -depth - 3, 0), (0, 0, height), sides)
    builder.sheet((half, -3, 0), (-2 * half, 0, 0), (0, 0, height), Material("plaster", tint))
    builder.sheet((-half, depth, 0), width, (0, 0, height), Material("rubber", (2.2, 2.0, 1.8)))
    baffle = Material("plywood", (0.5, 0.45, 0.4))
    for y in np.arange(3.0, depth - 1, 3.0):
        builder.box((0, y, height - 0.28), (half, 0.04, 0.28), baffle)
    for y in np.arange(2.0, depth - 1, 2.5):
        line = Material("road_marking", (0.8, 0.65, 0.1), fit=True)
        builder.sheet((-half, y, 0.006), (2 * half, 0, 0), (0, 0.06, 0), line, 1.5)


def _add_ceiling_panels(
    builder: MeshBuilder, rng: np.random.Generator, half: float, depth: float, height: float
) -> list[Lamp]:
    colour = np.array(_LAMP_COLOURS[rng.integers(len(_LAMP_COLOURS))]) * rng.uniform(2.0, 7.0)
    lamps: list[Lamp] = []
    for y in np.arange(-1.5, depth - 0.5, 3.0):
        if rng.random() < 0.15 and lamps:
            continue
        for x in (-half * 0.45, half * 0.45) if half > 4 else (0.0,):
            panel = Material("paint", emission=colour * 7)
            z = height - 0.03
            builder.sheet((x - 0.6, y + 0.1, z), (1.2, 0, 0), (0, -0.2, 0), panel, 2)
            lamps.append(
                Lamp((x, y, z - 0.01), (1.2, 0, 0), (0, 0.2, 0), (0, 0, -1), colour * 7 * 0.24)
            )
    return sorted(lamps, key=lambda lamp: abs(lamp.centre[1] - 3))[:_MAX_LAMPS]


def outdoor_range(rng: np.random.Generator) -> ScenePlan:
    """Draw an outdoor range: a bay of earth berms with stands, drums and barricades."""
    builder = MeshBuilder(tessellation=0.7)
    depth, half = rng.uniform(7, 15), rng.uniform(6, 11)
    ground = Material(
        ("gravel", "dirt", "grass")[rng.integers(3)], np.ones(3) * rng.uniform(0.7, 1.1), metres=2.5
    )
    builder.sheet((-40, -30, 0), (80, 0, 0), (0, 90, 0), ground, 3.0)
    builder.sheet((-6, -4, 0.004), (12, 0, 0), (0, depth + 5, 0), ground, 0.4)
    _add_berm(builder, rng, depth, half)
    for side in (-1, 1):
        _add_side_wall(builder, rng, side * half, depth)
    targets: list[Vector] = []
    count = int(rng.integers(3, 7))
    for i in range(count):
        x = (i - (count - 1) / 2) * rng.uniform(1.1, 1.5) + rng.normal(0, 0.1)
        y = depth - rng.uniform(0, 1.5)
        targets.append(add_target(builder, rng, x, y, rng.normal(0, 0.12)))
    for _ in range(rng.integers(1, 5)):
        add_barrel(
            builder, rng, rng.choice([-1, 1]) * rng.uniform(1.5, 5), rng.uniform(2.5, depth - 1.5)
        )
    if rng.random() < 0.6:
        x, y = rng.choice([-1, 1]) * rng.uniform(2.2, 3.8), rng.uniform(2.5, 6)
        builder.box((x, y, 0.95), (0.7, 0.05, 0.95), Material("plywood", metres=1.2))
    if rng.random() < 0.6:
        _add_shelter(builder)
    if rng.random() < 0.5:
        bench = (rng.choice([-2.4, 2.4]), 0.9, 0.85)
        builder.box(bench, (0.9, 0.35, 0.03), Material("plywood"))
        builder.box((bench[0], bench[1], 0.42), (0.8, 0.03, 0.42), Material("plywood", (0.7,) * 3))
    for _ in range(10):
        add_tree(
            builder, rng, rng.uniform(-26, 26), depth + 11 + rng.uniform(0, 8), rng.uniform(4, 8)
        )
    weather = ("clear", "clear", "overcast", "dusk", "night")[rng.integers(5)]
    door = _add_container(builder, rng) if rng.random() < 0.6 else None
    line = [(-2.0, 0.2), (2.0, 0.1), (-3.4, -0.1), (3.3, 0.0)]
    return ScenePlan(
        kind="outdoor_range",
        light=weather,
        builder=builder,
        lamps=_add_floodlights(builder, rng, half) if weather == "night" else [],
        sky=draw_sky(rng, weather),
        start=(rng.uniform(-0.6, 0.6), 0.0),
        targets=targets,
        places=[(0.7, 1.7), (-1.2, 2.4), *line],
        shooting_places=line,
        room_m=min(4.0, depth - 4),
        back_m=3.5,
        backstop_y=depth + 3.2,
        dust=(0.5, 0.42, 0.32),
        bounce=0.05,
        door=door,
        shelters=[(2.9, 3.4), (-3.0, 4.2)],
    )


def _add_berm(builder: MeshBuilder, rng: np.random.Generator, depth: float, half: float) -> None:
    phase = rng.uniform(0, 6)
    x, y = np.meshgrid(
        np.linspace(-half * 2.2, half * 2.2, 41), np.linspace(0, 6, 12), indexing="ij"
    )
    crest = (3.2 + 0.5 * np.sin(0.35 * x + phase)) * np.clip(y / 4.2, 0, 1) ** 0.9
    points = np.stack([x, depth + 2.2 + y, crest + 0.12 * np.sin(2.1 * x + 1.7 * y)], -1)
    slope_x, slope_y = np.gradient(points, axis=0), np.gradient(points, axis=1)
    earth = ("dirt", "grass", "gravel")[rng.integers(3)]
    tint = np.array((1, 0.95, 0.85)) * rng.uniform(0.7, 1.1)
    uv = np.stack([x, y * 1.3], -1) / 2.5
    builder.grid(points, unit(np.cross(slope_x, slope_y)), uv, Material(earth, tint, metres=2.5))


def _add_side_wall(builder: MeshBuilder, rng: np.random.Generator, x: float, depth: float) -> None:
    style = rng.integers(3)
    if style == 0:
        wall = Material("concrete", metres=2.0)
        builder.box((x, depth / 2, 1.2), (0.15, depth / 2 + 2, 1.2), wall)
    elif style == 1:
        wood = Material("plywood", (0.65, 0.55, 0.45))
        for y in np.linspace(-1, depth + 1, 9):
            builder.cylinder((x, y, 0), (x, y, 1.3), (0.07, 0.07), wood, 6)
        for z in (0.5, 1.1):
            builder.box((x, depth / 2, z), (0.03, depth / 2 + 2, 0.08), wood)
    else:
        block = Material("gravel", (0.8, 0.75, 0.65))
        for y in np.linspace(-1, depth + 1, 14):
            builder.box((x, y, 0.4), (0.5, 0.55, 0.4), block, float(rng.normal(0, 0.05)))


def _add_shelter(builder: MeshBuilder) -> None:
    builder.box((0, -1.2, 2.7), (5, 1.7, 0.06), Material("corrugated", (0.6,) * 3, metres=1.5))
    for x in (-4.8, 4.8):
        builder.box((x, 0.4, 1.3), (0.06, 0.06, 1.3), Material("plywood", (0.8, 0.7, 0.6)))


def _add_container(builder: MeshBuilder, rng: np.random.Generator) -> Door:
    """Add a shipping container beside the bay; returns its door."""
    side, y = int(rng.choice([-1, 1])), rng.uniform(3.5, 6.0)
    tint = ((0.12, 0.2, 0.35), (0.4, 0.12, 0.08), (0.2, 0.3, 0.2), (0.5, 0.5, 0.5))[rng.integers(4)]
    steel = Material("corrugated", tint, gloss=0.06, metres=1.5)
    builder.box((side * 5.4, y, 1.25), (1.2, 1.5, 1.25), steel, 0.0, 0.6)
    paint = tuple(np.array(tint) * 0.8)
    door = Door((side * 4.2, y + 0.6), (0, -1), (-side, 0), paint)
    door.add_frame(builder)
    return door


def _add_floodlights(builder: MeshBuilder, rng: np.random.Generator, half: float) -> list[Lamp]:
    lamps = []
    metal = Material("paint", (0.2,) * 3)
    colour = np.array((1, 0.96, 0.85)) * rng.uniform(12, 40)
    for side in (-1, 1):
        x, y = side * (half - 0.5), 1.5
        builder.cylinder((x, y, 0), (x, y, 5.0), (0.07, 0.05), metal, 6)
        builder.box((x, y, 5.0), (0.3, 0.1, 0.15), Material("paint", emission=colour), 0.0, 2)
        towards = tuple(unit((-side * 0.6, 0.7, -0.6)))
        lamps.append(Lamp((x, y + 0.15, 4.9), (0.6, 0, 0), (0, 0, 0.3), towards, colour))
    return lamps
