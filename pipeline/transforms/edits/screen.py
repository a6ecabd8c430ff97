"""A screen filmed by a phone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from pipeline.store.video import Frames
from pipeline.transforms.base import (
    FPS,
    Array,
    Parameters,
    Transform,
    amount,
    pick,
    radius_squared,
    seed,
    smooth_paths,
    to_uint8,
    uniform,
)


def _draw(rng: np.random.Generator, strength: float) -> Parameters:
    tilt = amount(rng, strength, 0.01, 0.14)
    return {
        # Shares of the picture by which the corners of the screen lie off those of the picture;
        # outwards is negative, so that the mild ones fill it.
        "corners": [
            [uniform(rng, -0.6 * tilt, tilt), uniform(rng, -0.6 * tilt, tilt)] for _ in range(4)
        ],
        "sway": amount(rng, strength, 0.001, 0.012),
        # Screen pixels to a pixel of the picture; its distance from 1 is what moiré beats with.
        "pitch": round(1 + pick(rng, (-1, 1)) * uniform(rng, 0.03, 0.14), 4),
        "moire": amount(rng, strength, 0.02, 0.17),
        "band_depth": amount(rng, strength, 0.03, 0.3),
        "band_hz": uniform(rng, -3, 3),
        "bands": uniform(rng, 0.6, 2.2),
        "glare": amount(rng, strength, 0.05, 0.55),
        "glare_x": uniform(rng, 0.1, 0.9),
        "glare_y": uniform(rng, 0.1, 0.9),
        "glare_size": uniform(rng, 0.12, 0.3),
        "window": pick(rng, (True, False)),
        "haze": amount(rng, strength, 0.01, 0.1),
        "cast": [amount(rng, strength, 1, 0.85), 1.0, amount(rng, strength, 1, 1.15)],
        "vignette": amount(rng, strength, 0.05, 0.5),
        "defocus_share": amount(rng, strength, 0.001, 0.009),
        "room": [int(value) for value in rng.integers(8, 70, 3)],
        "seed": seed(rng),
    }


def _apply(frames: Frames, p: Mapping[str, Any]) -> Frames:
    """Lay the frames on a tilted screen, then let its light through a phone's lens and shutter.

    Moiré comes from where it comes from in the world: the rows and the red, green and blue columns
    of the screen's pixels are sampled by a grid of nearly the same pitch. Bands are the refresh of
    the screen against the phone's rolling shutter.
    """
    num_frames, height, width = frames.shape[:3]
    sway = smooth_paths(p["seed"], num_frames, 2, (0.4, 2)) * p["sway"]
    y = (np.arange(height, dtype=np.float32) / height)[:, None, None]
    falloff = 1 - np.float32(p["vignette"]) * radius_squared(height, width)[..., None]
    glare = _glare(p, height, width)
    cast = np.array(p["cast"], np.float32)
    out = np.empty_like(frames)
    for number, frame in enumerate(frames):
        homography = _homography(p, sway[number], height, width)
        light = _on_screen(frame, homography, p)
        phase = 2 * np.pi * (p["bands"] * y - p["band_hz"] * number / FPS)
        light *= 1 - np.float32(p["band_depth"]) * (0.5 + 0.5 * np.cos(phase)) ** 2
        light = light * cast * (1 - np.float32(p["haze"])) + np.float32(255 * p["haze"])
        light = (light + glare) * falloff
        sigma = p["defocus_share"] * height
        out[number] = to_uint8(cv2.GaussianBlur(light.astype(np.float32), (0, 0), sigma))
    return out


def _homography(p: Mapping[str, Any], sway: Array, height: int, width: int) -> np.ndarray:
    """Maps pixels of the frame to pixels of the phone's picture."""
    size = np.array([width, height], np.float32)
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    inwards = np.array(p["corners"], np.float32) * (1 - 2 * unit)
    return np.asarray(cv2.getPerspectiveTransform(unit * size, (unit + inwards + sway) * size))


def _on_screen(frame: np.ndarray, homography: np.ndarray, p: Mapping[str, Any]) -> Array:
    """float32 (H, W, 3): the lit screen with its bezel, and the room around it."""
    height, width = frame.shape[:2]
    size = (width, height)
    lit = cv2.warpPerspective(frame, homography, size, borderMode=cv2.BORDER_REPLICATE)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    inverse = np.linalg.inv(homography)
    on = inverse @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    u, v = ((on[:2] / on[2]).reshape(2, height, width)).astype(np.float32)
    # Three stripes of colour to a pixel of the screen.
    columns = u[..., None] * np.float32(p["pitch"]) + np.arange(3, dtype=np.float32) / 3
    grid = np.cos(2 * np.pi * columns) + np.cos(2 * np.pi * v * np.float32(p["pitch"]))[..., None]
    light = lit * (1 + np.float32(p["moire"]) * grid)
    outside = np.maximum(np.abs(u / width - 0.5), np.abs(v / height - 0.5)) - 0.5
    bezel = np.clip(outside * height, 0, 1)[..., None]
    room = np.clip(outside * height - 0.03 * height, 0, 1)[..., None]
    light = light * (1 - bezel) + 14 * bezel
    return np.asarray(light * (1 - room) + np.array(p["room"], np.float32) * room, np.float32)


def _glare(p: Mapping[str, Any], height: int, width: int) -> Array:
    """float32 (H, W, 1): the reflection of a lamp, or of a window with its bars."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    dx = (x / width - p["glare_x"]) / p["glare_size"]
    dy = (y / height - p["glare_y"]) / p["glare_size"]
    if p["window"]:
        pane = np.exp(-(np.maximum(np.abs(dx + 0.2 * dy), np.abs(dy)) ** 6))
        bars = 1 - 0.7 * np.exp(-(((dx + 0.2 * dy) / 0.09) ** 2))
        shape = 0.6 * pane * bars
    else:
        shape = np.exp(-(dx * dx + dy * dy))
    return np.asarray(255 * p["glare"] * shape, np.float32)[..., None]


TRANSFORMS = (Transform("filmed_screen", _draw, _apply),)
