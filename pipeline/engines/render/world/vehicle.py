"""The front seats of a van at a training venue, its windscreen taken out."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from pipeline.engines.render.world.geometry import Material, MeshBuilder
from pipeline.engines.render.world.interiors import car_park
from pipeline.engines.render.world.scene import ScenePlan
from pipeline.engines.render.world.urban import street

_SEAT_M = 0.4
_PAINTS = ((0.6, 0.6, 0.62), (0.05, 0.05, 0.06), (0.08, 0.1, 0.16), (0.3, 0.06, 0.05), (0.25,) * 3)
_TRIMS = ((0.035,) * 3, (0.07,) * 3, (0.14, 0.12, 0.1), (0.1, 0.1, 0.12))


def vehicle(rng: np.random.Generator) -> ScenePlan:
    """Draw a van in a street or car park, the wearer in one of its front seats."""
    outside = (street if rng.random() < 0.45 else car_park)(rng)
    x, y = outside.start
    side = int(rng.choice([-1, 1]))
    centre = x - side * _SEAT_M
    _add_cab(outside.builder, rng, centre, y, driver_x=x if rng.random() < 0.5 else 2 * centre - x)
    return replace(
        outside,
        kind="vehicle",
        places=[(x + 1.3 * side, y + 1.6), *outside.places],
        shooting_places=[(centre - 1.6, y + 2.4), (centre + 1.7, y + 2.7)],
        room_m=0.0,
        back_m=0.0,
        bounce=0.1,
    )


def _add_cab(
    builder: MeshBuilder, rng: np.random.Generator, x: float, y: float, driver_x: float
) -> None:
    """Add bonnet, dashboard, wheel, pillars, roof, doors, seats and mirror around (x, y)."""
    paint = Material("paint", _PAINTS[rng.integers(len(_PAINTS))], gloss=0.35)
    trim = Material("rubber", np.array(_TRIMS[rng.integers(len(_TRIMS))]) * 12, gloss=0.05)
    cloth = Material("fabric", np.array(_TRIMS[rng.integers(len(_TRIMS))]) * 2.5, metres=0.4)
    fine = 0.2
    builder.box((x, y + 1.65, 0.86), (0.82, 0.62, 0.1), paint, 0.0, fine)
    builder.box((x, y + 0.88, 0.9), (0.84, 0.2, 0.13), trim, 0.0, fine)
    builder.box((driver_x, y + 0.74, 1.05), (0.2, 0.1, 0.045), trim, 0.0, fine)
    glow = np.array((0.25, 0.5, 0.8)) * rng.uniform(0.02, 0.3)
    screen = Material("paint", (0.02,) * 3, gloss=0.3, emission=glow)
    builder.box((x, y + 0.66, 0.94), (0.12, 0.015, 0.07), screen, 0.0, fine)
    _add_wheel(builder, driver_x, y + 0.5)
    for side in (-1, 1):
        foot, top = (x + side * 0.85, y + 1.0, 1.0), (x + side * 0.7, y + 0.42, 1.86)
        builder.cylinder(foot, top, (0.045, 0.04), trim, 8)
        builder.box((x + side * 0.88, y, 0.74), (0.05, 0.95, 0.38), trim, 0.0, fine)
        builder.box((x + side * 0.79, y - 0.5, 1.5), (0.05, 0.07, 0.4), trim, 0.0, fine)
        seat = x + side * _SEAT_M
        if abs(seat - driver_x) > 0.1 or rng.random() < 0.5:
            builder.box((seat, y - 0.42, 1.05), (0.23, 0.07, 0.36), cloth, 0.0, fine)
            builder.box((seat, y - 0.42, 1.52), (0.12, 0.05, 0.09), cloth, 0.0, fine)
        glass = Material("paint", (0.12,) * 3, gloss=0.6)
        builder.box((x + side * 1.05, y + 0.75, 1.12), (0.1, 0.03, 0.08), paint, 0.0, fine)
        builder.box((x + side * 1.05, y + 0.715, 1.12), (0.085, 0.008, 0.065), glass, 0.0, fine)
    builder.box((x, y - 0.25, 1.9), (0.78, 0.72, 0.03), cloth, 0.0, fine)
    builder.box((x, y + 0.43, 1.87), (0.72, 0.05, 0.04), trim, 0.0, fine)
    builder.box((x, y + 0.4, 1.74), (0.11, 0.015, 0.032), trim, 0.0, fine)


def _add_wheel(builder: MeshBuilder, x: float, y: float) -> None:
    rubber = Material("rubber", (0.6,) * 3)
    angle = np.linspace(0, 2 * np.pi, 15)
    rim = np.stack(
        [x + 0.19 * np.cos(angle), y - 0.08 * np.sin(angle), 0.92 + 0.17 * np.sin(angle)], 1
    )
    for start, end in pairwise(rim):
        builder.cylinder(start, end, (0.016, 0.016), rubber, 6)
    builder.cylinder((x, y + 0.2, 0.88), (x, y + 0.01, 0.92), (0.05, 0.07), rubber, 8)
