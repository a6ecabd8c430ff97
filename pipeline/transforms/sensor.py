"""What a sensor does: noise drawn anew for every frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import albumentations as A
import numpy as np

from pipeline.config import SensorLook
from pipeline.video import Frames


def draw(look: SensorLook, rng: np.random.Generator) -> dict[str, Any]:
    """Draw the strengths of one clip's noise and the seed of its frames' draws."""
    drawn: dict[str, Any] = {}
    if rng.random() < look.p:
        drawn["gauss_std"] = round(float(rng.uniform(0, look.gauss_std)), 4)
    if rng.random() < look.p:
        drawn["iso_intensity"] = round(float(rng.uniform(0.05, look.iso_intensity)), 4)
    if drawn:
        drawn["seed"] = int(rng.integers(2**31))
    return drawn


def apply(frames: Frames, drawn: Mapping[str, Any]) -> Frames:
    """Add noise, another one to every frame.

    Args:
        frames: uint8 (T, H, W, 3) RGB.
        drawn: as `draw` returns them.

    Returns:
        uint8 (T, H, W, 3) RGB.
    """
    steps = []
    if "gauss_std" in drawn:
        steps.append(A.GaussNoise(std_range=(drawn["gauss_std"],) * 2, p=1))
    if "iso_intensity" in drawn:
        steps.append(
            A.ISONoise(intensity=(drawn["iso_intensity"],) * 2, color_shift=(0.01, 0.05), p=1)
        )
    if not steps:
        return frames
    # `images=` would freeze one draw over the clip: noise needs a call a frame.
    compose = A.Compose(steps, seed=drawn["seed"])
    return np.stack([compose(image=frame)["image"] for frame in frames])
