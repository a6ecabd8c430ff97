"""What a camera sees of a script: people, weapons, flashes and incidents in their scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.engines.render.appearance import effects
from pipeline.engines.render.appearance.effects import CameraPose, Flash
from pipeline.engines.render.appearance.lens import Lens
from pipeline.engines.render.appearance.lights import Shining
from pipeline.engines.render.events import DischargeTraces, draw_incidents
from pipeline.engines.render.raytrace import (
    CameraSample,
    Moving,
    PointLight,
    RowPoses,
    Traced,
    Tracer,
)
from pipeline.engines.render.script import Script
from pipeline.engines.render.weapon_motion import WeaponMotion

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

NUM_SAMPLES = 3
_SKY_M = 900.0
_TORCH_CONE = 0.985, 0.8
_GOLDEN = 0.6180339887498949


class Carried(Protocol):
    """How a camera and who carries it move, in the time of a script."""

    def camera(self, times_s: ArrayLike) -> tuple[Vector, Vector]:
        """Return the camera's rotations (N, 3, 3) and places (N, 3) at (N,) times."""
        ...

    def body(self, times_s: ArrayLike) -> tuple[Vector, Vector]:
        """Return the body's rotations (N, 3, 3) and places (N, 3) at (N,) times."""
        ...


@dataclass(frozen=True)
class Torch:
    """The light on the wearer's weapon, of intensity `colour` (3,)."""

    weapon: WeaponMotion
    colour: Vector


def no_arms(time_s: float) -> Moving | None:
    """No arms in sight, at any time."""
    return None


def row_times(
    start_s: float, readout_s: float, exposure_s: float, height: int, sample: int
) -> Vector:
    """Return when each of `height` rows takes one of `NUM_SAMPLES` samples of an exposure."""
    # The golden ratio spreads the rows of any neighbourhood evenly over an exposure.
    phase = np.arange(height) * _GOLDEN % 1
    rows = start_s + readout_s * np.arange(height) / height
    return np.asarray(rows + exposure_s * ((sample + phase) / NUM_SAMPLES))


def draw_sun(script: Script, image: Array, depth: Array, view: CameraPose) -> None:
    """Draw the sun of a script's scene into an image where its `depth` is that of the sky."""
    sky = script.world.sky
    if script.plan.light in ("clear", "dusk"):
        effects.draw_sun(image, depth, view, sky.sun, sky.sun_light, _SKY_M)


class StagedView:
    """Traces one script as a carried camera sees it."""

    def __init__(
        self,
        script: Script,
        tracer: Tracer,
        lens: Lens,
        motion: Carried,
        readout_s: float,
        events: DischargeTraces,
        rng: np.random.Generator,
        torch: Torch | None = None,
        arms_at: Callable[[float], Moving | None] = no_arms,
    ) -> None:
        self._script, self._tracer, self._lens = script, tracer, lens
        self._motion, self._readout_s = motion, readout_s
        self._events, self._rng, self._torch, self._arms_at = events, rng, torch, arms_at
        self._crowd = script.crowd()
        self._base_light = _base_light(script)

    def radiance(self, start_s: float, exposure_s: float) -> Array:
        """Return the radiance (H, W, 3) of an exposure that begins at a time of the script."""
        script, height, readout_s = self._script, self._tracer.height, self._readout_s
        middle_s = start_s + readout_s / 2 + exposure_s / 2
        lit = self._lit(start_s, exposure_s)
        shining = script.shining(start_s, readout_s, exposure_s, height)
        rows_s = start_s + readout_s * np.arange(height) / height
        room = script.room_light(rows_s + exposure_s / 2)
        samples = [
            self._sample(
                row_times(start_s, readout_s, exposure_s, height, k), middle_s, lit, shining, room
            )
            for k in range(NUM_SAMPLES)
        ]
        traced = self._trace(self._tracer, samples, middle_s)
        image, depth = traced.radiance * room[:, None, None].astype(np.float32), traced.depth
        (turn,), (place,) = self._motion.camera([middle_s])
        view = CameraPose(turn, place, self._lens)
        draw_sun(script, image, depth, view)
        light = self._base_light * room.mean() + sum(
            0.5 * flash.power * effects.FLASH_COLOUR * weight.mean() for flash, weight in lit
        )
        draw_incidents(script, shining, image, depth, view, middle_s, exposure_s, light)
        effects.draw_puffs(image, depth, view, self._events.puffs, middle_s, light)
        effects.draw_brass(image, depth, view, self._events.cases, middle_s, exposure_s, light)
        for flash, weight in lit:
            effects.draw_flash(image, depth, view, flash, weight)
        return image

    def preview(self, tracer: Tracer, time_s: float) -> Traced:
        """Trace what is there at a time, without flashes and incidents, at another size."""
        sample = self._sample(
            np.full(tracer.height, time_s), time_s, [], [], np.ones(tracer.height)
        )
        return self._trace(tracer, [sample], time_s)

    def _lit(self, start_s: float, exposure_s: float) -> list[tuple[Flash, Vector]]:
        """Return the flashes that shine in an exposure, with their share of each row's time."""
        lit = []
        for flash in self._events.flashes:
            weight = effects.row_overlap(
                flash, start_s, self._readout_s, exposure_s, self._tracer.height
            )
            if weight.any():
                lit.append((flash, weight))
        return lit

    def _sample(
        self,
        times_s: Vector,
        middle_s: float,
        lit: list[tuple[Flash, Vector]],
        shining: list[Shining],
        room: Vector,
    ) -> CameraSample:
        poses = RowPoses(*self._motion.camera(times_s), *self._motion.body(times_s))
        lights = [
            PointLight(
                np.tile(flash.place, (len(times_s), 1)),
                np.tile(flash.axis, (len(times_s), 1)),
                weight / room,
                effects.FLASH_COLOUR * flash.power,
                spill=0.05 * self._script.plan.bounce,
            )
            for flash, weight in lit
        ]
        lights += [replace(one.light, row_weight=one.light.row_weight / room) for one in shining]
        if self._torch is not None:
            axes, place = self._torch.weapon.pose(middle_s)
            local = place + axes @ np.array((0, 0.14, -0.02))
            lights.append(
                PointLight(
                    poses.body_place + np.einsum("nij,j->ni", poses.body_turn, local),
                    np.einsum("nij,j->ni", poses.body_turn, axes[:, 1]),
                    1 / room,
                    self._torch.colour,
                    _TORCH_CONE,
                )
            )
        return CameraSample(poses, tuple(lights))

    def _trace(self, tracer: Tracer, samples: list[CameraSample], middle_s: float) -> Traced:
        people, feet = self._crowd.at(middle_s)
        return tracer.trace(self._rng, samples, people, feet, self._arms_at(middle_s))


def _base_light(script: Script) -> Vector:
    """Estimate the (3,) light that smoke and brass scatter near the wearer."""
    world, place = script.world, np.array((*script.movement.start, 1.3))
    light = world.light_cube(place).mean(0) + 0.25 * world.sky.sun_light
    away = ((world.lamps.centre - place) ** 2).sum(1)
    lamps = 0.15 * (world.lamps.intensity / np.maximum(away, 0.5)[:, None]).sum(0)
    return np.asarray(np.maximum(light + lamps, 1e-4), np.float64)
