"""Effects of a camera on a whole clip: one draw for all frames, smooth paths over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import albumentations as A
import cv2
import numpy as np

from pipeline.store.video import Frames
from pipeline.transforms.base import (
    FPS,
    Parameters,
    Transform,
    alike,
    amount,
    fixed,
    pick,
    radius_squared,
    seed,
    signed_amount,
    smooth_paths,
    to_uint8,
    toned,
    turned,
    uniform,
)

_LEVELS = np.arange(256) / 255


def _draw_distortion(rng: np.random.Generator, strength: float) -> Parameters:
    return {"coefficient": signed_amount(rng, strength, 0.4)}


def _distort(frames: Frames, p: Mapping[str, Any]) -> Frames:
    lens = A.OpticalDistortion(
        distort_limit=fixed(p["coefficient"]), border_mode=cv2.BORDER_REFLECT_101, p=1
    )
    return alike(frames, lens)


def _draw_roll(rng: np.random.Generator, strength: float) -> Parameters:
    return {"degrees": signed_amount(rng, strength, 14)}


def _roll(frames: Frames, p: Mapping[str, Any]) -> Frames:
    angle = np.deg2rad(abs(p["degrees"]))
    # Just large enough that no corner of a square lies outside.
    fills = float(np.cos(angle) + np.sin(angle))
    lean = A.Affine(rotate=fixed(p["degrees"]), scale=fixed(fills), p=1)
    return alike(frames, lean)


def _draw_exposure(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "brightness": signed_amount(rng, strength, 0.2),
        "contrast": signed_amount(rng, strength, 0.3),
        "gamma": round(1 + signed_amount(rng, strength, 0.3), 4),
    }


def _expose(frames: Frames, p: Mapping[str, Any]) -> Frames:
    levels = A.RandomBrightnessContrast(
        brightness_limit=fixed(p["brightness"]), contrast_limit=fixed(p["contrast"]), p=1
    )
    return alike(frames, levels, A.RandomGamma(gamma_limit=fixed(100 * p["gamma"]), p=1))


def _draw_colour(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "saturation": round(1 + signed_amount(rng, strength, 0.6), 4),
        "hue": signed_amount(rng, strength, 0.03),
        "warmth": signed_amount(rng, strength, 0.2),
        "greenness": signed_amount(rng, strength, 0.08),
    }


def _colour(frames: Frames, p: Mapping[str, Any]) -> Frames:
    jitter = A.ColorJitter(
        brightness=fixed(1),
        contrast=fixed(1),
        saturation=fixed(p["saturation"]),
        hue=fixed(p["hue"]),
        p=1,
    )
    gains = np.array([1 + p["warmth"], 1 + p["greenness"], 1 - p["warmth"]])
    return toned(alike(frames, jitter), 255 * _LEVELS[:, None] * gains)


def _draw_defocus(rng: np.random.Generator, strength: float) -> Parameters:
    return {"sigma_share": amount(rng, strength, 0.002, 0.02)}


def _defocus(frames: Frames, p: Mapping[str, Any]) -> Frames:
    sigma = p["sigma_share"] * frames.shape[1]
    return alike(frames, A.GaussianBlur(sigma_limit=fixed(sigma), blur_limit=0, p=1))


def _draw_motion_blur(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "length_share": amount(rng, strength, 0.015, 0.1),
        "degrees": uniform(rng, 0, 180),
    }


def _motion_blur(frames: Frames, p: Mapping[str, Any]) -> Frames:
    length = max(3, 2 * round(p["length_share"] * frames.shape[1] / 2) + 1)
    blur = A.MotionBlur(
        blur_limit=(length, length),
        angle_range=fixed(p["degrees"]),
        direction_range=(0, 0),
        allow_shifted=False,
        p=1,
    )
    return alike(frames, blur)


def _draw_softness(rng: np.random.Generator, strength: float) -> Parameters:
    return {"scale": amount(rng, strength, 0.95, 0.3)}


def _soften(frames: Frames, p: Mapping[str, Any]) -> Frames:
    interpolation = {"downscale": cv2.INTER_AREA, "upscale": cv2.INTER_LINEAR}
    step = A.Downscale(scale_range=fixed(p["scale"]), interpolation_pair=interpolation, p=1)
    return alike(frames, step)


def _draw_vignette(rng: np.random.Generator, strength: float) -> Parameters:
    return {"loss": amount(rng, strength, 0.1, 0.9), "power": uniform(rng, 1, 2)}


def _vignette(frames: Frames, p: Mapping[str, Any]) -> Frames:
    gain = 1 - p["loss"] * radius_squared(*frames.shape[1:3]) ** p["power"]
    return to_uint8(frames * gain[:, :, None].astype(np.float32))


def _draw_auto_exposure(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "stops": signed_amount(rng, strength, 1.6),
        "start_s": uniform(rng, 0, 0.5),
        "lag_s": uniform(rng, 0.08, 0.4),
    }


def _auto_exposure(frames: Frames, p: Mapping[str, Any]) -> Frames:
    """Exposure goes from one level to another with the lag of a camera's control loop.

    It starts as far from the level of the clip as it ends on the other side. Gains act on light,
    for which a display gamma of 2.2 stands.
    """
    out = np.empty_like(frames)
    for number, frame in enumerate(frames):
        since = max(0.0, number / FPS - p["start_s"])
        stops = p["stops"] * (0.5 - np.exp(-since / p["lag_s"]))
        out[number] = toned(frame, 255 * _LEVELS * 2 ** (stops / 2.2))
    return out


def _draw_shake(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "shift_share": amount(rng, strength, 0.004, 0.05),
        "degrees": amount(rng, strength, 0.2, 4),
        "hz": uniform(rng, 1.5, 4),
        "seed": seed(rng),
    }


def _shake(frames: Frames, p: Mapping[str, Any]) -> Frames:
    paths = smooth_paths(p["seed"], len(frames), 3, (0.5 * p["hz"], 1.5 * p["hz"]))
    shifts = paths[:, :2] * p["shift_share"] * frames.shape[1]
    zoom = 1 + 2 * p["shift_share"] + float(np.sin(np.deg2rad(p["degrees"])))
    return turned(frames, paths[:, 2] * p["degrees"], shifts, zoom)


def _draw_rolling_shutter(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "shift_share": amount(rng, strength, 0.006, 0.05),
        "hz": uniform(rng, 5, 20),
        "readout_s": uniform(rng, 0.015, 0.06),
        "phase": uniform(rng, 0, 1),
        "skew": pick(rng, (True, False)),
    }


def _rolling_shutter(frames: Frames, p: Mapping[str, Any]) -> Frames:
    """Each row is read a little later than the one above, while the camera shakes or pans."""
    num_frames, height, width = frames.shape[:3]
    row = np.arange(height) / height
    time_s = np.arange(num_frames)[:, None] / FPS + p["readout_s"] * row
    sway = np.sin(2 * np.pi * (p["hz"] * time_s + p["phase"]))
    if p["skew"]:
        sway = (sway[:, :1] * (2 * row - 1) + sway) / 2
    shift = (p["shift_share"] * width * sway).astype(np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    moved = [
        cv2.remap(f, x + s[:, None], y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        for f, s in zip(frames, shift, strict=True)
    ]
    return np.stack(moved)


TRANSFORMS = (
    Transform("distortion", _draw_distortion, _distort),
    Transform("roll", _draw_roll, _roll),
    Transform("shake", _draw_shake, _shake),
    Transform("rolling_shutter", _draw_rolling_shutter, _rolling_shutter),
    Transform("softness", _draw_softness, _soften),
    Transform("defocus", _draw_defocus, _defocus),
    Transform("motion_blur", _draw_motion_blur, _motion_blur),
    Transform("vignette", _draw_vignette, _vignette),
    Transform("exposure", _draw_exposure, _expose),
    Transform("auto_exposure", _draw_auto_exposure, _auto_exposure),
    Transform("colour", _draw_colour, _colour),
)
"""Transforms of the camera in the order of application: lens, motion, focus, exposure, colour."""
