"""What a sensor does: noise drawn anew for every frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import albumentations as A
import numpy as np

from pipeline.transforms.base import Parameters, Transform, amount, fixed, seed, to_uint8, uniform
from pipeline.video import Frames


def _draw_noise(rng: np.random.Generator, strength: float) -> Parameters:
    return {"std": amount(rng, strength, 0.005, 0.1), "seed": seed(rng)}


def _noise(frames: Frames, p: Mapping[str, Any]) -> Frames:
    return _each(frames, A.GaussNoise(std_range=fixed(p["std"]), p=1), p["seed"])


def _draw_iso_noise(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "intensity": amount(rng, strength, 0.05, 0.45),
        "colour_shift": amount(rng, strength, 0.01, 0.08),
        "seed": seed(rng),
    }


def _iso_noise(frames: Frames, p: Mapping[str, Any]) -> Frames:
    step = A.ISONoise(intensity=fixed(p["intensity"]), color_shift=fixed(p["colour_shift"]), p=1)
    return _each(frames, step, p["seed"])


def _draw_low_light(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "stops": amount(rng, strength, 0.2, 2.0),
        "electrons": round(2000 * 0.05**strength),
        "row_std": uniform(rng, 0, 0.006),
        "seed": seed(rng),
    }


def _low_light(frames: Frames, p: Mapping[str, Any]) -> Frames:
    """Little light, some of it gained back: photon noise and the streaks of amplified rows.

    Light is the 2.2th power of a value. `electrons` is the charge at white; the deviation of a
    photon count is its root (EMVA 1288, section 2).
    """
    rng = np.random.default_rng(p["seed"])
    light = (np.arange(256, dtype=np.float32) / 255)[frames] ** np.float32(2.2)
    light *= np.float32(2 ** (-p["stops"]))
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    light += noise * np.sqrt(light / np.float32(p["electrons"]) + np.float32(1e-6))
    rows = rng.standard_normal((*light.shape[:2], 1, 1), dtype=np.float32)
    shown = np.maximum(light, 0) ** np.float32(1 / 2.2) + rows * np.float32(p["row_std"])
    return to_uint8(255 * shown)


def _each(frames: Frames, step: A.BasicTransform, seed: int) -> Frames:
    # `images=` would freeze one draw over the clip: noise needs a call a frame.
    compose = A.Compose([step], seed=seed)
    return np.stack([compose(image=frame)["image"] for frame in frames])


TRANSFORMS = (
    Transform("low_light", _draw_low_light, _low_light),
    Transform("noise", _draw_noise, _noise),
    Transform("iso_noise", _draw_iso_noise, _iso_noise),
)
