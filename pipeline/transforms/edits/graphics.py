"""Graphics that people put on a video: captions, emoji, stickers, blur boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from PIL import Image

from pipeline.store.video import Frames
from pipeline.transforms.base import (
    Parameters,
    Transform,
    amount,
    blurred,
    pick,
    seed,
    smooth_paths,
    uniform,
)
from pipeline.transforms.drawing import FACES, Canvas, lay_over
from pipeline.transforms.edits import pictures

_LINES = (
    ("WAIT FOR IT", ""),
    ("POV:", "you forgot the keys"),
    ("NOBODY:", "my neighbour at 6 am"),
    ("part 2/7", ""),
    ("this is UNREAL", "watch the end"),
    ("BREAKING", "more at eleven"),
    ("what is happening", ""),
    ("[engine noise]", ""),
    ("WHEN THE WIFI", "COMES BACK"),
    ("follow for more", "@clipdrop"),
)
_STYLES = ("outlined", "boxed", "subtitle", "neon")
_BRIGHT = ((255, 255, 255), (255, 230, 60), (255, 90, 140), (90, 230, 255), (150, 255, 120))
_KINDS = ("mosaic", "blur", "black")


def _draw_caption(rng: np.random.Generator, strength: float) -> Parameters:
    emoji = pick(rng, pictures.EMOJI)
    return {
        "lines": pick(rng, _LINES),
        "style": pick(rng, _STYLES),
        "ink": pick(rng, _BRIGHT),
        "face": pick(rng, FACES),
        "size": amount(rng, strength, 0.06, 0.15),
        "top": bool(rng.random() < 0.5),
        "split": bool(rng.random() < 0.4),
        "emoji": emoji if rng.random() < 0.2 + 0.6 * strength else None,
        "starts_at": uniform(rng, 0, 0.4) if rng.random() < 0.3 else 0.0,
    }


def _caption(frames: Frames, p: Mapping[str, Any]) -> Frames:
    num_frames, height, width = frames.shape[:3]
    sheet, empty = Canvas(height, width), Canvas(height, width)
    lines = [line for line in p["lines"] if line]
    step = 1.12 * p["size"]
    first, last = 0.05 + step / 2, 0.95 - step / 2
    if p["split"]:
        rows = [first, last][-len(lines) :]
    elif p["top"]:
        rows = [first + step * index for index in range(len(lines))]
    else:
        rows = [last - step * index for index in range(len(lines))][::-1]
    for row, line in zip(rows, lines, strict=True):
        _write(sheet, p, line, row)
    if p["emoji"]:
        block = rows[-1:] if p["split"] else rows
        below = p["top"] and not p["split"]
        aside = block[-1] + 1.3 * step if below else block[0] - 1.3 * step
        sheet.paste(pictures.emoji(p["emoji"], round(sheet.length(1.5 * p["size"]))), (0.5, aside))
    shown = [sheet if n >= p["starts_at"] * num_frames else empty for n in range(num_frames)]
    return lay_over(frames, shown)


def _write(sheet: Canvas, p: Mapping[str, Any], line: str, row: float) -> None:
    point, size, style = (0.5, row), p["size"], p["style"]
    options: dict[str, Any] = {"face": p["face"], "anchor": "mm"}
    if style == "outlined":
        sheet.text(point, line, size, (255, 255, 255), edge=(0, 0, 0), **options)
    elif style == "boxed":
        dark = sum(p["ink"]) > 500
        ink = (15, 15, 15) if dark else (255, 255, 255)
        sheet.text(point, line, size, ink, backing=p["ink"], **options)
    elif style == "subtitle":
        sheet.text(point, line, size, p["ink"], shadow=True, **options)
    else:
        sheet.text(point, line, size, (255, 255, 255), edge=(*p["ink"], 200), **options)


def _draw_emoji(rng: np.random.Generator, strength: float) -> Parameters:
    num = 1 + round(4 * strength * rng.uniform(0.75, 1))
    size, still = amount(rng, strength, 0.11, 0.28), bool(rng.random() < 0.5)
    return {
        "size": size,
        "still": still,
        "emoji": [
            {
                "name": pick(rng, pictures.EMOJI),
                "x": uniform(rng, 0.05, 0.95),
                "y": uniform(rng, 0.05, 0.95),
                "degrees": uniform(rng, -25, 25),
                "rise": uniform(rng, -0.3, 0.1),
                "pulse": uniform(rng, 0, 0.2),
            }
            for _ in range(num)
        ],
    }


def _emoji(frames: Frames, p: Mapping[str, Any]) -> Frames:
    num_frames, height, width = frames.shape[:3]
    sheets = []
    for number in range(1 if p["still"] else num_frames):
        sheet, moment = Canvas(height, width), number / num_frames
        for one in p["emoji"]:
            grown = 1 + one["pulse"] * np.sin(4 * np.pi * moment)
            picture = pictures.emoji(one["name"], round(sheet.length(p["size"] * grown)))
            point = (one["x"], one["y"] + one["rise"] * moment)
            sheet.paste(
                picture.rotate(one["degrees"], Image.Resampling.BILINEAR, expand=True), point
            )
        sheets.append(sheet)
    return lay_over(frames, sheets * num_frames if p["still"] else sheets)


def _draw_sticker(rng: np.random.Generator, strength: float) -> Parameters:
    num = 1 + round(2 * strength * rng.uniform(0.75, 1))
    size = amount(rng, strength, 0.18, 0.42)
    return {
        "size": size,
        "stickers": [
            {
                "name": pick(rng, pictures.STICKERS),
                "x": uniform(rng, 0.1, 0.9),
                "y": uniform(rng, 0.1, 0.9),
                "degrees": uniform(rng, -35, 35),
                "ink": pick(rng, _BRIGHT[1:]),
            }
            for _ in range(num)
        ],
    }


def _sticker(frames: Frames, p: Mapping[str, Any]) -> Frames:
    sheet = Canvas(*frames.shape[1:3])
    for one in p["stickers"]:
        picture = pictures.sticker(one["name"], round(sheet.length(p["size"])), one["ink"])
        picture = picture.rotate(one["degrees"], Image.Resampling.BILINEAR, expand=True)
        sheet.paste(picture, (one["x"], one["y"]))
    return lay_over(frames, [sheet] * len(frames))


def _draw_blur_box(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "kind": pick(rng, _KINDS),
        "width": amount(rng, strength, 0.12, 0.5),
        "height": amount(rng, strength, 0.12, 0.5),
        "x": uniform(rng, 0.2, 0.8),
        "y": uniform(rng, 0.2, 0.8),
        "round": bool(rng.random() < 0.4),
        "travel": uniform(rng, 0.05, 0.2) if rng.random() < 0.5 else 0.0,
        "seed": seed(rng),
    }


def _blur_box(frames: Frames, p: Mapping[str, Any]) -> Frames:
    """Hide a part of the picture that stands still or follows something that moves."""
    num_frames, height, width = frames.shape[:3]
    hidden = _hidden(frames, p["kind"])
    paths = p["travel"] * smooth_paths(p["seed"], num_frames, 2, (0.1, 0.6))
    out = frames.copy()
    half_x, half_y = p["width"] / 2 * width, p["height"] / 2 * height
    for number, (dx, dy) in enumerate(paths.tolist()):
        x, y = (p["x"] + dx) * width, (p["y"] + dy) * height
        mask = np.zeros((height, width), np.uint8)
        if p["round"]:
            axes = (max(1, round(half_x)), max(1, round(half_y)))
            cv2.ellipse(mask, (round(x), round(y)), axes, 0, 0, 360, (255,), -1)
        else:
            low = (round(x - half_x), round(y - half_y))
            cv2.rectangle(mask, low, (round(x + half_x), round(y + half_y)), (255,), -1)
        out[number][mask > 0] = hidden[number][mask > 0]
    return out


def _hidden(frames: Frames, kind: str) -> Frames:
    height, width = frames.shape[1:3]
    if kind == "black":
        return np.zeros_like(frames)
    if kind == "blur":
        return blurred(frames, 0.06 * height)
    tiles = [cv2.resize(f, (14, 14), interpolation=cv2.INTER_AREA) for f in frames]
    large = [cv2.resize(f, (width, height), interpolation=cv2.INTER_NEAREST) for f in tiles]
    return np.stack(large)


TRANSFORMS = (
    Transform("blur_box", _draw_blur_box, _blur_box),
    Transform("sticker", _draw_sticker, _sticker),
    Transform("emoji", _draw_emoji, _emoji),
    Transform("caption", _draw_caption, _caption),
)
