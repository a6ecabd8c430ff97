"""Where sound is made: a box with walls, or the open with ground, facades and what scatters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.acoustics.signals import OCTAVES_HZ

Vector = NDArray[np.float64]

DECAY_SHARES = np.array([1.1, 1.05, 1.0, 0.95, 0.8, 0.6, 0.4])
"""Reverberation time in octaves from 125 Hz to 8 kHz, as a share of that of the room."""
_SABINE = 0.161
_MARGIN_M = 0.3
_GROWTH = 1.5
"""What is further away than a box is wide, by this factor, is outside of it."""


@dataclass(frozen=True)
class Facade:
    """A wall in the open."""

    azimuth_deg: float
    """Direction to it from the listener: 0 ahead (+y), 90 right (+x)."""
    distance_m: float
    """Of its plane from the listener."""
    reflection: float
    """Of pressure, 0.5 to 0.9."""

    @property
    def normal(self) -> Vector:
        """Unit vector (3,) from the listener to the plane."""
        turn = np.radians(self.azimuth_deg)
        return np.array([np.sin(turn), np.cos(turn), 0.0])


@dataclass(frozen=True)
class Room:
    """A place that answers.

    One with a size is a box, whose walls reflect as much as its reverberation time says (Eyring);
    one without is open.
    """

    name: str
    rt60_s: float
    """Reverberation time at 500 Hz, 0.03 to 6; of what scatters where it is open."""
    size_m: tuple[float, float, float] | None = None
    """Width (x), depth (y), height (z) of a box."""
    ground: float = 0.9
    """Reflection of pressure by the ground in the open: 0.4 grass, 0.95 concrete."""
    facades: tuple[Facade, ...] = ()
    scattering: float = 0.0
    """Pressure of all that scatters, as a share of what arrives straight from 10 m, in the open."""
    around: Room | None = None
    """The open that a box stands in, if what is in the box is heard outside, and comes back."""

    @property
    def decays_s(self) -> Vector:
        """Reverberation time in the octaves of `OCTAVES_HZ`, (7,)."""
        return np.asarray(self.rt60_s * DECAY_SHARES)

    @property
    def volume_m3(self) -> float:
        """Volume of a room that is a box."""
        assert self.size_m is not None
        return float(np.prod(self.size_m))

    @property
    def surface_m2(self) -> float:
        """Of all six sides of a box."""
        assert self.size_m is not None
        x, y, z = self.size_m
        return 2 * (x * y + y * z + z * x)

    @property
    def mean_path_m(self) -> float:
        """Between two reflections in a box, 4 V / S."""
        return 4 * self.volume_m3 / self.surface_m2

    def varied(self, rng: np.random.Generator) -> Room:
        """Another of its kind: sizes and ways within a third, reverberation within a fourth."""
        size = self.size_m
        if size is not None:
            across, deep, tall = (np.array(size) * np.exp(rng.uniform(-0.3, 0.3, 3))).tolist()
            size = across, deep, tall
        facades = tuple(
            Facade(
                azimuth_deg=facade.azimuth_deg + rng.uniform(-10, 10),
                distance_m=facade.distance_m * np.exp(rng.uniform(-0.3, 0.3)),
                reflection=float(np.clip(facade.reflection + rng.uniform(-0.1, 0.1), 0.1, 0.9)),
            )
            for facade in self.facades
        )
        return replace(
            self,
            rt60_s=self.rt60_s * np.exp(rng.uniform(-0.25, 0.25)),
            size_m=size,
            ground=float(np.clip(self.ground + rng.uniform(-0.1, 0.05), 0, 0.95)),
            facades=facades,
            scattering=self.scattering * np.exp(rng.uniform(-0.25, 0.25)),
        )

    def wall_gain(self, frequency_hz: Vector) -> Vector:
        """Reflection of pressure by a box's walls, √(1 - α), α by Eyring's formula."""
        decay = np.interp(np.log(np.maximum(frequency_hz, 1)), np.log(OCTAVES_HZ), self.decays_s)
        exponent = _SABINE * self.volume_m3 / (self.surface_m2 * decay)
        return np.asarray(np.exp(-exponent / 2))

    def diffuse_energy(self) -> float:
        """Energy of a box's reverberation as a share of that which arrives straight from 1 m.

        16 π / A, with the equivalent area A = 0.161 V / T of Sabine.
        """
        return 16 * np.pi * self.rt60_s / (_SABINE * self.volume_m3)

    def encloses(self, offset_m: Vector) -> bool:
        """Whether a source (3,), seen from the listener, is in the same space; always outdoors."""
        if self.size_m is None:
            return True
        return bool(np.all(np.abs(offset_m) <= _GROWTH * np.array(self.size_m)))

    def holding(self, offset_m: Vector, height_m: float) -> tuple[Vector, Vector]:
        """Size (3,) and the place (3,) of the listener of a box that holds a source too.

        The box stands around both, and grows where they are further apart than it is wide.

        Args:
            offset_m: place (3,) of the source, seen from the listener.
            height_m: of the listener above the floor.
        """
        assert self.size_m is not None
        size = np.maximum(np.array(self.size_m), np.abs(offset_m) + 2 * _MARGIN_M)
        # Off the middle, where echoes would fall together.
        listener = size * np.array([0.44, 0.37, 0.0]) - 0.5 * offset_m
        listener[2] = height_m
        size[2] = max(size[2], height_m + _MARGIN_M, height_m + offset_m[2] + _MARGIN_M)
        low = _MARGIN_M + np.maximum(-offset_m, 0)
        high = size - _MARGIN_M - np.maximum(offset_m, 0)
        listener[:2] = np.clip(listener, low, high)[:2]
        return size, listener


def _street(width_m: float) -> tuple[Facade, ...]:
    return (
        Facade(90, 0.4 * width_m, 0.8),
        Facade(-90, 0.6 * width_m, 0.75),
        Facade(20, 31.0, 0.5),
    )


ROOMS = {
    room.name: room
    for room in (
        # A field ends somewhere, at trees or a slope.
        Room("field", 1.0, ground=0.5, scattering=0.13),
        Room("wood", 0.9, ground=0.4, scattering=0.16),
        Room("outdoor_range", 0.8, ground=0.6, scattering=0.14, facades=(Facade(0, 24, 0.3),)),
        Room("street", 0.95, ground=0.92, scattering=0.3, facades=_street(18)),
        Room(
            "courtyard",
            1.3,
            ground=0.92,
            scattering=0.45,
            facades=tuple(
                Facade(angle, away, 0.65)
                for angle, away in ((5, 9.0), (95, 12.0), (185, 14.0), (275, 7.0))
            ),
        ),
        Room("room", 0.45, (4.5, 5.5, 2.6)),
        Room("corridor", 0.9, (2.2, 22.0, 2.7)),
        Room("indoor_range", 1.2, (12.0, 28.0, 3.2)),
        Room("hall", 1.6, (18.0, 30.0, 8.0)),
        Room("stairwell", 2.0, (3.0, 5.5, 14.0)),
        Room("car_park", 2.6, (36.0, 60.0, 3.0)),
    )
}
ROOMS["vehicle"] = Room("vehicle", 0.08, (1.5, 2.4, 1.2), around=ROOMS["street"])
"""Common places by name; those of the ray tracer's scenes have the name of their plan's kind."""
