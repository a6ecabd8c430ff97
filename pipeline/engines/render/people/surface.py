"""Surfaces that move: parts that are placed anew each frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.engines.render.kernels import SurfaceArrays
from pipeline.engines.render.world.embree import Accelerator
from pipeline.engines.render.world.geometry import Mesh, concatenate

Array = NDArray[np.float32]
Vector = NDArray[np.float64]


class Moved(NamedTuple):
    """One part of a moving surface at one time: (V, 3) each."""

    vertices: Array
    normals: Array
    ambient: Array


class MovingSurface:
    """Parts that keep their triangles and materials while their vertices move."""

    def __init__(self, parts: list[Mesh]) -> None:
        self._mesh = concatenate(parts)
        self._dark = np.zeros_like(self._mesh.vertices)

    def place(self, parts: list[Moved]) -> tuple[SurfaceArrays, Accelerator]:
        """Return shading arrays and rays' tree of the parts, in the order of the constructor."""
        vertices, normals, ambient = (np.concatenate(column) for column in zip(*parts, strict=True))
        mesh = self._mesh
        arrays = SurfaceArrays(
            mesh.triangles,
            normals,
            mesh.uv,
            ambient,
            self._dark,
            mesh.layer,
            mesh.tint,
            mesh.emission,
            mesh.gloss,
            mesh.tiles_per_m,
        )
        return arrays, Accelerator(vertices, mesh.triangles)


def cube_light(normals: Array, cube: Array) -> Array:
    """Return the (N, 3) irradiance on unit normals from a (6, 3) light cube."""
    positive, negative = np.maximum(normals, 0) ** 2, np.maximum(-normals, 0) ** 2
    return np.asarray(
        np.einsum("ij,jk->ik", positive, cube[:3]) + np.einsum("ij,jk->ik", negative, cube[3:]),
        np.float32,
    )


def move_rigid(mesh: Mesh, turn: Vector, place: ArrayLike, cube: Array) -> Moved:
    """Turn and place a rigid mesh."""
    matrix = turn.astype(np.float32)
    vertices = np.einsum("ij,nj->ni", matrix, mesh.vertices) + np.asarray(place, np.float32)
    normals = np.einsum("ij,nj->ni", matrix, mesh.normals)
    return Moved(vertices, normals, cube_light(normals, cube) * np.float32(0.8))
