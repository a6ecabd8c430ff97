"""Curves over time that motion is made of: smooth noise, transitions and damped oscillations."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]

TABLE_HZ = 1000
_DIES_OUT = 40.0
"""After so many time constants nothing of an oscillation is left in 64 bits."""


def drift(rng: np.random.Generator, length: int, cutoff_hz: float) -> Vector:
    """Draw smooth noise of unit deviation, band-limited near `cutoff_hz`."""
    knots = rng.normal(size=max(8, int(length / TABLE_HZ * cutoff_hz * 2) + 6))
    place = np.linspace(2, len(knots) - 3, length)
    index = np.floor(place).astype(int)
    share = place - index
    share = share * share * (3 - 2 * share)
    return np.asarray(knots[index] * (1 - share) + knots[index + 1] * share)


def ease(time: Vector, start: float, end: float) -> Vector:
    """Rise smoothly from 0 at `start` to 1 at `end`, in seconds."""
    share = np.clip((time - start) / (end - start + 1e-9), 0, 1)
    return np.asarray(share * share * (3 - 2 * share))


def springs(
    time: Vector, starts: ArrayLike, amplitude: float, frequency_hz: float, damping: float
) -> Vector:
    """Sum damped oscillations that are struck at `starts`; (N,) times rise."""
    omega = 2 * np.pi * frequency_hz
    total = np.zeros_like(time)
    lasts_s = _DIES_OUT / (damping * omega)
    for start in np.atleast_1d(np.asarray(starts, float)):
        first, last = np.searchsorted(time, (start, start + lasts_s))
        since = time[first:last] - start
        ring = np.sin(omega * np.sqrt(1 - damping**2) * since)
        total[first:last] += amplitude * np.exp(-damping * omega * since) * ring
    return total
