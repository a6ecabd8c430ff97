"""What a camera that is carried, stands, pans or zooms sees of a photograph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.photographs.pictures import Panorama, Photograph, RadianceField, Still, read
from pipeline.engines.render.appearance.fleet import Fleet
from pipeline.engines.render.appearance.lens import FisheyeLens, Lens, PinholeLens
from pipeline.engines.render.motion import BodyMotion, Mount, Movement, draw_mount
from pipeline.engines.take import VideoFormat

Array = NDArray[np.float32]

_FOV_DEG = 50.0, 105.0
# A wider view of a flat photograph would show the rest of its surroundings.
_FLAT_FOV_DEG = 50.0, 75.0
_SMALLEST_FOV_DEG = 42.0
# Straight lines at the edge of a wider rectilinear view look drawn out.
_WIDEST_PINHOLE_DEG = 80.0
_FISHEYE_SHARE = 0.4
_PITCH_DEG, _FLAT_PITCH_DEG = (-15.0, 9.0), (-4.0, 4.0)
_LOOK_SHARE, _LOOK_DEG, _FLAT_LOOK_DEG = 0.5, (3.0, 40.0), (2.0, 12.0)
_WALK_SHARE, WALK_M_S = 0.4, (0.5, 1.7)
_RUN_SHARE, _RUN_M_S = 0.08, (2.2, 3.2)
AHEAD_M = 6.0, 40.0
_ZOOM_SHARE, _LARGEST_ZOOM = 0.35, 1.6
# Of so many headings the one is taken that has most in sight, which no empty wall has.
_NUM_HEADINGS, _ASIDE_RAD, _COARSE = 2, 0.6, 6
_LARGEST_SMEAR_PX, _MOST_SAMPLES = 1.0, 5


@dataclass(frozen=True)
class Zoom:
    """Scales the picture about its centre from `first` to `last` over a recording."""

    first: float
    last: float
    duration_s: float

    def at(self, time_s: float) -> float:
        """Return the scale at a time in seconds, 1 for the field of view of the lens."""
        share = min(max(time_s / self.duration_s, 0.0), 1.0)
        return float(self.first * (self.last / self.first) ** share)


class Zooming(Protocol):
    """A scale of the picture that changes."""

    @property
    def first(self) -> float:
        """The scale at the start."""
        ...

    @property
    def last(self) -> float:
        """The scale at the end."""
        ...

    def at(self, time_s: float) -> float:
        """Return the scale at a time in seconds, 1 for the field of view of the lens."""
        ...


class PhotographView:
    """What one camera of a fleet sees of a photograph, about a heading in radians."""

    def __init__(
        self,
        rng: np.random.Generator,
        source: Photograph,
        fleet: Fleet,
        heading: float,
        form: VideoFormat,
        duration_s: float,
    ) -> None:
        self._source, self._format = source, form
        flat = source.is_flat
        self._fov_deg = float(rng.uniform(*(_FLAT_FOV_DEG if flat else _FOV_DEG)))
        self._lens = self._draw_lens(rng, rng.uniform(*fleet.k1))
        self._mount = draw_mount(rng, fleet.mounts[rng.integers(len(fleet.mounts))])
        pitch_deg = rng.uniform(*(_FLAT_PITCH_DEG if flat else _PITCH_DEG))
        mount = replace(self._mount, pitch_deg=pitch_deg, yaw_deg=0.0)
        self._movement = self._draw_movement(rng, mount, duration_s)
        self._motion = BodyMotion(rng, self._movement, mount, duration_s)
        self._zoom: Zooming = self._draw_zoom(rng, duration_s)
        self.readout_s = float(rng.uniform(*fleet.readout_ms) / 1000)
        self._zoomed: dict[float, Array] = {}
        self._picture = self._hang(rng, heading, duration_s)

    def _draw_lens(self, rng: np.random.Generator, k1: float) -> Lens:
        width, height = self._format.width, self._format.height
        if self._fov_deg > _WIDEST_PINHOLE_DEG or rng.random() < _FISHEYE_SHARE:
            return FisheyeLens(width, height, self._fov_deg, k1)
        return PinholeLens(width, height, self._fov_deg)

    def _draw_movement(self, rng: np.random.Generator, mount: Mount, duration_s: float) -> Movement:
        """Draw a walk, a run or neither, at any length, and a look around or none."""
        return _draw_movement(rng, mount, _FLAT_LOOK_DEG if self._source.is_flat else _LOOK_DEG)

    @property
    def _most_zoom(self) -> float:
        half, smallest = np.radians((self._fov_deg / 2, _SMALLEST_FOV_DEG / 2))
        return min(_LARGEST_ZOOM, float(np.tan(half) / np.tan(smallest)))

    def _draw_zoom(self, rng: np.random.Generator, duration_s: float) -> Zooming:
        """Draw a zoom, or what a walk towards all that is ahead looks like in a photograph."""
        most = self._most_zoom
        first = last = 1.0
        if self._movement.speed > 0:
            ahead = np.exp(rng.uniform(*np.log(AHEAD_M)))
            last = min(most, float(np.exp(self._movement.speed * duration_s / ahead)))
        elif rng.random() < _ZOOM_SHARE:
            first, last = (float(one) for one in np.exp(rng.uniform(0, np.log(most), 2)))
        return Zoom(first, last, duration_s)

    def _hang(self, rng: np.random.Generator, heading: float, duration_s: float) -> RadianceField:
        stored = read(self._source)
        if not self._source.is_flat:
            headings = heading + rng.uniform(-_ASIDE_RAD, _ASIDE_RAD, _NUM_HEADINGS)
            return max((Panorama(stored, float(one)) for one in headings), key=self._detail)
        across, down = np.linspace(0, self._format.width, 9), np.linspace(0, self._format.height, 9)
        rays = self._lens.directions(*np.meshgrid(across, down)).reshape(-1, 3)
        turns, _ = self._motion.camera(np.arange(0, duration_s + 0.1, 0.01))
        return Still(rng, stored, np.einsum("nij,mj->nmi", turns, rays).reshape(-1, 3))

    def _detail(self, picture: RadianceField) -> float:
        """Return how much a picture holds in sight: its mean gradient, radiance compressed."""
        seen = self._seen(picture, np.zeros(self._format.height), 1.0, _COARSE)
        value = seen / (1 + seen)
        return sum(float(np.abs(np.diff(value, axis=axis)).mean()) for axis in (0, 1))

    @property
    def viewpoint(self) -> str:
        """How the camera is carried, for the index."""
        return {"fixed": "fixed", "hand": "hand-held"}.get(self._mount.where, "body")

    @property
    def where(self) -> str:
        """What the camera is mounted on, as `motion.Mount` has it."""
        return self._mount.where

    @property
    def steps_s(self) -> tuple[float, ...]:
        """When a foot of who carries the camera strikes the ground, in seconds."""
        return self._motion.steps_s() if self._movement.speed > 0 else ()

    @property
    def running(self) -> bool:
        """Whether the camera is carried at a run."""
        return self._movement.speed >= _RUN_M_S[0]

    @property
    def notes(self) -> str:
        """What was drawn, for the index."""
        lens = "fisheye" if isinstance(self._lens, FisheyeLens) else "pinhole"
        return (
            f"photograph={self._source.name}, field={self._fov_deg:.0f}, lens={lens}, "
            f"speed={self._movement.speed:.1f}, look={self._movement.look_deg:.0f}, "
            f"zoom={self._zoom.last / self._zoom.first:.2f}"
        )

    def radiance(self, start_s: float, exposure_s: float) -> Array:
        """Return the mean radiance (H, W, 3) of an exposure, whose rows are read one by one."""
        height = self._format.height
        zoom = self._zoom.at(start_s)
        rows_s = start_s + self.readout_s * np.arange(height) / height
        num_samples = self._num_samples(start_s, exposure_s, zoom)
        total = np.zeros((height, self._format.width, 3), np.float32)
        for number in range(num_samples):
            times_s = rows_s + exposure_s * (number + 0.5) / num_samples
            total += self._seen(self._picture, times_s, zoom)
        return total / np.float32(num_samples)

    def _seen(
        self, picture: RadianceField, rows_s: NDArray[np.float64], zoom: float, step: int = 1
    ) -> Array:
        """Return radiance of every `step`-th row and column, each row at its time of `rows_s`."""
        turns, _ = self._motion.camera(rows_s[::step])
        rays = self._directions(zoom)[::step, ::step]
        return picture.radiance(np.einsum("hij,hwj->hwi", turns.astype(np.float32), rays))

    def _directions(self, zoom: float) -> Array:
        """Return directions (H, W, 3) of the pixels in the axes of the camera."""
        if zoom not in self._zoomed:
            width, height = self._format.width, self._format.height
            y, x = np.mgrid[0:height, 0:width] + 0.5
            scaled = (x - width / 2) / zoom + width / 2, (y - height / 2) / zoom + height / 2
            self._zoomed = {zoom: self._lens.directions(*scaled).astype(np.float32)}
        return self._zoomed[zoom]

    def _num_samples(self, start_s: float, exposure_s: float, zoom: float) -> int:
        (before, after), _ = self._motion.camera([start_s, start_s + exposure_s])
        smear_px = np.linalg.norm(after - before) * self._lens.pixels_per_radian * zoom
        return int(np.clip(np.ceil(smear_px / _LARGEST_SMEAR_PX), 1, _MOST_SAMPLES))


def _draw_movement(
    rng: np.random.Generator, mount: Mount, look_deg: tuple[float, float]
) -> Movement:
    kind, speed = rng.random(), 0.0
    if mount.where != "fixed" and kind < _WALK_SHARE + _RUN_SHARE:
        speed = float(rng.uniform(*(WALK_M_S if kind < _WALK_SHARE else _RUN_M_S)))
    looks = rng.random() < _LOOK_SHARE
    return Movement(
        start=(0.0, 0.0),
        heading=0.0,
        speed=speed,
        look_deg=float(np.exp(rng.uniform(*np.log(look_deg)))) if looks else 0.0,
        steadiness=float(np.exp(rng.normal(0, 0.35))),
    )
