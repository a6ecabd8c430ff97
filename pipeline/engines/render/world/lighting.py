"""Lamps, sun and sky, and the bake that stores their light at the vertices of a still scene."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.engines.render.kernels import LampArrays, SurfaceArrays, gather, hemisphere
from pipeline.engines.render.world.backdrop import Backdrop
from pipeline.engines.render.world.embree import Accelerator
from pipeline.engines.render.world.geometry import Mesh, unit
from pipeline.engines.render.world.textures import Atlas, turbulence

Array = NDArray[np.float32]

NUM_GATHER_RAYS = 48
NUM_BOUNCES = 3
_LAMP_STRATA = ((-0.3, -0.3), (0.3, -0.3), (-0.3, 0.3), (0.3, 0.3))


@dataclass(frozen=True)
class Lamp:
    """A rectangle that shines; `normal` None shines to all sides. `intensity` is RGB."""

    centre: tuple[float, float, float]
    edge_u: tuple[float, float, float]
    edge_v: tuple[float, float, float]
    normal: tuple[float, float, float] | None
    intensity: ArrayLike


def lamp_arrays(lamps: list[Lamp]) -> LampArrays:
    """Pack lamps for the kernels; no lamps give arrays of length zero."""

    def pack(rows: list[ArrayLike]) -> Array:
        return np.array(rows, np.float32).reshape(len(lamps), 3)

    return LampArrays(
        pack([lamp.centre for lamp in lamps]),
        pack([lamp.edge_u for lamp in lamps]),
        pack([lamp.edge_v for lamp in lamps]),
        pack([lamp.normal or (0, 0, 0) for lamp in lamps]),
        pack([lamp.intensity for lamp in lamps]),
    )


@dataclass(frozen=True)
class Sky:
    """Radiance map (rows by sqrt of the height, columns by azimuth), sun direction and light."""

    radiance: Array = field(default_factory=lambda: np.zeros((2, 4, 3), np.float32))
    sun: Array = field(default_factory=lambda: np.array((0, 0, 1), np.float32))
    sun_light: Array = field(default_factory=lambda: np.zeros(3, np.float32))
    sun_radius: float = 0.01


_ZENITH_HORIZON_CLOUD_SUN = {
    "clear": ((1.6, 3.0, 6.2), (5.2, 6.0, 6.8), (7.5, 7.4, 7.2), (26, 24, 21)),
    "overcast": ((3.2, 3.4, 3.7), (4.2, 4.3, 4.4), (5.0, 5.0, 5.1), (1.2, 1.2, 1.2)),
    "dusk": ((0.10, 0.14, 0.28), (0.75, 0.42, 0.22), (0.4, 0.25, 0.22), (0.5, 0.28, 0.12)),
    "night": ((0.0012, 0.0014, 0.0022), (0.006, 0.005, 0.004), (0.003, 0.003, 0.003), (0, 0, 0)),
}


def draw_sky(rng: np.random.Generator, weather: str) -> Sky:
    """Draw a sky for `weather`: clear, overcast, dusk or night."""
    rows, columns = 64, 256
    zenith, horizon, cloud, sun_light = (
        np.array(x, np.float32) for x in _ZENITH_HORIZON_CLOUD_SUN[weather]
    )
    azimuth, clear_elevation = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.0)
    elevation = {"clear": clear_elevation, "overcast": 0.8, "dusk": 0.12, "night": 0.3}[weather]
    sun = unit(
        (
            np.cos(azimuth) * np.cos(elevation),
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
        )
    ).astype(np.float32)
    cover, shift = rng.uniform(0.35, 0.7), rng.integers(0, 256, 2)
    height = (np.linspace(0, 1, rows) ** 2)[:, None]
    turn = (np.arange(columns) * 2 * np.pi / columns)[None, :]
    flat = np.sqrt(np.maximum(1 - height**2, 0))
    direction = np.stack(
        [flat * np.cos(turn), flat * np.sin(turn), np.broadcast_to(height, (rows, columns))], -1
    )
    radiance = zenith + (horizon - zenith) * ((1 - direction[..., 2:]) ** 3)
    plane = direction[..., :2] / (np.maximum(direction[..., 2:], 0.03) + 0.12)
    noise = turbulence()
    texel = ((plane * 0.12 * 256).astype(int) + shift) % 256
    density = noise[texel[..., 0], texel[..., 1]]
    share = np.clip((density - cover) * 3.5, 0, 1) * np.clip(direction[..., 2] * 6, 0, 1)
    share = (share * (0.6 if weather == "overcast" else 0.85))[..., None]
    radiance = radiance + (cloud * (0.75 + 0.5 * density[..., None]) - radiance) * share
    if weather in ("clear", "dusk"):
        glow = np.maximum((direction * sun).sum(-1), 0) ** 60 * (3 if weather == "clear" else 1)
        radiance = radiance + glow[..., None] * np.array((1, 0.9, 0.7), np.float32)
    radius = 0.25 if weather == "overcast" else 0.01
    return Sky(radiance.astype(np.float32), sun, sun_light, radius)


class LitWorld:
    """A still scene with its baked light.

    Attributes: `arrays` for shading, `accelerator` for rays, `lamps`, `sky`, `atlas`.
    """

    def __init__(
        self,
        mesh: Mesh,
        lamps: list[Lamp],
        sky: Sky,
        atlas: Atlas,
        rng: np.random.Generator,
        backdrop: Backdrop | None = None,
    ) -> None:
        self.sky, self.atlas, self.lamps = sky, atlas, lamp_arrays(lamps)
        self.backdrop = backdrop
        self.accelerator = Accelerator(mesh.vertices, mesh.triangles)
        self._albedo = (atlas.mean[mesh.layer] * mesh.tint).astype(np.float32)
        points = _pull_inside(mesh)
        direct = self._lamp_light(points, mesh.normals)
        sunlight = self._sunlight(points, mesh.normals)
        if backdrop is None:
            ambient = self._bounce(mesh, points, direct + sunlight, rng)
        else:
            # What a photograph shows is lit as it is, and lights the rest.
            self._albedo[: backdrop.num_triangles] = 1
            lit = np.zeros_like(points)
            shell = slice(backdrop.num_vertices)
            lit[shell] = backdrop.seen(mesh.vertices[shell])
            ambient = self._bounce(mesh, points, direct + sunlight + lit, rng)
            ambient[shell] = lit[shell]
        self._outgoing = direct + sunlight + ambient
        self.arrays = SurfaceArrays(
            mesh.triangles,
            mesh.normals,
            mesh.uv,
            ambient,
            direct,
            mesh.layer,
            mesh.tint,
            mesh.emission,
            mesh.gloss,
            mesh.tiles_per_m,
        )

    def _lamp_light(self, points: Array, normals: Array) -> Array:
        light = np.zeros_like(points)
        for centre, edge_u, edge_v, facing, intensity in zip(*self.lamps, strict=True):
            for a, b in _LAMP_STRATA:
                towards = centre + np.float32(a) * edge_u + np.float32(b) * edge_v - points
                square = (towards * towards).sum(1)
                distance = np.sqrt(square)
                towards /= distance[:, None]
                gain = np.maximum((normals * towards).sum(1), 0) / (square + np.float32(0.01))
                if facing.any():
                    gain *= np.maximum(-(towards * facing).sum(1), 0)
                lit = np.flatnonzero(gain > 1e-6)
                blocked = self.accelerator.occluded(
                    points[lit], towards[lit], distance[lit] * np.float32(0.98)
                )
                lit = lit[~blocked]
                light[lit] += (gain[lit, None] * intensity) / np.float32(len(_LAMP_STRATA))
        return light

    def _sunlight(self, points: Array, normals: Array) -> Array:
        facing = np.maximum((normals * self.sky.sun).sum(1), 0)
        towards = np.tile(self.sky.sun, (len(points), 1))
        blocked = self.accelerator.occluded(points, towards, np.full(len(points), 1e3, np.float32))
        return np.asarray((facing * ~blocked)[:, None] * self.sky.sun_light, np.float32)

    def _bounce(self, mesh: Mesh, points: Array, emitted: Array, rng: np.random.Generator) -> Array:
        shape = (NUM_GATHER_RAYS, len(points))
        found = np.empty(shape, np.int32)
        u, v = np.empty(shape, np.float32), np.empty(shape, np.float32)
        from_sky = np.zeros_like(points)
        for ray in range(NUM_GATHER_RAYS):
            random = rng.random((2, len(points)), np.float32)
            random[0] = (ray + random[0]) / NUM_GATHER_RAYS
            directions = hemisphere(mesh.normals, random)
            triangle, u[ray], v[ray], _ = self.accelerator.nearest(points, directions)
            missed = triangle < 0
            if missed.any() and self.sky.radiance.any():
                from_sky[missed] += _sky_light(self.sky, directions[missed]) / NUM_GATHER_RAYS
            facing = mesh.normals[mesh.triangles[triangle, 0]]
            found[ray] = np.where((facing * directions).sum(1) < 0, triangle, -1)
            found[ray][missed] = -1
        ambient = from_sky
        for _ in range(NUM_BOUNCES):
            bounced = from_sky.copy()
            gather(mesh.triangles, emitted + ambient, self._albedo, found, u, v, bounced)
            ambient = bounced
        return ambient

    def light_cube(self, point: ArrayLike, num_rays: int = 48) -> Array:
        """Return the (6, 3) irradiance at `point` from +x, +y, +z, -x, -y, -z, lamps excluded."""
        axes = np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32)
        sequence = np.stack(
            [(np.arange(num_rays) + 0.5) / num_rays, np.arange(num_rays) * 0.618 % 1]
        )
        random = np.tile(sequence.astype(np.float32), (1, 6))
        directions = hemisphere(np.repeat(axes, num_rays, 0), random)
        origins = np.tile(np.asarray(point, np.float32), (len(directions), 1))
        triangle, _, _, _ = self.accelerator.nearest(origins, directions)
        corner = self.arrays.triangles[triangle, 0]
        radiance = self._albedo[triangle] * self._outgoing[corner]
        missed = triangle < 0
        radiance[missed] = _sky_light(self.sky, directions[missed])
        return np.asarray(radiance.reshape(6, num_rays, 3).mean(1), np.float32)


def _sky_light(sky: Sky, directions: Array) -> Array:
    rows, columns = sky.radiance.shape[:2]
    row = (np.sqrt(np.maximum(directions[:, 2], 0)) * (rows - 1)).astype(int)
    turn = np.arctan2(directions[:, 1], directions[:, 0]) / (2 * np.pi) % 1
    return sky.radiance[row, (turn * columns).astype(int) % columns]


def _pull_inside(mesh: Mesh) -> Array:
    """Move vertices off their own surface and away from its edges, where rays would leak."""
    centroid = mesh.vertices[mesh.triangles].mean(1)
    total, count = np.zeros_like(mesh.vertices), np.zeros(len(mesh.vertices), np.float32)
    for corner in range(3):
        np.add.at(total, mesh.triangles[:, corner], centroid)
        np.add.at(count, mesh.triangles[:, corner], 1)
    centre = np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], mesh.vertices)
    inside = mesh.vertices + (centre - mesh.vertices) * np.float32(0.06)
    return np.ascontiguousarray(inside + mesh.normals * np.float32(0.012))


def light_at(world: LitWorld, point: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean irradiance (3,) at a point: sky, bounced light and the strongest lamp."""
    light = world.light_cube(point).mean(0).astype(float)
    lamps = world.lamps
    if len(lamps.centre):
        square = ((lamps.centre - point) ** 2).sum(1)
        received = lamps.intensity / square[:, None]
        light = light + 0.5 * received[received.mean(1).argmax()]
    return np.asarray(light + 0.2 * world.sky.sun_light + 1e-3, float)
