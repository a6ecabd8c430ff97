"""A long recording by one body camera: people are traced only while they may be seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.engines.acoustics import surroundings
from pipeline.engines.render.appearance import recorder
from pipeline.engines.render.appearance.effects import CameraPose, row_overlap
from pipeline.engines.render.appearance.fleet import draw_camera
from pipeline.engines.render.appearance.lens import FisheyeLens, Lens
from pipeline.engines.render.appearance.lights import Sparks
from pipeline.engines.render.appearance.overlay import CameraText
from pipeline.engines.render.camera_take import fleet_of
from pipeline.engines.render.episodes import Episode, is_in_sight, people_at, write_watched
from pipeline.engines.render.events import draw_events
from pipeline.engines.render.motion import BodyMotion, draw_mount
from pipeline.engines.render.raytrace import CameraSample, RowPoses, Tracer
from pipeline.engines.render.script import Script
from pipeline.engines.render.sound import Listener, camera_microphone
from pipeline.engines.render.staged_view import NUM_SAMPLES, StagedView, draw_sun, row_times
from pipeline.engines.render.surround import Surround
from pipeline.engines.render.world.lighting import LitWorld
from pipeline.engines.take import VideoFormat

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

_GOLDEN = 0.6180339887498949
# As `Tracer` samples the pixels, so that nothing changes where tracing begins.
_PLACES = [((k + 0.5) / NUM_SAMPLES, (0.5 + _GOLDEN * k) % 1) for k in range(NUM_SAMPLES)]
_NUM_BAKED = 2
_SHADOW_M = 1.7
"""Radius of the ground that a person darkens."""
_FAR_M = 1000.0
_PUFF_M, _SEEN_LIVES = 1.0, 4.0


@dataclass(frozen=True)
class Later:
    """The motion of a recording in the time of an episode, which starts later."""

    motion: BodyMotion
    start_s: float

    def camera(self, times_s: ArrayLike) -> tuple[Vector, Vector]:
        """Return the camera's rotations (N, 3, 3) and places (N, 3) at (N,) times."""
        return self.motion.camera(np.atleast_1d(times_s) + self.start_s)

    def body(self, times_s: ArrayLike) -> tuple[Vector, Vector]:
        """Return the body's rotations (N, 3, 3) and places (N, 3) at (N,) times."""
        return self.motion.body(np.atleast_1d(times_s) + self.start_s)


class LongCameraTake:
    """Films a place, where nothing but people moves, with one camera that only turns."""

    origin: ClassVar[str] = "real"
    family: ClassVar[str] = "bodycam"
    can_bar: ClassVar[bool] = True

    def __init__(self, place: Script, format: VideoFormat) -> None:
        self.format, self.fleet = format, fleet_of(place.cell)
        rng = self._rng = place.rng("camera")
        width, height = format.width, format.height
        self._lens = FisheyeLens(
            width, height, rng.uniform(*self.fleet.fov_deg), rng.uniform(*self.fleet.k1)
        )
        self._half_rad = _half_angle(self._lens)
        self.script, movement = write_watched(place, self._half_rad)
        self._readout_s = rng.uniform(*self.fleet.readout_ms) / 1000
        mount = self.mount = draw_mount(
            rng, self.fleet.mounts[rng.integers(len(self.fleet.mounts))]
        )
        self._motion = BodyMotion(place.rng("motion"), movement, mount, place.duration_s)
        self.eye = self._motion.camera([0.0])[1][0]
        tracer = Tracer(place.world, self._lens, width, height)
        self._surround = Surround(
            partial(_still, place.world, self.eye, rng), self._lens, width, height
        )
        self._views = [
            _EpisodeView(one, tracer, self._lens, self._motion, self._readout_s, rng)
            for one in self.script.episodes
        ]
        self._far = np.full((height, width), _FAR_M if self._sees_sun() else 0.0, np.float32)
        self.text: CameraText | None = None

    @property
    def model(self) -> str:
        """The name of the fleet."""
        return self.fleet.name

    @property
    def overlay(self) -> str:
        """What lies over the picture; known once it is rendered."""
        return "none" if self.text is None else "timestamp"

    @property
    def viewpoint(self) -> str:
        """How the camera is carried, for the index."""
        return {"fixed": "fixed", "hand": "hand-held"}.get(self.mount.where, "body")

    def frames(self) -> NDArray[np.uint8]:
        """Render uint8 (T, H, W, 3).

        Raises:
            UnusableDraw: nothing is to be seen.
        """
        place = self.script.place
        profile = draw_camera(self._rng, self.fleet, self.format.fps, len(place.plan.lamps) > 0)
        result, self.text = recorder.film(
            self._rng,
            profile,
            self.fleet.layouts,
            self.format,
            place.duration_s,
            self._readout_s,
            self._looked_up(0.0, 0.0),
            self.radiance,
        )
        for episode in self.script.episodes:
            first = round(episode.start_s * self.format.fps)
            episode.script.blank(result[first:], self.format.fps)
        return result

    def listeners(self) -> list[Listener]:
        """Return the camera's microphone, which stays where it is, for every episode."""
        place = self.script.place
        rng = place.rng("sound camera")
        listener = Listener(
            capture=camera_microphone(rng, self.mount.where, place.duration_s),
            place=lambda _: self.eye,
            muzzle=None,
            steps_s=(),
            level_db=surroundings.draw_level_db(rng),
            has_voice=self.mount.where != "fixed",
        )
        return [listener] * len(self.script.episodes)

    def radiance(self, start_s: float, exposure_s: float) -> Array:
        """Return the radiance (H, W, 3) of an exposure: traced where something happens in it."""
        turns, _ = self._motion.camera([start_s + (self._readout_s + exposure_s) / 2])
        for view in self._views:
            if view.shows(start_s, exposure_s, (-turns[0][:, 2], self.eye), self._half_rad):
                return view.radiance(start_s, exposure_s)
        return self._looked_up(start_s, exposure_s)

    def _looked_up(self, start_s: float, exposure_s: float) -> Array:
        turns = []
        for number in range(NUM_SAMPLES):
            times_s = row_times(start_s, self._readout_s, exposure_s, self.format.height, number)
            turns.append(self._motion.camera(times_s)[0])
        image = self._surround.radiance(turns, _PLACES)
        rows_s = start_s + self._readout_s * np.arange(self.format.height) / self.format.height
        room = self.script.room_light(rows_s + exposure_s / 2)
        image *= room[:, None, None].astype(np.float32)
        (turn,), _ = self._motion.camera([start_s + (self._readout_s + exposure_s) / 2])
        draw_sun(self.script.place, image, self._far, CameraPose(turn, self.eye, self._lens))
        return image

    def _sees_sun(self) -> bool:
        """Tell whether nothing stands between the camera and the sun."""
        world = self.script.place.world
        eye, sun = self.eye[None].astype(np.float32), world.sky.sun[None].astype(np.float32)
        far = np.array([_FAR_M], np.float32)
        return not bool(world.accelerator.occluded(eye, sun, far)[0])


