"""Samples of sound, int16, as waves of which full scale is 1, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FULL_SCALE = 32768.0
"""What a sample of the wave −1 is in 16 bits, without its sign."""
LARGEST = (FULL_SCALE - 1) / FULL_SCALE
"""The largest wave that is a sample; times it, a wave from −1 to 1 is never cut off."""

Wave = NDArray[np.float64]


def wave_of(samples: NDArray[np.int16]) -> Wave:
    """Samples as float64 of the same shape, −1 to `LARGEST`."""
    return samples.astype(np.float64) / FULL_SCALE


def samples_of(wave: Wave) -> NDArray[np.int16]:
    """A wave as int16 of the same shape, to the nearest sample, cut off beyond full scale."""
    return np.clip(np.rint(wave * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
