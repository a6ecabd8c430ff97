"""The appearance of real footage: a script seen through one body camera of a fleet."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.acoustics import surroundings
from pipeline.engines.render.appearance import recorder
from pipeline.engines.render.appearance.fleet import FLEETS, Fleet, draw_camera
from pipeline.engines.render.appearance.lens import FisheyeLens
from pipeline.engines.render.appearance.overlay import CameraText
from pipeline.engines.render.events import draw_events
from pipeline.engines.render.kernels import WEARER
from pipeline.engines.render.motion import BodyMotion, draw_mount
from pipeline.engines.render.people.wearer import WearerArms
from pipeline.engines.render.raytrace import Moving, Traced, Tracer
from pipeline.engines.render.script import DesignCell, Script
from pipeline.engines.render.sound import Listener, camera_microphone
from pipeline.engines.render.staged_view import StagedView, Torch
from pipeline.engines.render.weapon_motion import WeaponMotion, recoil_scale
from pipeline.engines.take import UnusableDraw, VideoFormat

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

_PREVIEW = 64, 36
_LARGEST_OWN_SHARE = 0.45
_NEAREST_OBSTACLE_M = 0.12
_TORCH_SHARE_BY_DAY = 0.1


def fleet_of(cell: DesignCell) -> Fleet:
    """The fleet whose cameras film the recordings of a cell."""
    return FLEETS[cell.rotate(len(FLEETS))]


class BodyCameraTake:
    """Films a script with one camera; `frames()` is the result."""

    origin: ClassVar[str] = "real"
    family: ClassVar[str] = "bodycam"
    can_bar: ClassVar[bool] = True

    def __init__(self, script: Script, format: VideoFormat) -> None:
        self.script, self.format = script, format
        self.fleet = fleet_of(script.cell)
        rng = self._rng = script.rng("camera")
        self.fps = format.fps
        width, height = self.width, self.height = format.width, format.height
        self._fov_deg, self._k1 = rng.uniform(*self.fleet.fov_deg), rng.uniform(*self.fleet.k1)
        self._readout_s = rng.uniform(*self.fleet.readout_ms) / 1000
        self._lens = FisheyeLens(width, height, self._fov_deg, self._k1)
        self._move_wearer(script.rng("motion"))
        self._events = draw_events(script, self._weapon, script.rng("events"))
        colour = np.array((1.0, 1.02, 1.06)) * rng.uniform(0.8, 2.5)
        has_torch = script.plan.dark or rng.random() < _TORCH_SHARE_BY_DAY
        self._view = StagedView(
            script,
            Tracer(script.world, self._lens, width, height),
            self._lens,
            self._motion,
            self._readout_s,
            self._events,
            rng,
            Torch(self._weapon, colour) if has_torch and self._weapon is not None else None,
            self._arms_at,
        )
        self.text: CameraText | None = None

    @staticmethod
    def is_bystander(cell: DesignCell) -> bool:
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
            self._view.radiance,
        )
        self.script.blank(result, self.fps)
        return result

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
        tracer = Tracer(self.script.world, lens, width, height)
        return self._view.preview(tracer, share * self.script.duration_s)


def _reject_hidden(previews: list[Traced]) -> None:
    own = [float((traced.surface == WEARER).mean()) for traced in previews]
    if max(own) > _LARGEST_OWN_SHARE:
        raise UnusableDraw("own_body_covers_view")
    for traced in previews:
        others = traced.depth[traced.surface != WEARER]
        if np.percentile(others, 5) < _NEAREST_OBSTACLE_M:
            raise UnusableDraw("camera_in_obstacle")
