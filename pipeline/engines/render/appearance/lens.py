"""Lenses: equidistant with a cubic term, and the pinhole of a game."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]


class Lens(Protocol):
    """Camera axes: x right, y up, z backwards. Pixels: x right, y down, corners at integers."""

    @property
    def pixels_per_radian(self) -> float:
        """Scale in the image's centre."""
        ...

    def directions(self, x: ArrayLike, y: ArrayLike) -> Vector:
        """Return unit directions (..., 3) of pixel coordinates."""
        ...

    def project(self, points: ArrayLike) -> tuple[Vector, Vector, Vector]:
        """Return x, y and depth (negative behind) of camera-space points (N, 3)."""
        ...


class FisheyeLens:
    """r = f theta (1 + k1 theta^2)."""

    def __init__(self, width: int, height: int, fov_deg: float, k1: float) -> None:
        self._centre = width / 2, height / 2
        self._angles = np.linspace(0, np.radians(100), 2000)
        self._radii = self._angles * (1 + k1 * self._angles**2)
        edge = np.interp(np.radians(fov_deg) / 2, self._angles, self._radii)
        self._focal = width / 2 / float(edge)

    @property
    def pixels_per_radian(self) -> float:  # noqa: D102 - see Lens
        return self._focal

    def directions(self, x: ArrayLike, y: ArrayLike) -> Vector:  # noqa: D102 - see Lens
        right = (np.asarray(x, float) - self._centre[0]) / self._focal
        up = (self._centre[1] - np.asarray(y, float)) / self._focal
        radius = np.hypot(right, up) + 1e-9
        angle = np.interp(radius, self._radii, self._angles)
        share = np.sin(angle) / radius
        return np.stack([right * share, up * share, -np.cos(angle)], -1)

    def project(self, points: ArrayLike) -> tuple[Vector, Vector, Vector]:  # noqa: D102 - see Lens
        place = np.asarray(points, float)
        aside = np.hypot(place[:, 0], place[:, 1]) + 1e-9
        angle = np.arctan2(aside, -place[:, 2])
        radius = np.interp(angle, self._angles, self._radii) * self._focal
        depth = np.sqrt((place**2).sum(1)) * np.where(angle < self._angles[-1], 1, -1)
        x = self._centre[0] + place[:, 0] / aside * radius
        return x, self._centre[1] - place[:, 1] / aside * radius, depth


class PinholeLens:
    """A rectilinear view without distortion."""

    def __init__(self, width: int, height: int, fov_deg: float) -> None:
        self._centre = width / 2, height / 2
        self._focal = width / 2 / np.tan(np.radians(fov_deg) / 2)

    @property
    def pixels_per_radian(self) -> float:  # noqa: D102 - see Lens
        return float(self._focal)

    def directions(self, x: ArrayLike, y: ArrayLike) -> Vector:  # noqa: D102 - see Lens
        right = (np.asarray(x, float) - self._centre[0]) / self._focal
        up = (self._centre[1] - np.asarray(y, float)) / self._focal
        ray = np.stack([right, up, -np.ones_like(right)], -1)
        return np.asarray(ray / np.sqrt((ray**2).sum(-1, keepdims=True)))

    def project(self, points: ArrayLike) -> tuple[Vector, Vector, Vector]:  # noqa: D102 - see Lens
        place = np.asarray(points, float)
        ahead = -place[:, 2]
        scale = self._focal / np.maximum(ahead, 1e-4)
        x = self._centre[0] + place[:, 0] * scale
        depth = np.sqrt((place**2).sum(1)) * np.where(ahead > 0, 1, -1)
        return x, self._centre[1] - place[:, 1] * scale, depth
