"""Emoji and stickers, drawn from shapes: no typeface that comes with the libraries has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from pipeline.transforms.drawing import Ink, lettering

_SIDE = 192
_YELLOW, _BROWN, _WHITE, _RED = (255, 204, 50), (90, 55, 20), (255, 255, 255), (225, 40, 50)
_BLUE = (80, 170, 240)

Brush = ImageDraw.ImageDraw


def _box(x: float, y: float, rx: float, ry: float) -> tuple[float, float, float, float]:
    return ((x - rx) * _SIDE, (y - ry) * _SIDE, (x + rx) * _SIDE, (y + ry) * _SIDE)


def _points(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(x * _SIDE, y * _SIDE) for x, y in pairs]


def _face(draw: Brush, eyes: bool = True) -> None:
    draw.ellipse(_box(0.5, 0.5, 0.48, 0.48), _YELLOW, (225, 155, 30), 5)
    for x in (0.33, 0.67) if eyes else ():
        draw.ellipse(_box(x, 0.4, 0.06, 0.085), _BROWN)


def _grin(draw: Brush) -> None:
    _face(draw)
    draw.chord(_box(0.5, 0.58, 0.28, 0.26), 0, 180, _BROWN)
    draw.rectangle((0.26 * _SIDE, 0.58 * _SIDE, 0.74 * _SIDE, 0.65 * _SIDE), _WHITE)


def _tears_of_joy(draw: Brush) -> None:
    _face(draw, eyes=False)
    for x in (0.32, 0.68):
        draw.arc(_box(x, 0.42, 0.1, 0.09), 180, 360, _BROWN, 10)
    draw.chord(_box(0.5, 0.55, 0.27, 0.28), 0, 180, _BROWN)
    for x in (0.13, 0.87):
        draw.ellipse(_box(x, 0.52, 0.1, 0.12), _BLUE)


def _surprised(draw: Brush) -> None:
    _face(draw)
    draw.ellipse(_box(0.5, 0.7, 0.11, 0.15), _BROWN)


def _crying(draw: Brush) -> None:
    _face(draw)
    draw.arc(_box(0.5, 0.82, 0.2, 0.18), 200, 340, _BROWN, 10)
    draw.ellipse(_box(0.3, 0.66, 0.07, 0.15), _BLUE)


def _heart_at(draw: Brush, x: float, y: float, size: float, ink: Ink) -> None:
    turn = np.linspace(0, 2 * np.pi, 60)
    across = 16 * np.sin(turn) ** 3
    up = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
    points = [(x + size * a / 17, y - size * u / 17) for a, u in zip(across, up, strict=True)]
    draw.polygon(_points(points), tuple(ink))


def _heart_eyes(draw: Brush) -> None:
    _face(draw, eyes=False)
    for x in (0.31, 0.69):
        _heart_at(draw, x, 0.4, 0.15, _RED)
    draw.chord(_box(0.5, 0.6, 0.22, 0.2), 0, 180, _BROWN)


def _cool(draw: Brush) -> None:
    _face(draw, eyes=False)
    for x in (0.32, 0.68):
        draw.rounded_rectangle(_box(x, 0.4, 0.15, 0.1), 12, (25, 25, 30))
    draw.rectangle((0.1 * _SIDE, 0.33 * _SIDE, 0.9 * _SIDE, 0.38 * _SIDE), (25, 25, 30))
    draw.arc(_box(0.5, 0.62, 0.2, 0.14), 20, 160, _BROWN, 9)


def _heart(draw: Brush) -> None:
    _heart_at(draw, 0.5, 0.47, 0.48, _RED)


def _flame(draw: Brush) -> None:
    tongue = [(0.5, 0.02), (0.62, 0.28), (0.74, 0.22), (0.86, 0.55), (0.76, 0.88), (0.5, 0.98)]
    tongue += [(0.24, 0.88), (0.14, 0.58), (0.26, 0.36), (0.36, 0.5)]
    for scale, ink in ((1.0, (240, 80, 30)), (0.68, (255, 165, 40)), (0.38, (255, 235, 120))):
        shape = [(0.5 + (x - 0.5) * scale, 0.97 + (y - 0.97) * scale) for x, y in tongue]
        draw.polygon(_points(shape), ink)


def _skull(draw: Brush) -> None:
    draw.ellipse(_box(0.5, 0.42, 0.42, 0.4), (240, 240, 235), (150, 150, 150), 4)
    draw.rounded_rectangle(_box(0.5, 0.78, 0.24, 0.18), 14, (240, 240, 235), (150, 150, 150), 4)
    for x in (0.33, 0.67):
        draw.ellipse(_box(x, 0.45, 0.12, 0.13), (45, 45, 50))
    draw.polygon(_points([(0.5, 0.56), (0.44, 0.67), (0.56, 0.67)]), (45, 45, 50))
    for x in (0.4, 0.5, 0.6):
        draw.line(_points([(x, 0.8), (x, 0.95)]), (120, 120, 120), 5)


def _hundred(draw: Brush) -> None:
    mask = lettering("100", round(0.62 * _SIDE), "oblique")
    draw.bitmap((round((_SIDE - mask.width) / 2), round(0.1 * _SIDE)), mask, _RED)
    for y, reach in ((0.8, 0.42), (0.92, 0.3)):
        draw.line(_points([(0.5 - reach, y + 0.03), (0.5 + reach, y - 0.04)]), _RED, 12)


def _star(draw: Brush) -> None:
    angles = np.arange(10) * np.pi / 5 - np.pi / 2
    reach = np.where(np.arange(10) % 2 == 0, 0.48, 0.2)
    points = [
        (0.5 + r * np.cos(a), 0.52 + r * np.sin(a)) for a, r in zip(angles, reach, strict=True)
    ]
    draw.polygon(_points(points), (255, 205, 50), (215, 150, 30), 5)


_EMOJI: dict[str, Callable[[Brush], None]] = {
    "grin": _grin,
    "tears_of_joy": _tears_of_joy,
    "surprised": _surprised,
    "crying": _crying,
    "heart_eyes": _heart_eyes,
    "cool": _cool,
    "heart": _heart,
    "flame": _flame,
    "skull": _skull,
    "hundred": _hundred,
    "star": _star,
}
EMOJI = tuple(_EMOJI)


@lru_cache(maxsize=256)
def emoji(name: str, side: int) -> Image.Image:
    """One of `EMOJI` as an RGBA square of `side` pixels."""
    image = Image.new("RGBA", (_SIDE, _SIDE))
    _EMOJI[name](ImageDraw.Draw(image))
    return image.resize((max(1, side),) * 2, Image.Resampling.BILINEAR)


def _arrow(draw: Brush, ink: tuple[int, ...]) -> None:
    draw.line(_points([(0.1, 0.8), (0.3, 0.55), (0.66, 0.36)]), ink, 26, "curve")
    draw.polygon(_points([(0.58, 0.14), (0.95, 0.2), (0.7, 0.5)]), ink)


def _circle(draw: Brush, ink: tuple[int, ...]) -> None:
    draw.arc(_box(0.5, 0.5, 0.44, 0.38), 20, 350, ink, 16)
    draw.arc(_box(0.51, 0.49, 0.42, 0.4), 300, 60, ink, 12)


def _burst(draw: Brush, ink: tuple[int, ...]) -> None:
    angles = np.arange(24) * np.pi / 12
    reach = np.where(np.arange(24) % 2 == 0, 0.46, 0.36)
    points = [
        (0.5 + r * np.cos(a), 0.5 + r * np.sin(a)) for a, r in zip(angles, reach, strict=True)
    ]
    draw.polygon(_points(points), ink)
    _word(draw, "WOW", 0.32, (30, 30, 35))


def _word(draw: Brush, text: str, size: float, ink: Ink) -> None:
    mask = lettering(text, round(size * _SIDE), "bold")
    x, y = (_SIDE - mask.width) / 2, (_SIDE - mask.height) / 2
    draw.bitmap((round(x), round(y)), mask, tuple(ink))


def _button(draw: Brush, ink: tuple[int, ...]) -> None:
    draw.rounded_rectangle(_box(0.5, 0.5, 0.46, 0.18), 18, (225, 35, 40))
    _word(draw, "SUBSCRIBE", 0.2, _WHITE)


def _bubble(draw: Brush, ink: tuple[int, ...]) -> None:
    draw.rounded_rectangle(_box(0.5, 0.4, 0.45, 0.3), 40, _WHITE, (30, 30, 35), 5)
    draw.polygon(_points([(0.3, 0.66), (0.2, 0.95), (0.5, 0.68)]), _WHITE, (30, 30, 35))
    draw.rectangle((0.3 * _SIDE, 0.6 * _SIDE, 0.48 * _SIDE, 0.68 * _SIDE), _WHITE)
    mask = lettering("HUH?", round(0.3 * _SIDE), "bold")
    draw.bitmap((round(0.5 * (_SIDE - mask.width)), round(0.25 * _SIDE)), mask, (30, 30, 35))


def _cat(draw: Brush, ink: tuple[int, ...]) -> None:
    coat = (250, 170, 80)
    for side in (-1, 1):
        ear = [(0.5 + side * 0.4, 0.08), (0.5 + side * 0.1, 0.25), (0.5 + side * 0.4, 0.5)]
        draw.polygon(_points(ear), coat)
    draw.ellipse(_box(0.5, 0.55, 0.42, 0.37), coat)
    for x in (0.34, 0.66):
        draw.ellipse(_box(x, 0.48, 0.09, 0.1), _WHITE)
        draw.ellipse(_box(x, 0.49, 0.045, 0.07), (30, 30, 30))
    draw.polygon(_points([(0.45, 0.62), (0.55, 0.62), (0.5, 0.68)]), (230, 110, 120))
    for y in (0.64, 0.72):
        draw.line(_points([(0.05, y - 0.04), (0.34, y)]), (90, 60, 40), 4)
        draw.line(_points([(0.66, y), (0.95, y - 0.04)]), (90, 60, 40), 4)


def _tag(draw: Brush, ink: tuple[int, ...]) -> None:
    outline = [(0.04, 0.3), (0.75, 0.3), (0.96, 0.5), (0.75, 0.7), (0.04, 0.7)]
    draw.polygon(_points(outline), ink)
    _word(draw, "NEW!", 0.26, (30, 30, 35))


_STICKERS: dict[str, Callable[[Brush, tuple[int, ...]], None]] = {
    "arrow": _arrow,
    "circle": _circle,
    "burst": _burst,
    "button": _button,
    "bubble": _bubble,
    "cat": _cat,
    "tag": _tag,
}
STICKERS = tuple(_STICKERS)


def sticker(name: str, side: int, ink: Ink) -> Image.Image:
    """One of `STICKERS` as an RGBA square of `side` pixels, with the white rim of a die cut."""
    image = Image.new("RGBA", (_SIDE, _SIDE))
    _STICKERS[name](ImageDraw.Draw(image), tuple(ink))
    if name not in ("arrow", "circle"):
        rim = Image.new("RGBA", image.size, (255, 255, 255, 0))
        rim.putalpha(image.getchannel("A").filter(ImageFilter.MaxFilter(11)))
        image = Image.alpha_composite(rim, image)
    return image.resize((max(1, side),) * 2, Image.Resampling.BILINEAR)
