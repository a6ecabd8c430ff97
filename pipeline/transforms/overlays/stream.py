"""Graphics of a live stream over its picture: a chat that scrolls and the streamer's webcam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from pipeline.store.video import Frames
from pipeline.transforms.base import (
    Parameters,
    Transform,
    amount,
    pick,
    seed,
    smooth_paths,
    uniform,
)
from pipeline.transforms.drawing import FACES, Canvas, lay_over

_PEOPLE = ("mossy", "koi_42", "Lint", "ada99", "tofu", "b1rch", "Quill", "sleet", "opal", "heron")
_WORDS = (
    "lol",
    "wow ok",
    "gg",
    "hi chat",
    "what",
    "again!!",
    "nice",
    "first time?",
    "no way",
    "???",
    "+1",
    "so close",
    "clip it",
    "hahaha",
    "new here",
    "GO GO",
)
_COLOURS = ((255, 110, 90), (110, 200, 255), (140, 230, 120), (255, 190, 80), (210, 140, 255))
_SKIN = ((240, 200, 170), (224, 172, 130), (190, 130, 90), (140, 90, 60), (95, 62, 45))
_HAIR = ((40, 30, 25), (90, 60, 35), (180, 140, 80), (20, 20, 22), (150, 60, 40), (120, 120, 125))
_SHIRTS = ((40, 44, 60), (150, 40, 45), (35, 90, 75), (210, 210, 205), (90, 70, 140), (25, 25, 25))
_ROOMS = ((38, 30, 60), (60, 64, 70), (120, 105, 90), (20, 50, 60), (0, 160, 70), (200, 200, 195))
_SHAPES = ("rectangle", "circle", "cut_out")
_WEBCAM_PIXELS = 112


def _draw(rng: np.random.Generator, strength: float) -> Parameters:
    shown = pick(rng, (("chat",), ("webcam",), ("chat", "webcam"), ("chat", "webcam")))
    right = bool(rng.random() < 0.5)
    return {
        "parts": shown,
        "chat_width": amount(rng, strength, 0.26, 0.46),
        "chat_height": amount(rng, strength, 0.25, 0.85),
        "chat_right": right,
        "chat_top": uniform(rng, 0, 1),
        "panel": [*pick(rng, ((20, 20, 26), (245, 245, 248))), int(rng.choice([0, 120, 190, 255]))],
        "face": pick(rng, FACES),
        "text_size": amount(rng, strength, 0.04, 0.055),
        "lines_per_clip": uniform(rng, 0.5, 3),
        "lines": [[pick(rng, _PEOPLE), pick(rng, _COLOURS), pick(rng, _WORDS)] for _ in range(24)],
        "webcam_size": amount(rng, strength, 0.2, 0.42),
        # On the other side than the chat, or they would hide one another.
        "webcam_corner": [not right, bool(rng.random() < 0.5)],
        "webcam_shape": pick(rng, _SHAPES),
        "frame": pick(rng, _COLOURS),
        "live_badge": bool(rng.random() < 0.4),
        "skin": pick(rng, _SKIN),
        "hair": pick(rng, _HAIR),
        "long_hair": bool(rng.random() < 0.4),
        "shirt": pick(rng, _SHIRTS),
        "room": pick(rng, _ROOMS),
        "headset": bool(rng.random() < 0.6),
        "seed": seed(rng),
    }


def _apply(frames: Frames, p: Mapping[str, Any]) -> Frames:
    num_frames, height, width = frames.shape[:3]
    sway = smooth_paths(p["seed"], num_frames, 3, (0.3, 1.5))
    sheets = []
    for number in range(num_frames):
        sheet = Canvas(height, width)
        if "chat" in p["parts"]:
            _chat(sheet, p, number / num_frames)
        if "webcam" in p["parts"]:
            _webcam(sheet, p, *sway[number].tolist())
        sheets.append(sheet)
    return lay_over(frames, sheets)


def _chat(sheet: Canvas, p: Mapping[str, Any], moment: float) -> None:
    """Lines rise from the lower end of the panel and leave it at the upper one."""
    wide, tall = p["chat_width"], p["chat_height"]
    inside = Canvas(round(tall * sheet.height), round(wide * sheet.width))
    inside.panel((0, 0, 1, 1), p["panel"])
    size = p["text_size"] / tall
    bright = sum(p["panel"][:3]) < 384 or p["panel"][3] < 100
    ink = (240, 240, 240) if bright else (25, 25, 30)
    arrived = len(p["lines"]) / 2 + p["lines_per_clip"] * moment
    for number, (name, hue, words) in enumerate(p["lines"]):
        colour = hue if bright else [value // 2 for value in hue]
        y = 1 - 1.25 * size * (arrived - number)
        if -size < y < 1:
            options = {"face": p["face"], "shadow": bright, "room": 9.0}
            box = inside.text((0.04, y), name, size, colour, **options)
            inside.text((box[2] + 0.04, y), words, size, ink, **options)
    left = 1 - wide if p["chat_right"] else 0.0
    top = p["chat_top"] * (1 - tall)
    sheet.paste(inside.image, (left + wide / 2, top + tall / 2))


def _webcam(sheet: Canvas, p: Mapping[str, Any], x: float, y: float, nod: float) -> None:
    right, low = p["webcam_corner"]
    half = p["webcam_size"] / 2
    centre = (0.98 - half if right else 0.02 + half, 0.98 - half if low else 0.02 + half)
    box = (centre[0] - half, centre[1] - half, centre[0] + half, centre[1] + half)
    pixels = round(sheet.length(p["webcam_size"]))
    person = _person(p, x, y, nod).resize((pixels, pixels), Image.Resampling.BILINEAR)
    sheet.paste(person, centre)
    if p["webcam_shape"] == "rectangle":
        sheet.panel(box, None, edge=p["frame"])
    elif p["webcam_shape"] == "circle":
        sheet.disc(centre, half, None, edge=p["frame"])
    if p["live_badge"]:
        size = 0.3 * half
        badge = (box[0], box[1], box[0] + 2.2 * size, box[1] + size)
        sheet.panel(badge, (225, 30, 40), radius=0.2 * size)
        middle = ((badge[0] + badge[2]) / 2, (badge[1] + badge[3]) / 2)
        sheet.text(middle, "LIVE", 0.9 * size, (255, 255, 255), face="bold", anchor="mm")


def _person(p: Mapping[str, Any], x: float, y: float, nod: float) -> Image.Image:
    """A head and shoulders before a wall, in the shape of the webcam's frame."""
    n = _WEBCAM_PIXELS
    clear = p["webcam_shape"] == "cut_out"
    image = Image.new("RGBA", (n, n), (0, 0, 0, 0) if clear else tuple(p["room"]))
    draw = ImageDraw.Draw(image)
    skin, hair, shirt = (tuple(p[name]) for name in ("skin", "hair", "shirt"))
    shade = tuple(round(0.8 * value) for value in skin)
    if not clear:
        draw.rectangle((0.08 * n, 0.1 * n, 0.34 * n, 0.4 * n), tuple(p["frame"]))
        draw.rectangle((0.8 * n, 0, n, n), tuple(round(0.7 * value) for value in p["room"]))
    cx, cy = n * (0.5 + 0.05 * x), n * (0.46 + 0.03 * y)
    w, h = 0.17 * n, 0.22 * n
    if p["long_hair"]:
        draw.ellipse((cx - 1.35 * w, cy - 1.3 * h, cx + 1.35 * w, cy + 1.9 * h), hair)
    draw.ellipse((0.5 * n - 0.4 * n, 0.74 * n, 0.5 * n + 0.4 * n, 1.4 * n), shirt)
    draw.rectangle((cx - 0.4 * w, cy, cx + 0.4 * w, 0.8 * n), shade)
    draw.ellipse((cx - 1.12 * w, cy - 1.22 * h, cx + 1.12 * w, cy + 0.4 * h), hair)
    draw.ellipse((cx - w, cy - 0.85 * h, cx + w, cy + h), skin)
    eye_y = cy + (0.04 + 0.12 * nod) * h
    for side in (-1, 1):
        ex, reach = cx + side * 0.42 * w, 0.1 * w
        draw.ellipse((ex - reach, eye_y - reach, ex + reach, eye_y + reach), (30, 25, 25))
    mouth = eye_y + 0.5 * h
    opened = 0.04 * h * (1 + 2 * abs(x))
    draw.ellipse((cx - 0.3 * w, mouth - opened, cx + 0.3 * w, mouth + opened), (120, 50, 50))
    if p["headset"]:
        band = (cx - 1.2 * w, cy - 1.35 * h, cx + 1.2 * w, cy + 1.1 * h)
        draw.arc(band, 180, 360, (25, 25, 28), round(0.2 * w))
        for side in (-1, 1):
            ear = cx + side * 1.15 * w
            draw.ellipse(
                (ear - 0.25 * w, cy - 0.35 * h, ear + 0.25 * w, cy + 0.35 * h), (25, 25, 28)
            )
    if p["webcam_shape"] == "circle":
        mask = Image.new("L", (n, n))
        ImageDraw.Draw(mask).ellipse((0, 0, n - 1, n - 1), 255)
        image.putalpha(mask)
    return image


TRANSFORMS = (Transform("stream", _draw, _apply),)
