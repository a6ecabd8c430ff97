"""Triangle meshes: a builder of boxes, sheets, cylinders and lumps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.engines.render.world.textures import LAYER

Floats = NDArray[np.float32]
Colour = ArrayLike


def rotation(pitch: float = 0.0, roll: float = 0.0, yaw: float = 0.0) -> NDArray[np.float64]:
    """Return the matrix Rz(yaw) Ry(roll) Rx(pitch), angles in radians."""
    cp, sp, cr, sr, cy, sy = (
        np.cos(pitch),
        np.sin(pitch),
        np.cos(roll),
        np.sin(roll),
        np.cos(yaw),
        np.sin(yaw),
    )
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_y = np.array([[cr, 0, sr], [0, 1, 0], [-sr, 0, cr]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return np.asarray(np.einsum("ij,jk,kl->il", about_z, about_y, about_x))


def unit(vectors: ArrayLike) -> NDArray[Any]:
    """Normalise vectors along the last axis."""
    array = np.asarray(vectors)
    return np.asarray(array / (np.sqrt((array * array).sum(-1, keepdims=True)) + 1e-12))


@dataclass(frozen=True)
class Mesh:
    """An indexed mesh: V vertices in metres, T triangles.

    Per vertex: `vertices` (V, 3), `normals` (V, 3), `uv` (V, 2). Per triangle: `triangles`
    (T, 3) int32, `layer` (T,) texture, `tint` (T, 3), `emission` (T, 3), `gloss` (T,),
    `tiles_per_m` (T,) texture repeats.
    """

    vertices: Floats
    normals: Floats
    uv: Floats
    triangles: NDArray[np.int32]
    layer: NDArray[np.int32]
    tint: Floats
    emission: Floats
    gloss: Floats
    tiles_per_m: Floats


def concatenate(meshes: list[Mesh]) -> Mesh:
    """Join meshes into one, in order."""
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(mesh, name) for mesh in meshes])
        for name in Mesh.__dataclass_fields__
        if name != "triangles"
    }
    triangles = np.concatenate(
        [mesh.triangles + np.int32(start) for mesh, start in zip(meshes, starts, strict=True)]
    )
    return Mesh(triangles=np.ascontiguousarray(triangles), **columns)


@dataclass
class Material:
    """How a surface looks: texture name, multiplied colour, light given off, specular share."""

    texture: str
    tint: Colour = (1.0, 1.0, 1.0)
    gloss: float = 0.02
    emission: Colour = (0.0, 0.0, 0.0)
    metres: float = 1.0
    fit: bool = False


@dataclass
class MeshBuilder:
    """Collects parts and joins them.

    `tessellation` is the longest edge in metres of a sheet's triangles: light is stored at the
    vertices, so it is also the resolution of shadows.
    """

    tessellation: float = 0.35
    parts: list[Mesh] = field(default_factory=list)

    def build(self) -> Mesh:
        """Return everything added so far as one mesh."""
        return concatenate(self.parts)

    def add(
        self,
        vertices: ArrayLike,
        normals: ArrayLike,
        triangles: ArrayLike,
        material: Material,
        uv: ArrayLike | None = None,
    ) -> None:
        """Add raw triangles; `uv` in texture repeats, zeros when absent."""
        corner = np.asarray(vertices, np.float32).reshape(-1, 3)
        faces = np.asarray(triangles, np.int32).reshape(-1, 3)
        coordinates = np.zeros((len(corner), 2)) if uv is None else np.asarray(uv)
        count = len(faces)
        edge = np.linalg.norm(corner[faces[:, 1]] - corner[faces[:, 0]], axis=1)
        span = np.linalg.norm(coordinates[faces[:, 1]] - coordinates[faces[:, 0]], axis=1)
        per_face = {
            name: np.tile(np.asarray(value, np.float32), (count, 1))
            for name, value in (("tint", material.tint), ("emission", material.emission))
        }
        self.parts.append(
            Mesh(
                vertices=corner,
                normals=np.asarray(normals, np.float32).reshape(-1, 3),
                uv=coordinates.astype(np.float32),
                triangles=faces,
                layer=np.full(count, LAYER[material.texture], np.int32),
                gloss=np.full(count, material.gloss, np.float32),
                tiles_per_m=(span / (edge + 1e-9)).astype(np.float32),
                **per_face,
            )
        )

    def sheet(
        self,
        corner: ArrayLike,
        along: ArrayLike,
        up: ArrayLike,
        material: Material,
        tessellation: float | None = None,
    ) -> None:
        """Add a parallelogram whose normal is `along` x `up`."""
        origin, first, second = (np.asarray(x, np.float64) for x in (corner, along, up))
        lengths = np.linalg.norm(first), np.linalg.norm(second)
        step = tessellation or self.tessellation
        num_a, num_b = (max(1, int(np.ceil(length / step))) for length in lengths)
        a, b = np.meshgrid(
            np.linspace(0, 1, num_a + 1), np.linspace(0, 1, num_b + 1), indexing="ij"
        )
        points = origin + a[..., None] * first + b[..., None] * second
        scale = (1.0, 1.0) if material.fit else tuple(x / material.metres for x in lengths)
        normal = unit(np.cross(first, second))
        self.grid(
            points, np.broadcast_to(normal, points.shape), np.stack([a, b], -1) * scale, material
        )

    def grid(
        self, points: ArrayLike, normals: ArrayLike, uv: ArrayLike, material: Material
    ) -> None:
        """Add a curved sheet of (A, B, 3) points, counter-clockwise seen from its normals."""
        array = np.asarray(points)
        index = np.arange(array.shape[0] * array.shape[1]).reshape(array.shape[:2])
        low = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:]], -1).reshape(-1, 3)
        high = np.stack([index[:-1, :-1], index[1:, 1:], index[:-1, 1:]], -1).reshape(-1, 3)
        faces = np.concatenate([low, high])
        self.add(array, normals, faces, material, np.asarray(uv).reshape(-1, 2))

    def box(
        self,
        centre: ArrayLike,
        half: tuple[float, float, float],
        material: Material,
        turn: NDArray[np.float64] | float = 0.0,
        tessellation: float | None = None,
    ) -> None:
        """Add a box of half sizes `half`, turned by a matrix or a yaw angle."""
        matrix = turn if isinstance(turn, np.ndarray) else rotation(yaw=turn)
        middle = np.asarray(centre, np.float64)
        x, y, z = (matrix[:, axis] * half[axis] for axis in range(3))
        for corner, along, up in (
            (-x - y - z, 2 * x, 2 * z),
            (x + y - z, -2 * x, 2 * z),
            (x - y - z, 2 * y, 2 * z),
            (-x + y - z, -2 * y, 2 * z),
            (-x - y + z, 2 * x, 2 * y),
            (-x + y - z, 2 * x, -2 * y),
        ):
            self.sheet(middle + corner, along, up, material, tessellation)

    def cylinder(
        self,
        start: ArrayLike,
        end: ArrayLike,
        radii: tuple[float, float],
        material: Material,
        num_sides: int = 10,
    ) -> None:
        """Add a capped cone frustum from `start` to `end`."""
        first, last = np.asarray(start, np.float64), np.asarray(end, np.float64)
        axis = unit(last - first)
        helper = np.array([1.0, 0, 0]) if abs(axis[0]) < 0.8 else np.array([0, 1.0, 0])
        side = unit(np.cross(axis, helper))
        angle = np.linspace(0, 2 * np.pi, num_sides + 1)
        circle = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * np.cross(axis, side)
        rings = np.stack([first + circle * radii[0], last + circle * radii[1]], 1)
        length = np.linalg.norm(last - first) / material.metres
        around = angle * max(radii) / material.metres
        uv = np.stack(
            [np.stack([around, 0 * around], -1), np.stack([around, 0 * around + length], -1)], 1
        )
        self.grid(rings, np.stack([circle, circle], 1), uv, material)
        fan = np.stack(
            [np.zeros(num_sides), np.arange(1, num_sides + 1), np.arange(2, num_sides + 2)], 1
        )
        for point, ring, normal in ((first, rings[::-1, 0], -axis), (last, rings[:, 1], axis)):
            rim = np.concatenate([point[None], ring])
            self.add(rim, np.broadcast_to(normal, rim.shape), fan, material)

    def lump(
        self,
        centre: ArrayLike,
        radius: float,
        material: Material,
        rng: np.random.Generator,
        roughness: float = 0.0,
        num_rings: int = 6,
    ) -> None:
        """Add a sphere with randomly displaced vertices."""
        polar, azimuth = np.meshgrid(
            np.linspace(0, np.pi, num_rings + 1),
            np.linspace(0, 2 * np.pi, 2 * num_rings + 1),
            indexing="ij",
        )
        outward = np.stack(
            [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], -1
        )
        distance = 1 + roughness * rng.uniform(-1, 1, polar.shape)
        distance[:, -1] = distance[:, 0]
        distance[0], distance[-1] = distance[0, 0], distance[-1, 0]
        points = np.asarray(centre) + radius * distance[..., None] * outward
        uv = np.stack([azimuth, polar], -1) * radius / material.metres
        self.grid(points, outward, uv, material)
