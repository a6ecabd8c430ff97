"""What surrounds one place, kept as the six faces of a cube: for cameras that only turn there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render import kernels
from pipeline.engines.render.appearance.lens import Lens, PinholeLens

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

_FINER = 1.4
"""Pixels of a face for one of the picture, where both are coarsest: looking up loses little."""
# Of each face: where it looks, and what its columns and rows run along.
_AXES = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[-1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0, 1, 0], [1, 0, 0], [0, 0, 1]],
        [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
        [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
        [[0, 0, -1], [1, 0, 0], [0, 1, 0]],
    ],
    float,
)


class Surround:
    """The radiance that comes to one place from all sides, looked up through one lens."""

    def __init__(
        self,
        seen: Callable[[Lens, int, Vector], Array],
        lens: Lens,
        width: int,
        height: int,
        most_zoom: float = 1.0,
    ) -> None:
        """Look once into all directions.

        Args:
            seen: gives the radiance (F, F, 3) that a lens shows on F by F pixels, for the axes
                (3, 3) of a camera that has it.
            lens: of the camera, for pictures of `width` and `height` pixels.
            width: of a picture.
            height: of a picture.
            most_zoom: by which pictures are magnified at most.
        """
        x, y = np.meshgrid(np.arange(width + 1), np.arange(height + 1))
        self._grid = lens.directions(x, y).astype(np.float32)
        self._shape = height, width, 3
        size = 2 * int(np.ceil(_FINER * most_zoom * lens.pixels_per_radian)) + 2
        wide = PinholeLens(size, size, np.degrees(2 * np.arctan(size / (size - 2))))
        self._faces = np.empty((6, size, size, 3), np.float32)
        for face, (ahead, along, across) in zip(self._faces, _AXES, strict=True):
            face[:] = seen(wide, size, np.stack([along, -across, -ahead], -1))

    def radiance(
        self, turns: list[Vector], places: list[tuple[float, float]], zoom: float = 1.0
    ) -> Array:
        """Return the mean radiance (H, W, 3) of samples.

        Args:
            turns: the camera's rotations (H, 3, 3), a pose a row, of each sample.
            places: in [0, 1), across and down, where in every pixel each sample is.
            zoom: by which the picture is magnified about its centre.
        """
        total = np.zeros(self._shape, np.float32)
        for turn, (across, down) in zip(turns, places, strict=True):
            rotations = turn.astype(np.float32)
            kernels.look_around(self._grid, zoom, across, down, rotations, self._faces, total)
        return total / np.float32(len(turns))
