"""What a camera does to a whole clip: one draw for all frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import albumentations as A
import cv2
import numpy as np

from pipeline.config import CameraLook
from pipeline.video import Frames


def draw(look: CameraLook, rng: np.random.Generator) -> dict[str, Any]:
    """Draw the parameters of one clip's camera; every one of them is in the result.

    Returns:
        JSON-able numbers by transform; a transform that is absent is not applied.
    """
    signed = {
        "distortion": look.distortion,
        "rotation_deg": look.rotation_deg,
        "brightness": look.brightness,
        "contrast": look.contrast,
        "saturation": look.saturation,
        "hue": look.hue,
        "gamma": look.gamma,
    }
    drawn: dict[str, Any] = {
        name: round(float(rng.uniform(-limit, limit)), 4)
        for name, limit in signed.items()
        if rng.random() < look.p
    }
    if rng.random() < look.p:
        drawn["defocus_sigma_px"] = round(float(rng.uniform(0.2, look.defocus_sigma_px)), 4)
    if rng.random() < look.p:
        drawn["motion_blur_px"] = 3 + 2 * int(rng.integers(0, (look.motion_blur_px - 1) // 2))
        drawn["motion_blur_deg"] = round(float(rng.uniform(0, 180)), 4)
    if rng.random() < look.p:
        drawn["scale"] = round(float(rng.uniform(look.min_scale, 1)), 4)
    return drawn


def apply(frames: Frames, drawn: Mapping[str, Any]) -> Frames:
    """Apply drawn parameters alike to every frame.

    Args:
        frames: uint8 (T, H, W, 3) RGB.
        drawn: as `draw` returns them.

    Returns:
        uint8 (T, H, W, 3) RGB.
    """
    steps = [make(drawn) for name, make in _TRANSFORMS.items() if name in drawn]
    if not steps:
        return frames
    # A draw from ranges of one value needs a seed all the same to be the same in every worker.
    compose = A.Compose(steps, seed=0)
    return np.ascontiguousarray(compose(images=frames)["images"])


def _fixed(value: float) -> tuple[float, float]:
    return (value, value)


_TRANSFORMS = {
    "distortion": lambda d: A.OpticalDistortion(
        distort_limit=_fixed(d["distortion"]), border_mode=cv2.BORDER_REFLECT_101, p=1
    ),
    "rotation_deg": lambda d: A.Affine(
        rotate=_fixed(d["rotation_deg"]), border_mode=cv2.BORDER_REFLECT_101, p=1
    ),
    "scale": lambda d: A.Downscale(
        scale_range=_fixed(d["scale"]),
        interpolation_pair={"downscale": cv2.INTER_AREA, "upscale": cv2.INTER_LINEAR},
        p=1,
    ),
    "defocus_sigma_px": lambda d: A.GaussianBlur(
        sigma_limit=_fixed(d["defocus_sigma_px"]), blur_limit=0, p=1
    ),
    "motion_blur_px": lambda d: A.MotionBlur(
        blur_limit=_fixed(d["motion_blur_px"]),
        angle_range=_fixed(d["motion_blur_deg"]),
        direction_range=(0, 0),
        allow_shifted=False,
        p=1,
    ),
    "brightness": lambda d: A.RandomBrightnessContrast(
        brightness_limit=_fixed(d["brightness"]), contrast_limit=(0, 0), p=1
    ),
    "contrast": lambda d: A.RandomBrightnessContrast(
        brightness_limit=(0, 0), contrast_limit=_fixed(d["contrast"]), p=1
    ),
    "gamma": lambda d: A.RandomGamma(gamma_limit=_fixed(100 * (1 + d["gamma"])), p=1),
    "saturation": lambda d: _colour(saturation=_fixed(1 + d["saturation"])),
    "hue": lambda d: _colour(hue=_fixed(d["hue"])),
}
"""In the order of application: lens, motion, exposure, colour."""


def _colour(**ranges: tuple[float, float]) -> A.ColorJitter:
    still = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0)}
    return A.ColorJitter(**{**still, **ranges}, p=1)
