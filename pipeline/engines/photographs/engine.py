"""`record`: one photograph, one camera that is carried, stands, pans or zooms."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.config import RenderSettings
from pipeline.engines import damage
from pipeline.engines.photographs.pictures import SOURCES, Panorama, Picture, Source, Still, read
from pipeline.engines.render.look.camera import LUMA, AutoExposure, SensorCamera
from pipeline.engines.render.look.fleet import FLEETS, CameraProfile, Fleet, draw_camera
from pipeline.engines.render.look.lens import FisheyeLens, Lens, PinholeLens
from pipeline.engines.render.look.overlay import TextLayer, draw_text
from pipeline.engines.render.motion import BodyMotion, Mount, Movement, draw_mount
from pipeline.engines.take import Dropped, Format, Take, draw_format

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

_FOV_DEG = 50.0, 105.0
# A wider view of a flat photograph would show the rest of its surroundings.
_FLAT_FOV_DEG = 50.0, 75.0
_SMALLEST_FOV_DEG = 42.0
# Straight lines at the edge of a wider rectilinear view look drawn out.
_WIDEST_PINHOLE_DEG = 80.0
_PITCH_DEG, _FLAT_PITCH_DEG = (-15.0, 9.0), (-4.0, 4.0)
_LOOK_SHARE, _LOOK_DEG, _FLAT_LOOK_DEG = 0.5, (3.0, 40.0), (2.0, 12.0)
_WALK_SHARE, _RUN_SHARE = 0.4, 0.08
_AHEAD_M = 6.0, 40.0
_ZOOM_SHARE, _LARGEST_ZOOM = 0.35, 1.6
# Of so many headings the one is taken that has most in sight, which no empty wall has.
_NUM_HEADINGS, _ASIDE_RAD, _COARSE = 2, 0.6, 6
# Multiples of the golden ratio look in all directions evenly, however few recordings there are.
_GOLDEN = 0.6180339887498949
_CLEAN_EVERY = 3
_DIM_SHARE, _DIMMEST = 0.5, 0.05
_LARGEST_SMEAR_PX, _MOST_SAMPLES = 1.0, 5
_BLANK_DEVIATION = 6.0


def record(seed: int, index: int, settings: RenderSettings) -> list[Take]:
    """Film the photograph of an index: a pure function of its arguments.

    Indices take the photographs in turn. Nothing is ever discharged.

    Raises:
        UserError: a height that cannot be encoded, or a photograph that is not installed.
        Dropped: the camera sees nothing but one surface.
    """
    source = SOURCES[index % len(SOURCES)]
    form = draw_format(seed, index, "photographs", settings.heights, settings.rates_fps)
    rng = np.random.default_rng([seed, index, zlib.crc32(b"photographs")])
    fleet = FLEETS[index % len(FLEETS)]
    view = _View(rng, source, fleet, _heading(seed, index), form, settings.duration_s)
    is_clean = index % _CLEAN_EVERY == 0
    frames, overlay = view.film(rng, settings.duration_s, is_clean)
    name = f"photograph-{source.name}-{index:05d}"
    return [
        Take(
            name=name,
            frames=damage.suffer(frames, rng.spawn(1)[0]),
            format=form,
            origin="real",
            source=f"photograph-{source.name}",
            recording=name,
            discharges_s=(),
            viewpoint=view.viewpoint,
            licence=source.licence,
            authority=source.authority,
            notes=f"{view.notes}, clean={'yes' if is_clean else 'no'}, overlay={overlay}",
        )
    ]


def _heading(seed: int, index: int) -> float:
    source, turn = SOURCES[index % len(SOURCES)], index // len(SOURCES)
    start = np.random.default_rng([seed, zlib.crc32(source.name.encode())]).random()
    return float(2 * np.pi * (start + turn * _GOLDEN))


@dataclass(frozen=True)
class _Zoom:
    """Scales the picture about its centre from `first` to `last` over a recording."""

    first: float
    last: float
    duration_s: float

    def at(self, time_s: float) -> float:
        share = min(max(time_s / self.duration_s, 0.0), 1.0)
        return float(self.first * (self.last / self.first) ** share)


class _View:
    """What one camera of a fleet sees of a photograph."""

    def __init__(
        self,
        rng: np.random.Generator,
        source: Source,
        fleet: Fleet,
        heading: float,
        form: Format,
        duration_s: float,
    ) -> None:
        self._source, self._fleet, self._format = source, fleet, form
        flat = source.is_flat
        self._fov_deg = float(rng.uniform(*(_FLAT_FOV_DEG if flat else _FOV_DEG)))
        self._lens = self._draw_lens(rng)
        self._mount = draw_mount(rng, fleet.mounts[rng.integers(len(fleet.mounts))])
        pitch_deg = rng.uniform(*(_FLAT_PITCH_DEG if flat else _PITCH_DEG))
        mount = replace(self._mount, pitch_deg=pitch_deg, yaw_deg=0.0)
        self._movement = _draw_movement(rng, mount, _FLAT_LOOK_DEG if flat else _LOOK_DEG)
        self._motion = BodyMotion(rng, self._movement, mount, duration_s)
        self._zoom = self._draw_zoom(rng, duration_s)
        self._readout_s = rng.uniform(*fleet.readout_ms) / 1000
        self._zoomed: dict[float, Array] = {}
        self._picture = self._hang(rng, heading, duration_s)

    def _draw_lens(self, rng: np.random.Generator) -> Lens:
        width, height = self._format.width, self._format.height
        k1 = rng.uniform(*self._fleet.k1)
        if self._fov_deg > _WIDEST_PINHOLE_DEG or rng.random() < 0.4:
            return FisheyeLens(width, height, self._fov_deg, k1)
        return PinholeLens(width, height, self._fov_deg)

    def _draw_zoom(self, rng: np.random.Generator, duration_s: float) -> _Zoom:
        """Draw a zoom, or what a walk towards all that is ahead looks like in a photograph."""
        half, smallest = np.radians((self._fov_deg / 2, _SMALLEST_FOV_DEG / 2))
        most = min(_LARGEST_ZOOM, float(np.tan(half) / np.tan(smallest)))
        if self._movement.speed > 0:
            ahead = np.exp(rng.uniform(*np.log(_AHEAD_M)))
            return _Zoom(
                1.0, min(most, np.exp(self._movement.speed * duration_s / ahead)), duration_s
            )
        if rng.random() < _ZOOM_SHARE:
            ends = np.exp(rng.uniform(0, np.log(most), 2))
            return _Zoom(float(ends[0]), float(ends[1]), duration_s)
        return _Zoom(1.0, 1.0, duration_s)

    def _hang(self, rng: np.random.Generator, heading: float, duration_s: float) -> Picture:
        encoded = read(self._source)
        if not self._source.is_flat:
            headings = heading + rng.uniform(-_ASIDE_RAD, _ASIDE_RAD, _NUM_HEADINGS)
            return max((Panorama(encoded, float(one)) for one in headings), key=self._detail)
        width, height = self._format.width, self._format.height
        rim = self._lens.directions(
            np.r_[
                np.linspace(0, width, 9), np.linspace(0, width, 9), np.zeros(9), np.full(9, width)
            ],
            np.r_[
                np.zeros(9),
                np.full(9, height),
                np.linspace(0, height, 9),
                np.linspace(0, height, 9),
            ],
        )
        turns, _ = self._motion.camera(np.arange(0, duration_s + 0.1, 0.01))
        return Still(rng, encoded, np.einsum("nij,mj->nmi", turns, rim).reshape(-1, 3))

    def _detail(self, picture: Picture) -> float:
        """Return how much a picture holds in sight: its mean gradient, radiance compressed."""
        seen = picture.radiance(self._rays(0.0)[::_COARSE, ::_COARSE])
        value = seen / (1 + seen)
        return sum(float(np.abs(np.diff(value, axis=axis)).mean()) for axis in (0, 1))

    @property
    def viewpoint(self) -> str:
        """How the camera is carried, for the index."""
        return {"fixed": "fixed", "hand": "hand-held"}.get(self._mount.where, "body")

    @property
    def notes(self) -> str:
        """What was drawn, for the index."""
        lens = "fisheye" if isinstance(self._lens, FisheyeLens) else "pinhole"
        return (
            f"photograph={self._source.name}, field={self._fov_deg:.0f}, lens={lens}, "
            f"speed={self._movement.speed:.1f}, look={self._movement.look_deg:.0f}, "
            f"zoom={self._zoom.last / self._zoom.first:.2f}"
        )

    def film(
        self, rng: np.random.Generator, duration_s: float, is_clean: bool
    ) -> tuple[NDArray[np.uint8], str]:
        """Return frames uint8 (T, H, W, 3) and what lies over them.

        Raises:
            Dropped: `blank`.
        """
        form, source = self._format, self._source
        profile = draw_camera(rng, self._fleet, form.fps, source.indoors)
        level = source.level * np.exp(rng.normal(0, 0.4))
        if is_clean:
            profile = _clean(profile)
        elif rng.random() < _DIM_SHARE:
            level *= np.exp(rng.uniform(np.log(_DIMMEST), 0))
        first = self._radiance(0.0, 0.0) * np.float32(level)
        exposure = AutoExposure(profile, form.width, form.height, first)
        camera = SensorCamera(rng, profile, form.width, form.height)
        text = draw_text(rng, self._fleet.layouts)
        layer = None if text is None else TextLayer(text, form.width, form.height)
        frames = np.empty((form.num_frames(duration_s), form.height, form.width, 3), np.uint8)
        for number, frame in enumerate(frames):
            start_s = number / form.fps
            exposure_ms, gain = exposure.settings()
            radiance = self._radiance(start_s, exposure_ms / 1000) * np.float32(level)
            image = camera.optics(radiance)
            signal = camera.expose(image, exposure_ms, gain, start_s, self._readout_s)
            picture = camera.develop(signal, gain)
            exposure.observe(image, 1 / form.fps)
            if layer is not None:
                picture = layer.over(picture, start_s)
            frame[:] = 255 * picture + np.float32(0.5)
        if float((frames @ LUMA).std(axis=(1, 2)).mean()) < _BLANK_DEVIATION:
            raise Dropped("blank")
        return frames, "none" if text is None else "timestamp"

    def _rays(self, time_s: float) -> Array:
        """Return directions (H, W, 3) of the pixels, in the world, as if all were read at once."""
        (turn,), _ = self._motion.camera([time_s])
        return np.asarray(self._directions(self._zoom.at(time_s)) @ turn.T.astype(np.float32))

    def _directions(self, zoom: float) -> Array:
        """Return directions (H, W, 3) of the pixels in the axes of the camera."""
        if zoom not in self._zoomed:
            width, height = self._format.width, self._format.height
            y, x = np.mgrid[0:height, 0:width] + 0.5
            self._zoomed = {
                zoom: self._lens.directions(
                    width / 2 + (x - width / 2) / zoom, height / 2 + (y - height / 2) / zoom
                ).astype(np.float32)
            }
        return self._zoomed[zoom]

    def _radiance(self, start_s: float, exposure_s: float) -> Array:
        """Return the mean radiance (H, W, 3) of an exposure, whose rows are read one by one."""
        form = self._format
        zoom = self._zoom.at(start_s)
        rays = self._directions(zoom)
        rows_s = start_s + self._readout_s * np.arange(form.height) / form.height
        num_samples = self._num_samples(start_s, exposure_s, zoom)
        total = np.zeros((form.height, form.width, 3), np.float32)
        for number in range(num_samples):
            turns, _ = self._motion.camera(rows_s + exposure_s * (number + 0.5) / num_samples)
            total += self._picture.radiance(rays @ turns.transpose(0, 2, 1).astype(np.float32))
        return total / np.float32(num_samples)

    def _num_samples(self, start_s: float, exposure_s: float, zoom: float) -> int:
        (before, after), _ = self._motion.camera([start_s, start_s + exposure_s])
        smear_px = np.linalg.norm(after - before) * self._lens.pixels_per_radian * zoom
        return int(np.clip(np.ceil(smear_px / _LARGEST_SMEAR_PX), 1, _MOST_SAMPLES))


def _draw_movement(
    rng: np.random.Generator, mount: Mount, look_deg: tuple[float, float]
) -> Movement:
    kind, speed = rng.random(), 0.0
    if mount.where != "fixed" and kind < _WALK_SHARE + _RUN_SHARE:
        speed = rng.uniform(0.5, 1.7) if kind < _WALK_SHARE else rng.uniform(2.2, 3.2)
    looks = rng.random() < _LOOK_SHARE
    return Movement(
        start=(0.0, 0.0),
        heading=0.0,
        speed=float(speed),
        look_deg=float(np.exp(rng.uniform(*np.log(look_deg)))) if looks else 0.0,
        steadiness=float(np.exp(rng.normal(0, 0.35))),
    )


def _clean(profile: CameraProfile) -> CameraProfile:
    """Return a camera whose picture nobody would notice: little noise, no dirt, no flicker."""
    return replace(
        profile,
        vignette=0.3 * profile.vignette,
        aberration=0.3 * profile.aberration,
        veil=0.004,
        bloom=0.015,
        flare=5e-4,
        dirt=0.0,
        exposure_bias=0.0,
        flicker=0.0,
        cast=(1.0, 1.0, 1.0),
        balance=(1.0, 1.0, 1.0),
        balance_error=(0.0, 0.0),
        balance_hunt=0.0,
        full_well=5e6,
        read_noise=0.5,
        black_level=0.0,
    )
