"""One frame of radiance: rays, nearest hits over three surfaces, light and shadows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render import kernels
from pipeline.engines.render import shading as shaders
from pipeline.engines.render.appearance.lens import Lens
from pipeline.engines.render.kernels import PEOPLE, STATIC, WEARER, Hits, SurfaceArrays
from pipeline.engines.render.shading import Shading
from pipeline.engines.render.world.embree import Accelerator
from pipeline.engines.render.world.lighting import LitWorld

Array = NDArray[np.float32]
Vector = NDArray[np.float64]
Moving = tuple[SurfaceArrays, Accelerator]

_CONTACT_REACH_M = 1.6
_CONTACT_RAY_M = 0.9
_CONTACT_SHADE = np.float32(0.3)
# The generalised golden ratio of two dimensions (see `Tracer.trace`).
_LENS_STEP = np.float32(1.3247) ** -np.arange(1, 3, dtype=np.float32)[:, None]
_SKIN_OFFSET = np.float32(0.004)
_NUM_DIMENSIONS = 7
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class RowPoses:
    """Camera and body pose of each of H rows: rotations (H, 3, 3) and places (H, 3)."""

    camera_turn: Vector
    camera_place: Vector
    body_turn: Vector
    body_place: Vector


@dataclass(frozen=True)
class PointLight:
    """A flash or torch of one sample: `place` and `axis` (H, 3), `row_weight` (H,).

    `cosines` bound the cone (inner, outer); `spill` is the share that returns from the walls.
    """

    place: Vector
    axis: Vector
    row_weight: Vector
    intensity: Vector
    cosines: tuple[float, float] = (-0.9, -1.1)
    spill: float = 0.0


@dataclass(frozen=True)
class Aperture:
    """The opening of a thin lens, and how far ahead along its axis the plane of focus lies."""

    radius_m: float
    focus_m: float


@dataclass(frozen=True)
class CameraSample:
    """One sample of every pixel; without an `aperture` everything is in focus."""

    poses: RowPoses
    lights: tuple[PointLight, ...] = ()
    aperture: Aperture | None = None


@dataclass(frozen=True)
class Traced:
    """Linear radiance (H, W, 3); depth in metres and surface code of one sample (H, W)."""

    radiance: Array
    depth: Array
    surface: NDArray[np.int8]


def _draw_pattern(rng: np.random.Generator, num_dimensions: int, width: int, height: int) -> Array:
    """Draw where each pixel samples, (num_dimensions, height * width) in [0, 1).

    Interleaved gradient noise: any 3 × 3 pixels sample evenly, so that a lens that blurs by half
    a pixel leaves little grain (Jimenez, "Next generation post processing", SIGGRAPH 2014).
    """
    y, x = np.mgrid[0:height, 0:width].reshape(2, 1, -1)
    place = rng.uniform(0, 1024, (2, num_dimensions, 1))
    inner = np.modf(0.06711056 * (x + place[0]) + 0.00583715 * (y + place[1]))[0]
    pattern = np.modf(52.9829189 * inner)[0].astype(np.float32)
    return np.asarray(np.minimum(pattern, np.nextafter(np.float32(1), np.float32(0))))


class Tracer:
    """Traces frames of one world through one lens at one size."""

    def __init__(self, world: LitWorld, lens: Lens, width: int, height: int) -> None:
        self._world, self._width, self._height = world, width, height
        x, y = np.meshgrid(np.arange(width + 1), np.arange(height + 1))
        self._grid = lens.directions(x, y).astype(np.float32)
        self._pixel_angle = np.float32(1 / lens.pixels_per_radian)
        count = width * height
        self._shading = shaders.empty_shading(count)
        self._pattern: Array | None = None
        self._origins, self._directions = (np.empty((count, 3), np.float32) for _ in range(2))

    @property
    def height(self) -> int:
        """Number of rows of a frame."""
        return self._height

    def trace(
        self,
        rng: np.random.Generator,
        samples: list[CameraSample],
        people: Moving | None,
        feet: Array,
        arms: Moving | None,
        jittered: bool = True,
    ) -> Traced:
        """Trace one frame.

        `people` and the wearer's `arms` (in the body's frame) are the moving surfaces of this
        frame; `feet` (P, 2) where people stand. Pixels are sampled each at other points, the same
        in every frame, for the grain of sampling would tell a renderer from a camera; or, not
        `jittered`, all alike: hard shadows.
        """
        count = self._width * self._height
        total = np.zeros((count, 3), np.float32)
        depth, surface = np.empty(0, np.float32), np.empty(0, np.int8)
        if self._pattern is None:
            self._pattern = _draw_pattern(rng, _NUM_DIMENSIONS + 2, self._width, self._height)
        start, on_lens = np.split(self._pattern, [_NUM_DIMENSIONS])
        # The generalised golden ratio spreads few samples well in several dimensions
        # (Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018).
        step = np.float32(1.07) ** -np.arange(1, _NUM_DIMENSIONS + 1, dtype=np.float32)
        for index, sample in enumerate(samples):
            random = start + step[:, None] * np.float32(index)
            random -= np.floor(random)
            if not jittered:
                random[:] = (0.5 + step[:, None] * np.float32(index)) % np.float32(1)
            # The place within the pixel is the same for all: at edges, other places show as dots.
            random[0] = (index + 0.5) / len(samples)
            random[1] = (0.5 + _GOLDEN * index) % 1 if jittered else random[0]
            self._aim(sample, random, on_lens, index)
            hits, shading = self._visible(sample.poses, people, arms, random)
            self._add_light(sample, hits, shading, people, feet, random, total)
            if index == 0:
                depth, surface = hits.distance, hits.surface
        total /= np.float32(len(samples))
        shape = self._height, self._width
        return Traced(total.reshape(*shape, 3), depth.reshape(shape), surface.reshape(shape))

    def _aim(self, sample: CameraSample, random: Array, on_lens: Array, index: int) -> None:
        origins, directions, poses = self._origins, self._directions, sample.poses
        turn, place = poses.camera_turn.astype(np.float32), poses.camera_place.astype(np.float32)
        kernels.camera_rays(self._grid, random[:2], turn, place, origins, directions)
        if sample.aperture is not None:
            lens = on_lens + _LENS_STEP * np.float32(index)
            lens -= np.floor(lens)
            radius, focus = sample.aperture.radius_m, sample.aperture.focus_m
            kernels.through_lens(
                turn, self._width, lens, np.float32(radius), np.float32(focus), origins, directions
            )

    def _visible(
        self, poses: RowPoses, people: Moving | None, arms: Moving | None, random: Array
    ) -> tuple[Hits, Shading]:
        world, shading = self._world, self._shading
        origins, directions = self._origins, self._directions
        triangle, u, v, distance = world.accelerator.nearest(origins, directions)
        surface = np.where(triangle < 0, -1, STATIC).astype(np.int8)
        hits = Hits(surface, triangle, u, v, distance)
        surfaces = [(STATIC, world.arrays)]
        if people is not None:
            kernels.keep_nearest(hits, PEOPLE, *people[1].nearest(origins, directions))
            surfaces.append((PEOPLE, people[0]))
        body_turn = poses.body_turn.astype(np.float32)
        if arms is not None:
            local = np.empty_like(origins), np.empty_like(directions)
            body_place = poses.body_place.astype(np.float32)
            kernels.into_frame(body_turn, body_place, self._width, origins, directions, *local)
            kernels.keep_nearest(hits, WEARER, *arms[1].nearest(*local))
            surfaces.append((WEARER, arms[0]))
        for code, arrays in surfaces:
            shaders.shade(
                code,
                hits,
                origins,
                directions,
                arrays,
                world.atlas,
                world.lamps,
                random[2:5],
                body_turn,
                self._pixel_angle,
                shading,
            )
        if world.backdrop is not None:
            back = world.backdrop
            level = np.float32(back.level)
            shaders.shade_backdrop(
                hits, back.num_triangles, back.radiance, back.centre, level, shading
            )
        shaders.shade_sky(hits, directions, world.sky.radiance, shading)
        return hits, shading

    def _add_light(
        self,
        sample: CameraSample,
        hits: Hits,
        shading: Shading,
        people: Moving | None,
        feet: Array,
        random: Array,
        total: Array,
    ) -> None:
        world, count = self._world, len(hits.surface)
        lifted = shading.point + shading.normal * _SKIN_OFFSET
        lamp_share, ambient_share, sun_share = (np.ones(count, np.float32) for _ in range(3))
        near = np.empty(0, np.int64)
        if people is not None:
            near = np.flatnonzero(shaders.near_people(hits, shading, feet, _CONTACT_REACH_M))
            contact = kernels.hemisphere(shading.normal[near], random[5:, near])
            reach = np.full(len(near), _CONTACT_RAY_M, np.float32)
            hidden = people[1].occluded(lifted[near], contact, reach)
            ambient_share[near[hidden]] = _CONTACT_SHADE
        if len(world.lamps.centre):
            moving = np.flatnonzero(hits.surface >= PEOPLE)
            rays = np.concatenate([near, moving])
            lamp_share[
                self._blocked(
                    rays, lifted, shading.lamp_direction, shading.lamp_distance, people, hits
                )
            ] = 0
        if world.sky.sun_light.any():
            sun_share = self._sun_share(hits, shading, lifted, people, random)
        extra = self._point_lights(sample.lights, hits, shading, lifted, people)
        shaders.accumulate(
            shading,
            self._directions,
            world.sky.radiance,
            ambient_share,
            lamp_share,
            world.sky.sun,
            world.sky.sun_light,
            sun_share,
            extra,
            total,
        )

    def _blocked(
        self,
        rays: NDArray[np.int64],
        origins: Array,
        directions: Array,
        distances: Array,
        people: Moving | None,
        hits: Hits,
    ) -> NDArray[np.int64]:
        """Return those of `rays` that meet something; still surfaces know their own shadows."""
        length = distances[rays] * np.float32(0.97)
        hidden = np.zeros(len(rays), np.bool_)
        moving = np.flatnonzero(hits.surface[rays] != STATIC)
        part = rays[moving]
        hidden[moving] = self._world.accelerator.occluded(
            origins[part], directions[part], length[moving]
        )
        if people is not None:
            hidden |= people[1].occluded(origins[rays], directions[rays], length)
        return rays[hidden]

    def _sun_share(
        self, hits: Hits, shading: Shading, lifted: Array, people: Moving | None, random: Array
    ) -> Array:
        sky = self._world.sky
        facing = np.einsum("ij,j->i", shading.normal, sky.sun)
        rays = np.flatnonzero((hits.surface >= 0) & (facing > 0))
        spread = (random[2:5, rays].T - np.float32(0.5)) * np.float32(3 * sky.sun_radius)
        towards = sky.sun + spread
        towards /= np.sqrt((towards * towards).sum(1, keepdims=True))
        far = np.full(len(rays), 1e3, np.float32)
        hidden = self._world.accelerator.occluded(lifted[rays], towards, far)
        if people is not None:
            hidden |= people[1].occluded(lifted[rays], towards, far)
        share = np.ones(len(facing), np.float32)
        share[rays[hidden]] = 0
        return share

    def _point_lights(
        self,
        lights: tuple[PointLight, ...],
        hits: Hits,
        shading: Shading,
        lifted: Array,
        people: Moving | None,
    ) -> Array:
        extra = np.zeros_like(shading.albedo)
        gain, distance = (np.empty(len(extra), np.float32) for _ in range(2))
        direction = np.empty_like(extra)
        for light in lights:
            weight = light.row_weight.astype(np.float32)
            shaders.spotlight(
                shading,
                hits,
                light.place.astype(np.float32),
                light.axis.astype(np.float32),
                (np.float32(light.cosines[0]), np.float32(light.cosines[1])),
                weight,
                gain,
                direction,
                distance,
            )
            rays = np.flatnonzero(gain > 1e-5)
            length = np.maximum(distance[rays] - np.float32(0.1), np.float32(1e-3))
            hidden = self._world.accelerator.occluded(lifted[rays], direction[rays], length)
            if people is not None:
                hidden |= people[1].occluded(lifted[rays], direction[rays], length)
            gain[rays[hidden]] = 0
            if light.spill:
                gain += np.repeat(weight, self._width) * np.float32(light.spill)
            extra += shading.albedo * (gain[:, None] * light.intensity.astype(np.float32))
        return extra
