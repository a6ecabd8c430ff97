"""The appearance of real footage: a script seen through one body camera of a fleet."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.acoustics import surroundings
from pipeline.engines.render.appearance import effects, recorder
from pipeline.engines.render.appearance.effects import Flash, View
from pipeline.engines.render.appearance.fleet import FLEETS, Fleet, draw_camera
from pipeline.engines.render.appearance.lens import FisheyeLens
from pipeline.engines.render.appearance.lights import Shining
from pipeline.engines.render.appearance.overlay import CameraText
from pipeline.engines.render.events import draw_events, draw_incidents
from pipeline.engines.render.kernels import WEARER
from pipeline.engines.render.motion import BodyMotion, draw_mount
from pipeline.engines.render.people.wearer import WearerArms
from pipeline.engines.render.raytrace import Moving, PointLight, RowPoses, Sample, Traced, Tracer
from pipeline.engines.render.script import Cell, Script
from pipeline.engines.render.sound import Listener, camera_microphone
from pipeline.engines.render.weapon_motion import WeaponMotion, recoil_scale
from pipeline.engines.take import Format, UnusableDraw

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

NUM_SAMPLES = 3
_PREVIEW = 64, 36
_LARGEST_OWN_SHARE = 0.45
_NEAREST_OBSTACLE_M = 0.12
_TORCH_SHARE_BY_DAY = 0.1
_SKY_M = 900.0
_TORCH_CONE = 0.985, 0.8


def fleet_of(cell: Cell) -> Fleet:
    """The fleet whose cameras film the recordings of a cell."""
    return FLEETS[cell.rotate(len(FLEETS))]


class BodyCameraTake:
    """Films a script with one camera; `frames()` is the result."""

    origin: ClassVar[str] = "real"
    family: ClassVar[str] = "bodycam"
    can_bar: ClassVar[bool] = True

    def __init__(self, script: Script, format: Format) -> None:
        self.script, self.format = script, format
        self.fleet = fleet_of(script.cell)
        rng = self._rng = script.rng("camera")
        self.fps = format.fps
        width, height = self.width, self.height = format.width, format.height
        self._fov_deg, self._k1 = rng.uniform(*self.fleet.fov_deg), rng.uniform(*self.fleet.k1)
        self._readout_s = rng.uniform(*self.fleet.readout_ms) / 1000
        # The golden ratio spreads the rows of any neighbourhood evenly over an exposure.
        self._row_phase = np.arange(format.height) * 0.6180339887498949 % 1
        self._lens = FisheyeLens(width, height, self._fov_deg, self._k1)
        self._tracer = Tracer(script.world, self._lens, width, height)
        self._crowd = script.crowd()
        self._move_wearer(script.rng("motion"))
        self._base_light = _base_light(script)
        self._torch = np.array((1.0, 1.02, 1.06)) * rng.uniform(0.8, 2.5)
        self._has_torch = script.plan.dark or rng.random() < _TORCH_SHARE_BY_DAY
        self._events = draw_events(script, self._weapon, script.rng("events"))
        self.text: CameraText | None = None

    @staticmethod
    def is_bystander(cell: Cell) -> bool:
        """Whether the cameras of a cell's fleet stand instead of being worn."""
        return not fleet_of(cell).is_worn

    @property
    def model(self) -> str:
        """The name of the fleet."""
        return self.fleet.name

    @property
    def has_own_weapon(self) -> bool:
        """Whether the wearer carries a weapon."""
        return self.script.weapon is not None

    def _move_wearer(self, rng: np.random.Generator) -> None:
        script = self.script
        worn = ("chest", "shoulder", "head")
        mounts = [m for m in self.fleet.mounts if m in worn or script.weapon is None]
        mount = self.mount = draw_mount(rng, mounts[rng.integers(len(mounts))])
        scale = recoil_scale(rng, script.weapon) if script.weapon else 1.0
        self._motion = BodyMotion(
            rng, script.movement, mount, script.duration_s, script.own_discharges_s, scale
        )
        self._weapon: WeaponMotion | None = None
        if script.weapon is not None:
            self._weapon = WeaponMotion(
                rng,
                script.weapon,
                self._motion,
                script.own_discharges_s,
                script.held_up,
                mount.on_chest,
                script.routine,
            )
        self._arms: WearerArms | None = None
        if script.weapon is not None or mount.shows_arms:
            cube = script.world.light_cube((*script.movement.start, 1.3))
            self._arms = WearerArms(rng, script.weapon, cube)

    @property
    def viewpoint(self) -> str:
        """How the camera is carried, for the index."""
        return {"fixed": "fixed", "hand": "hand-held"}.get(self.mount.where, "body")

    @property
    def overlay(self) -> str:
        """What lies over the picture; known once it is rendered."""
        return "none" if self.text is None else "timestamp"

    def listener(self) -> Listener:
        """Return the camera's microphone; who wears the camera is near it."""
        rng, duration_s = self.script.rng("sound camera"), self.script.duration_s
        return Listener(
            capture=camera_microphone(rng, self.mount.where, duration_s),
            place=lambda time_s: self._motion.camera([time_s])[1][0],
            muzzle=None if self._weapon is None else self._weapon.muzzle,
            level_db=surroundings.draw_level_db(rng),
            steps_s=self._motion.steps_s() if self.mount.where != "fixed" else (),
            has_voice=self.mount.where != "fixed",
        )

    def frames(self) -> NDArray[np.uint8]:
        """Render uint8 (T, H, W, 3).

        Raises:
            UnusableDraw: the camera sees little but its wearer, an obstacle or nothing.
        """
        rng = self._rng
        previews = [self._preview(t) for t in (0.0, 0.5, 0.9)]
        _reject_hidden(previews)
        profile = draw_camera(rng, self.fleet, self.fps, len(self.script.plan.lamps) > 0)
        result, self.text = recorder.film(
            rng,
            profile,
            self.fleet.layouts,
            self.format,
            self.script.duration_s,
            self._readout_s,
            previews[0].radiance,
            self._radiance,
        )
        self.script.blank(result, self.fps)
        return result

    def _radiance(self, start_s: float, exposure_s: float) -> Array:
        middle_s = start_s + self._readout_s / 2 + exposure_s / 2
        lit = []
        for flash in self._events.flashes:
            weight = effects.row_overlap(flash, start_s, self._readout_s, exposure_s, self.height)
            if weight.any():
                lit.append((flash, weight))
        shining = self.script.shining(start_s, self._readout_s, exposure_s, self.height)
        rows_s = start_s + self._readout_s * np.arange(self.height) / self.height
        room = self.script.room_light(rows_s + exposure_s / 2)
        samples = [
            self._sample(self._row_times(start_s, exposure_s, k), middle_s, lit, shining, room)
            for k in range(NUM_SAMPLES)
        ]
        traced = self._trace(self._tracer, samples, middle_s)
        image, depth = traced.radiance * room[:, None, None].astype(np.float32), traced.depth
        (turn,), (place,) = self._motion.camera([middle_s])
        view = View(turn, place, self._lens)
        sky = self.script.world.sky
        if self.script.plan.light in ("clear", "dusk"):
            effects.draw_sun(image, depth, view, sky.sun, sky.sun_light, _SKY_M)
        light = self._base_light * room.mean() + sum(
            0.5 * flash.power * effects.FLASH_COLOUR * weight.mean() for flash, weight in lit
        )
        draw_incidents(self.script, shining, image, depth, view, middle_s, exposure_s, light)
        effects.draw_puffs(image, depth, view, self._events.puffs, middle_s, light)
        effects.draw_brass(image, depth, view, self._events.cases, middle_s, exposure_s, light)
        for flash, weight in lit:
            effects.draw_flash(image, depth, view, flash, weight)
        return image

    def _row_times(self, start_s: float, exposure_s: float, sample: int) -> Vector:
        rows = start_s + self._readout_s * np.arange(self.height) / self.height
        jitter = (sample + self._row_phase) / NUM_SAMPLES
        return np.asarray(rows + exposure_s * jitter)

    def _sample(
        self,
        times_s: Vector,
        middle_s: float,
        lit: list[tuple[Flash, Vector]],
        shining: list[Shining],
        room: Vector,
    ) -> Sample:
        poses = RowPoses(*self._motion.camera(times_s), *self._motion.body(times_s))
        lights = [
            PointLight(
                np.tile(flash.place, (len(times_s), 1)),
                np.tile(flash.axis, (len(times_s), 1)),
                weight / room,
                effects.FLASH_COLOUR * flash.power,
                spill=0.05 * self.script.plan.bounce,
            )
            for flash, weight in lit
        ]
        lights += [replace(one.light, row_weight=one.light.row_weight / room) for one in shining]
        if self._has_torch and self._weapon is not None:
            axes, place = self._weapon.pose(middle_s)
            local = place + axes @ np.array((0, 0.14, -0.02))
            lights.append(
                PointLight(
                    poses.body_place + np.einsum("nij,j->ni", poses.body_turn, local),
                    np.einsum("nij,j->ni", poses.body_turn, axes[:, 1]),
                    1 / room,
                    self._torch,
                    _TORCH_CONE,
                )
            )
        return Sample(poses, tuple(lights))

    def _trace(self, tracer: Tracer, samples: list[Sample], middle_s: float) -> Traced:
        people, feet = self._crowd.at(middle_s)
        return tracer.trace(self._rng, samples, people, feet, self._arms_at(middle_s))

    def _arms_at(self, time_s: float) -> Moving | None:
        if self._arms is None:
            return None
        heading = self._motion.body([time_s])[0][0]
        if self._weapon is not None:
            left_hand = self._weapon.left_hand(time_s)
            return self._arms.holding(*self._weapon.pose(time_s), heading, left_hand)
        phase = float(self._motion.sample(self._motion.phase, time_s)) / 2
        stride = float(self._motion.sample(self._motion.stride, time_s))
        return self._arms.swinging(phase, stride, heading)

    def _preview(self, share: float) -> Traced:
        width, height = _PREVIEW
        lens = FisheyeLens(width, height, self._fov_deg, self._k1)
        time_s = share * self.script.duration_s
        sample = self._sample(np.full(height, time_s), time_s, [], [], np.ones(height))
        return self._trace(Tracer(self.script.world, lens, width, height), [sample], time_s)


def _reject_hidden(previews: list[Traced]) -> None:
    own = [float((traced.surface == WEARER).mean()) for traced in previews]
    if max(own) > _LARGEST_OWN_SHARE:
        raise UnusableDraw("own_body_covers_view")
    for traced in previews:
        others = traced.depth[traced.surface != WEARER]
        if np.percentile(others, 5) < _NEAREST_OBSTACLE_M:
            raise UnusableDraw("camera_in_obstacle")


def _base_light(script: Script) -> Vector:
    """Estimate the (3,) light that smoke and brass scatter near the wearer."""
    world, place = script.world, np.array((*script.movement.start, 1.3))
    light = world.light_cube(place).mean(0) + 0.25 * world.sky.sun_light
    away = ((world.lamps.centre - place) ** 2).sum(1)
    lamps = 0.15 * (world.lamps.intensity / np.maximum(away, 0.5)[:, None]).sum(0)
    return np.asarray(np.maximum(light + lamps, 1e-4), np.float64)
