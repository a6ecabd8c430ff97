"""Colour filters of editors and apps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from pipeline.store.video import Frames
from pipeline.transforms.base import Parameters, Transform, amount, pick, to_uint8, toned

_GREY = np.array([0.299, 0.587, 0.114])
_LEVELS = np.arange(256) / 255
_SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
MATRICES = {
    "grey": np.tile(_GREY, (3, 1)),
    "sepia": _SEPIA,
    "night_vision": np.outer([0.25, 1.15, 0.35], _GREY),
    "vivid": 2.2 * np.eye(3) - 1.2 * _GREY,
    "swapped": np.eye(3)[[2, 1, 0]],
}
"""(3, 3) from RGB to RGB; sepia is Microsoft's, which Albumentations uses too."""


def _smooth(levels: np.ndarray) -> np.ndarray:
    return levels * levels * (3 - 2 * levels)


CURVES = {
    "faded": 0.18 + 0.66 * np.stack([_LEVELS, _LEVELS, 0.06 + 0.94 * _LEVELS], axis=1),
    "high_contrast": np.tile(_smooth(_smooth(_LEVELS))[:, None], (1, 3)),
    "teal_orange": np.stack([_smooth(_LEVELS), 0.05 + 0.9 * _LEVELS, 0.25 + 0.5 * _LEVELS], axis=1),
    "golden": np.stack([_LEVELS**0.75, _LEVELS**0.95, _LEVELS**1.6], axis=1),
    "moonlight": np.stack([0.5 * _LEVELS, 0.65 * _LEVELS, 0.1 + 0.8 * _LEVELS], axis=1),
    "cross_process": np.stack([_smooth(_LEVELS), _LEVELS**0.9, 0.2 + 0.6 * _LEVELS], axis=1),
    "poster": np.tile(np.rint(_LEVELS * 4)[:, None] / 4, (1, 3)),
}
"""(256, 3): a tone curve a channel, in [0, 1]."""


def _draw(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "filter": pick(rng, (*MATRICES, *CURVES)),
        "share": amount(rng, strength, 0.1, 1),
    }


def _apply(frames: Frames, p: Mapping[str, Any]) -> Frames:
    """Mix the picture with its filtered self, `share` of it."""
    share = p["share"]
    if p["filter"] in CURVES:
        curves = _LEVELS[:, None] * (1 - share) + CURVES[p["filter"]] * share
        return toned(frames, 255 * curves)
    matrix = np.eye(3) * (1 - share) + MATRICES[p["filter"]] * share
    return np.stack([to_uint8(cv2.transform(f.astype(np.float32), matrix)) for f in frames])


TRANSFORMS = (Transform("colour_filter", _draw, _apply),)
