"""The only module that talks to Embree."""

from __future__ import annotations

from typing import Any

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Accelerator:
    """A mesh in Embree's tree; rays are (N, 3) float32 origins and unit directions."""

    def __init__(self, vertices: Array, triangles: NDArray[np.int32]) -> None:
        self._scene = EmbreeScene()
        TriangleMesh(
            self._scene,
            np.ascontiguousarray(vertices, np.float32),
            np.ascontiguousarray(triangles, np.int32),
        )

    def nearest(
        self, origins: Array, directions: Array
    ) -> tuple[NDArray[np.int32], Array, Array, Array]:
        """Return triangle (-1 for none), u, v and distance of each ray's first hit."""
        found: dict[str, Any] = self._scene.run(origins, directions, query="INTERSECT", output=True)
        return found["primID"], found["u"], found["v"], found["tfar"]

    def occluded(self, origins: Array, directions: Array, distances: Array) -> NDArray[np.bool_]:
        """Tell which rays meet anything before their distance."""
        blocked: NDArray[np.int32] = self._scene.run(
            origins, directions, np.ascontiguousarray(distances, np.float32), query="OCCLUDED"
        )
        return blocked >= 0
