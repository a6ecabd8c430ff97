"""The shock that a bullet drags along: an N-wave, heard before the bang (Whitham, 1952)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.acoustics.air import PRESSURE_PA
from pipeline.engines.acoustics.signals import sample_pressure
from pipeline.engines.acoustics.weapons import FirearmSound

Vector = NDArray[np.float64]

_SLOWEST_MACH = 1.02
_NEAREST_M = 0.1
_DRAG = 0.9
"""Metres a second that a bullet loses a metre."""


@dataclass(frozen=True)
class Passage:
    """How the shock of one bullet reaches a listener."""

    delay_s: float
    """Between the discharge and the arrival."""
    peak_pa: float
    length_s: float
    """Length of the N-wave."""
    miss_m: float
    """Distance between the line of fire and the listener."""

    def wave(self) -> Vector:
        """The N-wave in pascal: up at once, straight down, up at once."""
        return self.peak_pa * sample_pressure(lambda since: n_wave(since, self.length_s), 0.005)


def n_wave(since_s: Vector, length_s: float, rise_s: float = 8e-6) -> Vector:
    """An N-wave of peak 1 that begins at 0, with fronts of `rise_s`."""
    ramp = np.clip(1 - 2 * since_s / length_s, -1, 1)
    begins = np.tanh((since_s - 2 * rise_s) / rise_s)
    ends = np.tanh((since_s - length_s + 2 * rise_s) / rise_s)
    return np.asarray(ramp * 0.5 * (begins - ends))


def shock(
    weapon: FirearmSound, speed_m_s: float, miss_m: float, sound_m_s: float
) -> tuple[float, float]:
    """Peak in pascal and length in seconds of the N-wave beside a bullet's path.

    P = 0.53 P₀ (M² - 1)^⅛ b^-¾ d / l^¼ and
    T = 1.82 / c · M b^¼ / (M² - 1)^⅜ · d / l^¼, of Mach number M, distance b, calibre d, length l.
    """
    mach = max(speed_m_s / sound_m_s, _SLOWEST_MACH)
    over = mach * mach - 1
    body = weapon.calibre_m / weapon.length_m**0.25
    peak = 0.53 * PRESSURE_PA * over**0.125 / miss_m**0.75 * body
    length = 1.82 / sound_m_s * mach * miss_m**0.25 / over**0.375 * body
    return float(peak), float(length)


def passage(
    weapon: FirearmSound, aim: Vector, listener: Vector, speed_m_s: float, sound_m_s: float
) -> Passage | None:
    """How the shock reaches a listener; None where it does not, as behind the muzzle.

    The ray that arrives left the path where the Mach cone's side points to the listener.

    Args:
        weapon: what is fired.
        aim: unit vector (3,) of the line of fire.
        listener: place (3,) in metres, seen from the muzzle.
        speed_m_s: of the bullet at the muzzle.
        sound_m_s: speed of sound.
    """
    along = float(listener @ aim)
    miss = max(float(np.linalg.norm(listener - along * aim)), _NEAREST_M)
    # Drag, to first order: the speed where the ray leaves the path.
    late = speed_m_s - _DRAG * max(along, 0.0)
    if min(speed_m_s, late) <= _SLOWEST_MACH * sound_m_s:
        return None
    cone = float(np.arcsin(sound_m_s / late))
    leaves = along - miss * np.tan(cone)
    if leaves <= 0:
        return None
    peak, length = shock(weapon, late, miss, sound_m_s)
    mean_speed = speed_m_s - 0.5 * _DRAG * leaves
    delay = leaves / mean_speed + miss / (sound_m_s * np.cos(cone))
    return Passage(float(delay), peak, length, miss)
