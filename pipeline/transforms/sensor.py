"""Effects of a sensor: noise drawn anew for every frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import albumentations as A
import cv2
import numpy as np

from pipeline.store.video import Frames
from pipeline.transforms.base import Parameters, Transform, amount, fixed, seed, to_uint8, uniform


def _draw_noise(rng: np.random.Generator, strength: float) -> Parameters:
    return {"std": amount(rng, strength, 0.005, 0.1), "seed": seed(rng)}


def _noise(frames: Frames, p: Mapping[str, Any]) -> Frames:
    # `images=` would freeze one draw over the clip: noise needs a call a frame.
    compose = A.Compose([A.GaussNoise(std_range=fixed(p["std"]), p=1)], seed=p["seed"])
    return np.stack([compose(image=frame)["image"] for frame in frames])


def _draw_iso_noise(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "luma_std": amount(rng, strength, 0.003, 0.06),
        "chroma_std": amount(rng, strength, 0.005, 0.12),
        "blotch_px": uniform(rng, 0.8, 2.5),
        "seed": seed(rng),
    }


def _iso_noise(frames: Frames, p: Mapping[str, Any]) -> Frames:
    """Grain and coloured blotches, as a camera's noise reduction leaves them in the dark.

    Albumentations' ISONoise grows with the contrast of a picture: dark ones get none.
    """
    rng = np.random.default_rng(p["seed"])
    num_frames, height, width, _ = frames.shape
    grain = rng.standard_normal((num_frames, height, width, 1), dtype=np.float32)
    blotches = rng.standard_normal((num_frames, height, width, 3), dtype=np.float32)
    # A blur leaves 1 / (2 sigma sqrt(pi)) of the deviation of white noise.
    kept = 2 * np.sqrt(np.pi) * p["blotch_px"]
    blotches = np.stack([cv2.GaussianBlur(one, (0, 0), p["blotch_px"]) * kept for one in blotches])
    blotches -= blotches.mean(axis=3, keepdims=True)
    noise = grain * np.float32(p["luma_std"]) + blotches * np.float32(p["chroma_std"])
    shade = np.float32(1.3) - frames.mean(axis=3, keepdims=True, dtype=np.float32) / 255
    return to_uint8(frames + 255 * shade * noise)


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


TRANSFORMS = (
    Transform("low_light", _draw_low_light, _low_light),
    Transform("noise", _draw_noise, _noise),
    Transform("iso_noise", _draw_iso_noise, _iso_noise),
)
