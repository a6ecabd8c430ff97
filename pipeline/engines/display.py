"""What a player's brightness and colour settings, and scaling for upload, make of a game."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# Mean brightness of what body cameras expose automatically, from 0 to 255: games light their
# maps as they like, and darkness must not tell them from cameras.
_MEDIAN_BRIGHTNESS, _SPREAD = 90.0, 0.35
_BRIGHTNESS = (50.0, 165.0)
_SATURATION = (0.35, 1.05)
_GAMMA = (0.4, 2.0)
# Of the scaling between a screen and an upload, as much as lenses take from what they show.
_SOFTNESS_PX = (0.55, 1.05)
_LUMA = np.array([0.299, 0.587, 0.114])
"""Rec. ITU-R BT.601."""


def show(frames: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw settings and softness of a recording, and apply them to its uint8 (T, H, W, 3) RGB."""
    wanted = np.clip(_MEDIAN_BRIGHTNESS * np.exp(_SPREAD * rng.standard_normal()), *_BRIGHTNESS)
    shown = adjust(frames, float(wanted), float(rng.uniform(*_SATURATION)))
    softness = float(rng.uniform(*_SOFTNESS_PX))
    for frame in shown:
        frame[:] = cv2.GaussianBlur(frame, (0, 0), softness)
    return shown


def adjust(frames: NDArray[np.uint8], brightness: float, saturation: float) -> NDArray[np.uint8]:
    """Bring frames (T,H,W,3) to a mean brightness (0 to 255) and scale their saturation.

    One gamma serves all frames; it stays within limits, so very dark frames stay dark.
    """
    counts = sum(np.bincount(frame.ravel(), minlength=256) for frame in frames)
    levels = np.arange(256) / 255.0
    low, high = _GAMMA
    for _ in range(20):
        gamma = (low + high) / 2
        if 255 * levels**gamma @ counts / frames.size > brightness:
            low = gamma
        else:
            high = gamma
    curve = (255 * levels**gamma).astype(np.float32)
    luma = _LUMA.astype(np.float32)
    shown = np.empty_like(frames)
    for frame, out in zip(frames, shown, strict=True):
        bright = curve[frame]
        grey = (bright @ luma)[..., None]
        out[:] = np.rint(np.clip(grey + saturation * (bright - grey), 0, 255))
    return shown
