"""Edits that move the picture: crop, mirror, rotation, border, picture in picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.store.video import Frames
from pipeline.transforms.base import (
    Parameters,
    Transform,
    alike,
    amount,
    blurred,
    pick,
    resized,
    signed_amount,
    toned,
    turned,
    uniform,
)

_GROUNDS = ("blurred", "black", "white", "plain", "gradient")
_COLOURS = ((20, 20, 28), (250, 210, 60), (230, 60, 90), (60, 120, 220), (40, 160, 110), (240,) * 3)


def _draw_crop(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "kept": amount(rng, strength, 0.97, 0.5),
        "x": uniform(rng, 0, 1),
        "y": uniform(rng, 0, 1),
    }


def _crop(frames: Frames, p: Mapping[str, Any]) -> Frames:
    height, width = frames.shape[1:3]
    rows, columns = max(2, round(p["kept"] * height)), max(2, round(p["kept"] * width))
    top, left = round(p["y"] * (height - rows)), round(p["x"] * (width - columns))
    window = A.Crop(left, top, left + columns, top + rows, p=1)
    return alike(frames, window, A.Resize(height, width, interpolation=cv2.INTER_CUBIC, p=1))


def _draw_mirror(rng: np.random.Generator, strength: float) -> Parameters:
    """A mirror image has no strength; the more severe are also magnified a little."""
    return {"zoom": amount(rng, strength, 1, 1.3)}


def _mirror(frames: Frames, p: Mapping[str, Any]) -> Frames:
    flipped = alike(frames, A.HorizontalFlip(p=1))
    still = np.zeros((len(frames), 2))
    return turned(flipped, still[:, 0], still, p["zoom"]) if p["zoom"] > 1 else flipped


def _draw_rotate(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "degrees": signed_amount(rng, strength, 30),
        "zoom": uniform(rng, 0.95, 1.15),
        "ground": pick(rng, ("blurred", "black", "white")),
    }


def _rotate(frames: Frames, p: Mapping[str, Any]) -> Frames:
    ground = _ground(frames, {**p, "inks": [[0, 0, 0]] * 2})
    still = np.zeros((len(frames), 2))
    degrees = still[:, 0] + p["degrees"]
    white = np.full_like(frames[:1], 255)
    cover = turned(white, degrees[:1], still[:1], p["zoom"], (0, 0, 0)).astype(np.float32) / 255
    # The colour of the ground at the picture's edge, so that no dark seam shows.
    picture = turned(frames, degrees, still, p["zoom"])
    return _mixed(ground, picture, cover)


def _draw_border(rng: np.random.Generator, strength: float) -> Parameters:
    share = amount(rng, strength, 0.02, 0.22)
    sides = pick(rng, ("all", "all", "top_and_bottom", "left_and_right", "bottom"))
    return {"share": share, "sides": sides, **_draw_ground(rng)}


def _border(frames: Frames, p: Mapping[str, Any]) -> Frames:
    """The picture shrinks, with its shape kept, so that a border fits beside it."""
    height, width = frames.shape[1:3]
    band_y, band_x = round(p["share"] * height), round(p["share"] * width)
    top = band_y if p["sides"] in ("all", "top_and_bottom") else 0
    bottom = band_y if p["sides"] in ("all", "top_and_bottom", "bottom") else 0
    left = right = band_x if p["sides"] in ("all", "left_and_right") else 0
    out = _ground(frames, p).copy()
    rows, columns = height - top - bottom, width - left - right
    # The window keeps its scale in one direction; what does not fit is cropped.
    scale = max(rows / height, columns / width)
    small = resized(frames, max(columns, round(scale * width)), max(rows, round(scale * height)))
    y, x = (small.shape[1] - rows) // 2, (small.shape[2] - columns) // 2
    out[:, top : top + rows, left : left + columns] = small[:, y : y + rows, x : x + columns]
    return out


def _draw_picture_in_picture(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "inset": pick(rng, ("clip", "detail")),
        "scale": amount(rng, strength, 0.92, 0.42),
        "x": uniform(rng, 0, 1),
        "y": uniform(rng, 0, 1),
        "edge": pick(rng, (0, 0, 0.01, 0.02)),
        **_draw_ground(rng),
    }


def _picture_in_picture(frames: Frames, p: Mapping[str, Any]) -> Frames:
    """The clip on another ground, or a magnified detail of it over it, the larger the severer."""
    height, width = frames.shape[1:3]
    below, above, scale = _ground(frames, p), frames, p["scale"]
    if p["inset"] == "detail":
        third = frames[:, height // 3 : 2 * height // 3, width // 3 : 2 * width // 3]
        below, above, scale = frames, third, 1 - scale
    rows, columns = max(2, round(scale * height)), max(2, round(scale * width))
    top, left = round(p["y"] * (height - rows)), round(p["x"] * (width - columns))
    out = below.copy()
    edge = round(p["edge"] * height)
    out[
        :,
        max(0, top - edge) : top + rows + edge,
        max(0, left - edge) : left + columns + edge,
    ] = 255
    out[:, top : top + rows, left : left + columns] = resized(above, columns, rows)
    return out


def _draw_ground(rng: np.random.Generator) -> Parameters:
    return {"ground": pick(rng, _GROUNDS), "inks": [pick(rng, _COLOURS), pick(rng, _COLOURS)]}


def _ground(frames: Frames, p: Mapping[str, Any]) -> Frames:
    """Background behind a smaller picture: the picture itself, large and blurred, or a colour."""
    num_frames, height, width = frames.shape[:3]
    if p["ground"] == "blurred":
        rows, columns = height // 4, width // 4
        middle = frames[:, height // 2 - rows : height // 2 + rows]
        middle = middle[:, :, width // 2 - columns : width // 2 + columns]
        dark = toned(middle, 0.7 * np.arange(256))
        return resized(blurred(dark, 0.04 * height), width, height)
    one, other = (np.array(ink, np.float32) for ink in p["inks"])
    if p["ground"] != "gradient":
        other = one = {"black": np.zeros(3), "white": np.full(3, 255)}.get(p["ground"], one)
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    sheet = np.broadcast_to(one + (other - one) * share, (height, width, 3))
    return np.repeat(np.rint(sheet).astype(np.uint8)[None], num_frames, axis=0)


def _mixed(below: Frames, above: Frames, cover: NDArray[Any]) -> Frames:
    mixed = below + (above.astype(np.float32) - below) * cover
    return np.rint(mixed).astype(np.uint8)


TRANSFORMS = (
    Transform("crop", _draw_crop, _crop),
    Transform("mirror", _draw_mirror, _mirror),
    Transform("rotate", _draw_rotate, _rotate),
    Transform("border", _draw_border, _border),
    Transform("picture_in_picture", _draw_picture_in_picture, _picture_in_picture),
)
