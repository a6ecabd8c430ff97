"""Frames and marks of publishers: letterbox, rounded corners, watermark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.store.video import Frames
from pipeline.transforms.base import Parameters, Transform, amount, pick, uniform
from pipeline.transforms.drawing import FACES, Canvas, lay_over

_BARS = ((0, 0, 0), (0, 0, 0), (16, 16, 16), (255, 255, 255), (30, 30, 60))
_MARKS = ("@clipdrop", "vidhub.example", "PREVIEW", "(c) wavefilm", "SAMPLE", "tape.example/9x2")
_LAYOUTS = ("tiled", "corner", "centre", "drifting")


def _draw_letterbox(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "share": amount(rng, strength, 0.03, 0.24),
        "upright": bool(rng.random() < 0.3),
        "ink": pick(rng, _BARS),
    }


def _letterbox(frames: Frames, p: Mapping[str, Any]) -> Frames:
    out = frames.copy()
    picture = out.swapaxes(1, 2) if p["upright"] else out
    num_rows = max(1, round(p["share"] * picture.shape[1]))
    picture[:, :num_rows] = picture[:, -num_rows:] = p["ink"]
    return out


def _draw_corners(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "radius": amount(rng, strength, 0.05, 0.3),
        "margin": amount(rng, strength, 0, 0.05),
        "ink": pick(rng, _BARS),
    }


def _corners(frames: Frames, p: Mapping[str, Any]) -> Frames:
    height, width = frames.shape[1:3]
    margin, radius = p["margin"] * height, p["radius"] * height
    y, x = np.mgrid[0:height, 0:width] + 0.5
    far_y = np.abs(y - height / 2) - (height / 2 - margin - radius)
    far_x = np.abs(x - width / 2) - (width / 2 - margin - radius)
    outside = np.hypot(np.maximum(far_y, 0), np.maximum(far_x, 0)) - radius
    cover = np.clip(outside + 0.5, 0, 1)[..., None].astype(np.float32)
    ink = np.array(p["ink"], np.float32)
    return np.rint(frames * (1 - cover) + ink * cover).astype(np.uint8)


def _draw_watermark(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "text": pick(rng, _MARKS),
        "layout": pick(rng, _LAYOUTS),
        "opacity": amount(rng, strength, 0.3, 0.85),
        "size": amount(rng, strength, 0.055, 0.12),
        "degrees": uniform(rng, 15, 40),
        "ink": pick(rng, ((255, 255, 255), (255, 255, 255), (20, 20, 20), (255, 240, 120))),
        "face": pick(rng, FACES),
        "x": uniform(rng, 0.1, 0.9),
        "y": uniform(rng, 0.1, 0.9),
    }


def _watermark(frames: Frames, p: Mapping[str, Any]) -> Frames:
    num_frames, height, width = frames.shape[:3]
    sheet = Canvas(height, width)
    options = {"ink": p["ink"], "face": p["face"], "anchor": "mm"}
    if p["layout"] == "drifting":
        sheets = []
        for number in range(num_frames):
            sheet = Canvas(height, width)
            point = ((p["x"] + 0.2 * number / num_frames) % 1, p["y"])
            sheet.text(point, p["text"], p["size"], edge=(0, 0, 0, 120), **options)
            sheets.append(sheet)
        return lay_over(frames, sheets, p["opacity"])
    if p["layout"] == "corner":
        anchor = ("l" if p["x"] < 0.5 else "r") + ("t" if p["y"] < 0.5 else "b")
        point = (0.04 if p["x"] < 0.5 else 0.96, 0.04 if p["y"] < 0.5 else 0.96)
        sheet.text(point, p["text"], p["size"], shadow=True, **{**options, "anchor": anchor})
    elif p["layout"] == "centre":
        sheet.text((0.5, 0.5), p["text"], 1.6 * p["size"], **options)
    else:
        for row in range(-1, 6):
            for column in range(-1, 3):
                point = (0.6 * column + 0.3 * (row % 2), 0.24 * row)
                sheet.text(point, p["text"], p["size"], **options)
        sheet.turn(p["degrees"])
    return lay_over(frames, [sheet] * num_frames, p["opacity"])


TRANSFORMS = (
    Transform("letterbox", _draw_letterbox, _letterbox),
    Transform("rounded_corners", _draw_corners, _corners),
    Transform("watermark", _draw_watermark, _watermark),
)
