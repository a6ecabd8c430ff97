"""Edits of resolution and compression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import albumentations as A
import cv2
import numpy as np

from pipeline.store import video
from pipeline.store.video import Frames
from pipeline.transforms.base import FPS, Parameters, Transform, alike, amount, fixed, pick, resized

_UPSCALES = {"nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}


def _draw_resolution(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "scale": amount(rng, strength, 0.85, 0.16),
        "upscale": pick(rng, tuple(_UPSCALES)),
    }


def _resolution(frames: Frames, p: Mapping[str, Any]) -> Frames:
    ways = {"downscale": cv2.INTER_AREA, "upscale": _UPSCALES[p["upscale"]]}
    return alike(frames, A.Downscale(scale_range=fixed(p["scale"]), interpolation_pair=ways, p=1))


def _draw_recompress(rng: np.random.Generator, strength: float) -> Parameters:
    num = 1 + round(3 * strength * rng.uniform(0.75, 1))
    last = amount(rng, strength, 27, 43)
    smallest = amount(rng, strength, 1, 0.55)
    return {
        "generations": [
            {
                "crf": round(last - 2 * (num - 1 - i)),
                "scale": round(1 + (smallest - 1) * (i + 1) / num, 4),
                "keyint": int(pick(rng, (8, 16, 48))),
            }
            for i in range(num)
        ]
    }


def _recompress(frames: Frames, p: Mapping[str, Any]) -> Frames:
    """Encode and decode several times, smaller and worse each time, as re-uploads do."""
    height, width = frames.shape[1:3]
    out = frames
    for generation in p["generations"]:
        # decord misreads some other widths, among them 48 and 72.
        rows, columns = (
            max(32, 32 * round(generation["scale"] * side / 32)) for side in (height, width)
        )
        if out.shape[1:3] != (rows, columns):
            out = resized(out, columns, rows)
        mp4 = video.encode(out, FPS, crf=generation["crf"], keyint=generation["keyint"])
        out = video.decode(mp4)
    return out if out.shape == frames.shape else resized(out, width, height)


TRANSFORMS = (
    Transform("resolution", _draw_resolution, _resolution),
    Transform("recompress", _draw_recompress, _recompress),
)
