"""Lights that are no discharge, as every appearance shows them: pulses, glare, sparks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.appearance.effects import CameraPose, clip_window, pixels, row_overlap
from pipeline.engines.render.raytrace import PointLight

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

_BRIGHTEST = 900.0
_STRONGEST_IN_FULL = 6.0
_LEAST_SHARE = 1e-5


@dataclass(frozen=True)
class Pulse:
    """One stretch of time in which a light shines; `colour` (3,) is its radiant intensity."""

    start_s: float
    duration_s: float
    colour: Vector


@dataclass(frozen=True)
class Light:
    """A lamp of `radius_m` at `place` (3,) that shines in pulses.

    Its aim passes through `aims` (K, 3), unit vectors spread evenly over `aim_span_s`; `cosines`
    (inner, outer) bound its cone, `spill` is the share that returns from the walls.
    """

    place: Vector
    pulses: tuple[Pulse, ...]
    radius_m: float
    aims: Vector
    aim_span_s: tuple[float, float] = (0.0, 1.0)
    cosines: tuple[float, float] = (-0.9, -1.1)
    spill: float = 0.0

    def aim(self, time_s: float) -> Vector:
        """Return where it points, a unit vector (3,)."""
        start, end = self.aim_span_s
        share = np.clip((time_s - start) / (end - start), 0, 1) * (len(self.aims) - 1)
        before = min(int(share), len(self.aims) - 1)
        after = min(before + 1, len(self.aims) - 1)
        aim = self.aims[before] + (self.aims[after] - self.aims[before]) * (share - before)
        return np.asarray(aim / (np.linalg.norm(aim) + 1e-9))

    def shining(
        self, frame_s: float, readout_s: float, exposure_s: float, height: int
    ) -> list[Shining]:
        """Return the pulses that fall into an exposure of `height` rows."""
        found = []
        for pulse in self.pulses:
            weight = row_overlap(pulse, frame_s, readout_s, exposure_s, height)
            if weight.max() > _LEAST_SHARE:
                aim = self.aim(max(pulse.start_s, frame_s + 0.5 * (readout_s + exposure_s)))
                light = PointLight(
                    np.tile(self.place, (height, 1)),
                    np.tile(aim, (height, 1)),
                    weight,
                    pulse.colour,
                    self.cosines,
                    self.spill,
                )
                found.append(Shining(light, self.radius_m))
        return found


@dataclass(frozen=True)
class Shining:
    """A light during one exposure; `light.row_weight` (H,) is its share of each row's time."""

    light: PointLight
    radius_m: float

    def full(self) -> Shining:
        """Return it as it looks to a game: lit for the whole frame, never blinding."""
        light = self.light
        strongest = float(light.intensity.max())
        return replace(
            self,
            light=replace(
                light,
                row_weight=(light.row_weight > 0).astype(np.float64),
                intensity=light.intensity * min(1.0, _STRONGEST_IN_FULL / strongest),
            ),
        )

    def draw(self, image: Array, depth: Array, view: CameraPose) -> None:
        """Add the lamp itself to a radiance image in place: a disc, brighter seen head-on."""
        height, width = depth.shape
        place, axis = self.light.place[0], self.light.axis[0]
        (x,), (y,), (away,) = view.project(place)
        if away < 0.1 or not (0 <= x < width and 0 <= y < height):
            return
        if depth[int(y), int(x)] < away - max(0.3, 2 * self.radius_m):
            return
        towards = (view.place - place) / np.linalg.norm(view.place - place)
        inner, outer = self.light.cosines
        cone = float(np.clip((towards @ axis - outer) / (inner - outer), 0.02, 1)) ** 2
        radius = self.radius_m / away * view.lens.pixels_per_radian
        shown = max(radius, 0.8)
        around = clip_window(x, y, shown + 1, width, height)
        if around is None:
            return
        across, down = pixels(around)
        disc = np.clip(shown + 0.5 - np.hypot(across - x, down - y), 0, 1)[..., None]
        peak = float(self.light.intensity.max())
        radiance = peak / (np.pi * self.radius_m**2) * (radius / shown) ** 2
        rows = self.light.row_weight[around[0], None, None]
        strength = np.minimum(radiance * cone * rows, _BRIGHTEST)
        image[around] += (disc * strength * (self.light.intensity / peak)).astype(np.float32)


@dataclass(frozen=True)
class Sparks:
    """A burst of N glowing sparks: `velocities` (N, 3) in m/s, `lives_s` (N,)."""

    start_s: float
    place: Vector
    velocities: Vector
    lives_s: Vector
    colour: Vector
    drag: float
    radius_m: float

    def at(self, age_s: float) -> Vector:
        """Return the (N, 3) places of the sparks at an age."""
        flown = (1 - np.exp(-self.drag * age_s)) / self.drag
        fall = 9.8 / self.drag * (age_s - flown)
        return np.asarray(self.place + self.velocities * flown - np.array((0, 0, fall)))


def draw_sparks(
    image: Array,
    depth: Array,
    view: CameraPose,
    bursts: Sequence[Sparks],
    time_s: float,
    exposure_s: float,
) -> None:
    """Add the streaks that sparks leave during an exposure to a radiance image, in place."""
    height, width = depth.shape
    for burst in bursts:
        age = time_s - burst.start_s
        if not 0 <= age <= burst.lives_s.max():
            continue
        steps = np.linspace(-0.5, 0.5, 4) * exposure_s
        points = np.concatenate([burst.at(max(age + step, 0.0)) for step in steps])
        left = np.clip(1 - age / burst.lives_s, 0, 1)
        glow = np.tile(np.where(age > burst.lives_s, 0, 0.15 + 0.85 * left), len(steps))
        x, y, away = view.project(points)
        seen = (away > 0.2) & (x >= 1) & (x < width - 2) & (y >= 1) & (y < height - 2) & (glow > 0)
        x, y, away, glow = x[seen] - 0.5, y[seen] - 0.5, away[seen], glow[seen]
        column, row = x.astype(int), y.astype(int)
        glow = glow * (depth[row, column] > away - 0.2) / len(steps)
        size = burst.radius_m / away * view.lens.pixels_per_radian
        glow = glow * np.minimum(np.pi * size**2, 4)
        f, g = x - column, y - row
        for down, across, share in (
            (0, 0, (1 - f) * (1 - g)),
            (0, 1, f * (1 - g)),
            (1, 0, (1 - f) * g),
            (1, 1, f * g),
        ):
            light = (glow * share)[:, None] * burst.colour
            np.add.at(image, (row + down, column + across), light.astype(np.float32))
