"""Photographs of real places, all round, as what lies behind the rendered people and props."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.world.geometry import Material, Mesh, MeshBuilder, unit

Array = NDArray[np.float32]

_FOLDER = Path(__file__).parent / "panoramas"
_ENCODED_GAMMA = 2.2
_LARGEST_VALUE = np.float32(0.997)
_COARSE = 48, 24
_RINGS, _SECTORS = 24, 48
_GROUND_STEPS = 16


@dataclass(frozen=True)
class Backdrop:
    """A panorama of a `place`, cast onto the ground and a dome, so that steps show parallax.

    `radiance` (rows, columns, 3) is linear, rows from straight up to straight down, columns by
    azimuth; `centre` (3,) is where it was taken, in metres; `level` its mean radiance.
    """

    place: str
    radiance: Array
    centre: Array
    radius_m: float
    level: float

    def seen(self, points: Array) -> Array:
        """Return the radiance (N, 3) that comes from points (N, 3), without fine detail."""
        coarse = cv2.resize(self.radiance, _COARSE, interpolation=cv2.INTER_AREA)
        away = unit(points - self.centre)
        columns, rows = _COARSE
        row = np.arccos(np.clip(away[:, 2], -1, 1)) / np.pi * rows
        column = np.arctan2(away[:, 1], away[:, 0]) / (2 * np.pi) % 1 * columns
        return np.asarray(
            coarse[np.minimum(row.astype(int), rows - 1), column.astype(int) % columns], np.float32
        )

    def mesh(self) -> Mesh:
        """Return the ground and the dome, which face inwards."""
        builder = MeshBuilder()
        polar, azimuth = np.meshgrid(
            np.linspace(0, np.pi, _RINGS + 1),
            np.linspace(0, 2 * np.pi, _SECTORS + 1),
            indexing="ij",
        )
        outward = np.stack(
            [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], -1
        )
        points = self.centre + self.radius_m * outward
        # Seen from inside, rings that run the other way are counter-clockwise.
        paint = Material("paint", gloss=0.0)
        builder.grid(points[::-1], -outward[::-1], np.zeros((*polar.shape, 2)), paint)
        reach = float(self.radius_m)
        corner = (self.centre[0] - reach, self.centre[1] - reach, 0)
        builder.sheet(
            corner, (2 * reach, 0, 0), (0, 2 * reach, 0), paint, 2.0001 * reach / _GROUND_STEPS
        )
        return builder.build()

    @property
    def num_vertices(self) -> int:
        """Vertices of its mesh."""
        return (_RINGS + 1) * (_SECTORS + 1) + (_GROUND_STEPS + 1) ** 2

    @property
    def num_triangles(self) -> int:
        """Triangles of its mesh."""
        return 2 * _RINGS * _SECTORS + 2 * _GROUND_STEPS**2


@cache
def photograph(place: str) -> Array:
    """Read the panorama of a place, float32 (rows, columns, 3), linear, its median about 1."""
    return radiance(encoded(place).astype(np.float32) / np.float32(255))


def encoded(place: str) -> NDArray[np.uint8]:
    """Read the panorama of a place as it is stored, uint8 (rows, columns, 3) RGB."""
    picture = cv2.imread(str(_FOLDER / f"{place}.jpg"), cv2.IMREAD_COLOR_RGB)
    assert picture is not None, place
    return np.asarray(picture, np.uint8)


def radiance(stored: Array) -> Array:
    """Return the linear radiance of stored values in [0, 1]: w / (1 - w), w = value ** 2.2."""
    value = np.clip(stored, 0, _LARGEST_VALUE) ** np.float32(_ENCODED_GAMMA)
    return np.asarray(value / (1 - value), np.float32)
