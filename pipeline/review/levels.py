"""Measures how bright and how loud a video is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.store.pcm import FULL_SCALE


def brightness(frames: NDArray[np.uint8]) -> float:
    """The mean of pictures, 0 to 1."""
    return float(frames.mean(dtype=np.float64) / 255)


def loudness(sounds: NDArray[np.int16]) -> float | None:
    """The level of samples in dB of full scale; None where every one is zero."""
    if not sounds.any():
        return None
    square = np.square(sounds.astype(np.float64)).mean()
    return 10 * math.log10(square / FULL_SCALE**2)