class _EpisodeView:
    """What a camera sees of an episode, and when that is more than its place."""

    def __init__(
        self,
        episode: Episode,
        tracer: Tracer,
        lens: Lens,
        motion: BodyMotion,
        readout_s: float,
        rng: np.random.Generator,
    ) -> None:
        script = episode.script
        self._episode, self._readout_s, self._height = episode, readout_s, tracer.height
        events = draw_events(script, None, script.rng("events"))
        later = Later(motion, episode.start_s)
        self._there = StagedView(script, tracer, lens, later, readout_s, events, rng)
        self._flashes = events.flashes
        puffs = [*events.puffs, *(puff for one in script.incidents for puff in one.puffs)]
        sparks = [burst for one in script.incidents for burst in one.sparks]
        self._in_the_air = [
            (puff.start_s, puff.start_s + _SEEN_LIVES * puff.life_s, puff.place, _PUFF_M)
            for puff in puffs
        ] + [
            (one.start_s, one.start_s + float(one.lives_s.max()), one.place, _reach_m(one))
            for one in sparks
        ]

    def shows(
        self, start_s: float, exposure_s: float, view: tuple[Vector, Vector], half_rad: float
    ) -> bool:
        """Tell whether anything of the episode may be seen in an exposure, or lights it."""
        episode, script = self._episode, self._episode.script
        time_s = start_s - episode.start_s
        until_s = time_s + self._readout_s + exposure_s
        near = []
        if episode.from_s <= start_s < episode.to_s:
            near = [(point, _SHADOW_M) for point in people_at(script, time_s)]
        near += [
            (place, radius_m)
            for first_s, last_s, place, radius_m in self._in_the_air
            if first_s <= until_s and time_s <= last_s
        ]
        if any(is_in_sight(point, radius_m, view, half_rad) for point, radius_m in near):
            return True
        if any(
            row_overlap(flash, time_s, self._readout_s, exposure_s, self._height).any()
            for flash in self._flashes
        ):
            return True
        return bool(script.shining(time_s, self._readout_s, exposure_s, self._height))

    def radiance(self, start_s: float, exposure_s: float) -> Array:
        """Return the radiance (H, W, 3) of an exposure, traced."""
        return self._there.radiance(start_s - self._episode.start_s, exposure_s)


def _reach_m(sparks: Sparks) -> float:
    """How far the fastest spark of a burst gets."""
    return float(np.linalg.norm(sparks.velocities, axis=1).max() / sparks.drag) + 1.0


def _half_angle(lens: Lens) -> float:
    """How far from its axis a lens sees, in radians, at a corner of the picture."""
    return float(np.arccos(-lens.directions(0, 0)[2]))


def _still(
    world: LitWorld, eye: Vector, rng: np.random.Generator, lens: Lens, size: int, turn: Vector
) -> Array:
    """Trace a world without anybody in it from one place, (size, size, 3)."""
    tracer = Tracer(world, lens, size, size)
    turns, places = np.tile(turn, (size, 1, 1)), np.tile(eye, (size, 1))
    samples = [CameraSample(RowPoses(turns, places, turns, places))] * _NUM_BAKED
    nobody = np.zeros((0, 2), np.float32)
    return tracer.trace(rng, samples, None, nobody, None).radiance
