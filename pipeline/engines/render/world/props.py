"""Things that stand in scenes: targets, backstops, cars, trees, barrels, furniture."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.engines.render.world.geometry import Material, MeshBuilder, rotation, unit

Vector = NDArray[np.float64]

_CAR_PAINTS = (
    (0.5, 0.5, 0.52),
    (0.05, 0.05, 0.055),
    (0.35, 0.05, 0.04),
    (0.08, 0.12, 0.25),
    (0.75, 0.75, 0.75),
)
_CAR_PROFILE = np.array(
    [
        (-2.2, 0.35),
        (-2.2, 0.75),
        (-1.95, 0.92),
        (-1.3, 0.98),
        (-0.75, 1.42),
        (0.75, 1.45),
        (1.5, 0.98),
        (2.1, 0.88),
        (2.2, 0.6),
        (2.2, 0.35),
    ]
)


def add_target(
    builder: MeshBuilder,
    rng: np.random.Generator,
    x: float,
    y: float,
    yaw: float = 0.0,
    bottom: float = 0.75,
) -> Vector:
    """Add a paper target on a wooden stand; returns its centre."""
    paper = "silhouette" if rng.random() < 0.67 else "bullseye"
    turn = rotation(yaw=yaw)
    wide, foot = turn @ (0.48, 0, 0), np.array((x, y, bottom))
    behind = turn @ (0, 0.012, 0)
    builder.sheet(foot - wide / 2, wide, (0, 0, 0.8), Material(paper, fit=True), 0.3)
    builder.sheet(foot + wide / 2 + behind, -wide, (0, 0, 0.8), Material("plywood", (0.8,) * 3), 1)
    for side in (-0.5, 0.5):
        post = foot + wide * side * 0.9 + behind
        centre = (post[0], post[1], (bottom + 0.3) / 2)
        half = (0.018, 0.009, (bottom + 0.3) / 2)
        builder.box(centre, half, Material("plywood", (0.8, 0.75, 0.7)), yaw)
    return np.array((x, y, bottom + 0.45))


def add_backstop(builder: MeshBuilder, x: float, y: float, half_width: float = 0.75) -> None:
    """Add the bullet trap of a training venue: a steel plate over stacked sandbags."""
    plate = Material("corrugated", (0.4, 0.4, 0.42), metres=1.5)
    builder.box((x, y, 1.25), (half_width, 0.04, 0.75), plate)
    bag = Material("fabric", (0.55, 0.48, 0.34), metres=0.6)
    for layer in range(2):
        for k in range(-2, 3):
            shift = (k + 0.25 * layer) * half_width / 2.4
            builder.box((x + shift, y - 0.12, 0.11 + 0.2 * layer), (0.17, 0.14, 0.1), bag)


def add_tree(
    builder: MeshBuilder, rng: np.random.Generator, x: float, y: float, height: float
) -> None:
    """Add a trunk with a crown of rough lumps."""
    bark = Material("plywood", (0.4, 0.35, 0.3))
    builder.cylinder((x, y, 0), (x, y, height * 0.45), (0.14, 0.1), bark, 6)
    for k in range(6):
        tint = np.ones(3) * rng.uniform(0.6, 1.2)
        centre = (x + rng.normal(0, 0.6), y + rng.normal(0, 0.6), height * (0.45 + 0.09 * k))
        leaves = Material("foliage", tint, metres=1.5, gloss=0.0)
        builder.lump(centre, height * rng.uniform(0.14, 0.24), leaves, rng, 0.3)


def add_barrel(builder: MeshBuilder, rng: np.random.Generator, x: float, y: float) -> None:
    """Add an oil drum."""
    paint = ((0.05, 0.12, 0.3), (0.35, 0.06, 0.04), (0.06, 0.25, 0.1), (0.5, 0.5, 0.5))
    tint = paint[rng.integers(len(paint))]
    builder.cylinder((x, y, 0), (x, y, 0.88), (0.29, 0.29), Material("paint", tint, gloss=0.1), 12)
    for z in (0.3, 0.6):
        builder.cylinder((x, y, z), (x, y, z + 0.03), (0.3, 0.3), Material("paint", tint), 12)


def add_car(builder: MeshBuilder, rng: np.random.Generator, x: float, y: float, yaw: float) -> None:
    """Add a parked saloon car."""
    paint = Material("paint", _CAR_PAINTS[rng.integers(len(_CAR_PAINTS))], gloss=0.35)
    glass = Material("paint", (0.03, 0.035, 0.04), gloss=0.7)
    turn = rotation(yaw=yaw)

    def place(points: ArrayLike) -> Vector:
        turned = np.einsum("ij,...j->...i", turn, np.asarray(points))
        return np.asarray(turned + np.array((x, y, 0)))

    def half_width(height: float) -> float:
        return 0.85 if height < 1.2 else 0.66

    inside = place((0, 0, 0.8))
    for i, (low, high) in enumerate(pairwise(_CAR_PROFILE)):
        a, b = half_width(low[1]), half_width(high[1])
        quad = place([(a, *low), (-a, *low), (-b, *high), (b, *high)])
        _add_quad(builder, quad, inside, glass if i in (3, 5) else paint)
    for side in (-1, 1):
        outline = place([(side * half_width(z), along, z) for along, z in _CAR_PROFILE])
        fan = np.concatenate([outline.mean(0)[None], outline, outline[:1]])
        faces = [(0, k, k + 1) for k in range(1, len(fan) - 1)]
        builder.add(fan, np.tile(turn[:, 0] * side, (len(fan), 1)), faces, paint)
        window = [(0.865, -0.72, 1.0), (0.865, 0.95, 1.0), (0.7, 0.62, 1.36), (0.7, -0.62, 1.36)]
        _add_quad(builder, place(np.array(window) * (side, 1, 1)), inside, glass)
        for along in (-1.35, 1.35):
            inner, outer = place((side * 0.7, along, 0.32)), place((side * 0.87, along, 0.32))
            builder.cylinder(inner, outer, (0.32, 0.32), Material("rubber", (0.6,) * 3), 12)
            hub = outer + turn[:, 0] * side * 0.01
            builder.cylinder(outer, hub, (0.18, 0.18), Material("paint", (0.35,) * 3, gloss=0.2), 8)
        for along, tint in ((2.21, (0.9, 0.9, 0.85)), (-2.21, (0.4, 0.02, 0.02))):
            lamp = Material("paint", tint, gloss=0.3)
            builder.box(place((side * 0.6, along, 0.72)), (0.16, 0.02, 0.07), lamp, yaw)


def _add_quad(builder: MeshBuilder, quad: Vector, inside: Vector, material: Material) -> None:
    normal = unit(np.cross(quad[1] - quad[0], quad[2] - quad[0]))
    if normal @ (quad.mean(0) - inside) < 0:
        normal = -normal
    builder.add(quad, np.tile(normal, (4, 1)), [(0, 1, 2), (0, 2, 3)], material)


def add_sofa(builder: MeshBuilder, tint: ArrayLike, wall_x: float, y: float, side: int) -> None:
    """Add a sofa with its back to the wall at `wall_x`; `side` is the sign of the wall."""
    cloth = Material("fabric", tint, metres=0.5)
    builder.box((wall_x - side * 0.5, y, 0.22), (0.42, 0.95, 0.22), cloth)
    builder.box((wall_x - side * 0.14, y, 0.55), (0.13, 0.95, 0.35), cloth)
    for end in (-1, 1):
        builder.box((wall_x - side * 0.5, y + end * 0.88, 0.42), (0.42, 0.1, 0.2), cloth)
        builder.box((wall_x - side * 0.5, y + end * 0.4, 0.47), (0.36, 0.37, 0.05), cloth)


def add_shelf(builder: MeshBuilder, rng: np.random.Generator, x: float, y: float) -> None:
    """Add an open shelf with books, facing -y."""
    wood = Material("plywood", (0.5, 0.38, 0.25))
    for side in (-1, 1):
        builder.box((x + side * 0.45, y, 0.95), (0.015, 0.15, 0.95), wood)
    for z in np.linspace(0.1, 1.9, 5):
        builder.box((x, y, z), (0.45, 0.15, 0.012), wood)
        place = -0.42
        while z < 1.8 and place < 0.3:
            width, height = rng.uniform(0.02, 0.05), rng.uniform(0.18, 0.3)
            cover = Material("fabric", rng.uniform(0.04, 0.6, 3))
            builder.box((x + place + width, y, z + height / 2), (width, 0.11, height / 2), cover)
            place += 2.2 * width + rng.choice([0, 0, 0.15])
