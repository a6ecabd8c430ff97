"""Interface of a transform, and helpers that several of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.store.sound import Samples
from pipeline.store.video import Frames

Parameters = dict[str, Any]
Array = NDArray[np.float32]

FPS = 15.0
"""Frames a second of canonical clips: what clocks, flicker and codecs in a variant run at."""


@dataclass(frozen=True)
class Transform:
    """One way to change a clip.

    Attributes:
        name: unique in the registry.
        draw: from a generator and a strength in [0, 1] (the faintest to the most severe) to
            JSON-able parameters. It sees nothing of the clip, so that a variant cannot tell an
            origin or a class.
        apply: from uint8 (T, H, W, 3) RGB and drawn parameters to frames of the same shape; the
            same parameters give the same bytes always.
        follow: how the sound of the clip follows, from int16 (n,) at `SOUND_HZ` and the parameters
            to as many samples; None for a transform that leaves it as it is.
    """

    name: str
    draw: Callable[[np.random.Generator, float], Parameters]
    apply: Callable[[Frames, Mapping[str, Any]], Frames]
    follow: Callable[[Samples, Mapping[str, Any]], Samples] | None = None


def amount(rng: np.random.Generator, strength: float, low: float, high: float) -> float:
    """`low` at strength 0, nearly `high` at 1; up to a quarter of the way between is chance."""
    return round(float(low + (high - low) * strength * rng.uniform(0.75, 1)), 4)


def signed_amount(rng: np.random.Generator, strength: float, limit: float) -> float:
    """A value near ± `limit` × `strength`, of either sign."""
    return float(rng.choice([-1, 1])) * amount(rng, strength, 0, limit)


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform value of four decimals, which is what a record holds."""
    return round(float(rng.uniform(low, high)), 4)


def pick(rng: np.random.Generator, choices: Sequence[Any]) -> Any:
    """One of `choices`, with its own type (NumPy would turn it into one of its own)."""
    return choices[int(rng.integers(len(choices)))]


def seed(rng: np.random.Generator) -> int:
    """A seed for details of which a record would be long: paths, textures, noise."""
    return int(rng.integers(2**31))


def smooth_paths(seed: int, num_frames: int, num_paths: int, hz: tuple[float, float]) -> Array:
    """Random smooth motion: float32 (T, num_paths) in [-1, 1], sums of three waves from `hz`."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(num_frames)[:, None, None] / FPS
    rate = rng.uniform(*hz, (1, 3, num_paths))
    phase = rng.uniform(0, 2 * np.pi, (1, 3, num_paths))
    return (np.sin(2 * np.pi * rate * time_s + phase).sum(axis=1) / 3).astype(np.float32)


def alike(frames: Frames, *steps: A.BasicTransform) -> Frames:
    """Apply Albumentations transforms to uint8 (T, H, W, 3) with one draw for all frames."""
    # A draw from ranges of one value needs a seed all the same to be the same in every worker.
    return np.ascontiguousarray(A.Compose(list(steps), seed=0)(images=frames)["images"])


def fixed(value: float) -> tuple[float, float]:
    """Return the range of one value that Albumentations wants."""
    return (value, value)


def to_uint8(values: NDArray[Any]) -> Frames:
    """Round values of any shape to whole numbers, and clip them to 0 to 255, uint8."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def toned(frames: Frames, curves: NDArray[Any]) -> Frames:
    """Look every value up: `curves` is (256,), or (256, 3) with a curve a channel, in [0, 255]."""
    table = to_uint8(curves)
    if table.ndim == 1:
        return table[frames]
    return np.stack([table[:, c][frames[..., c]] for c in range(3)], axis=-1)


def turned(
    frames: Frames,
    degrees: NDArray[Any] | Sequence[float],
    shifts: NDArray[Any],
    zoom: float,
    fill: tuple[int, int, int] | None = None,
) -> Frames:
    """Turn, shift and magnify each frame about its centre.

    Args:
        frames: uint8 (T, H, W, 3) RGB.
        degrees: (T,) counter-clockwise.
        shifts: (T, 2) in pixels, right and down.
        zoom: magnification, the same for all.
        fill: colour of what lies outside; None continues the picture by reflection.
    """
    height, width = frames.shape[1:3]
    border = cv2.BORDER_REFLECT_101 if fill is None else cv2.BORDER_CONSTANT
    out = np.empty_like(frames)
    for number, frame in enumerate(frames):
        centre = ((width - 1) / 2, (height - 1) / 2)
        matrix = cv2.getRotationMatrix2D(centre, float(degrees[number]), zoom)
        matrix[:, 2] += shifts[number]
        out[number] = cv2.warpAffine(
            frame,
            matrix,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=border,
            borderValue=fill or (0, 0, 0),
        )
    return out


def resized(frames: Frames, width: int, height: int) -> Frames:
    """Scale uint8 (T, H, W, 3) to `width` by `height`: by area when smaller, else bilinearly."""
    smaller = width * height < frames.shape[1] * frames.shape[2]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.stack([cv2.resize(f, (width, height), interpolation=method) for f in frames])


def blurred(frames: Frames, sigma: float) -> Frames:
    """Gaussian blur of every frame; `sigma` in pixels."""
    return np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in frames])


def radius_squared(height: int, width: int) -> Array:
    """float32 (H, W): squared distance to the centre, 1 in the corners."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = 2 * (y + 0.5) / height - 1, 2 * (x + 0.5) / width - 1
    return np.asarray((y * y + x * x) / 2, np.float32)
