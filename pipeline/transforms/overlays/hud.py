"""Head-up displays of games: crosshair, health, ammunition, map, kill feed, compass, objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.store.video import Frames
from pipeline.transforms.base import Parameters, Transform, amount, pick, uniform
from pipeline.transforms.drawing import FACES, Canvas, Ink, lay_over

_WIDGETS = ("crosshair", "health", "ammo", "map", "feed", "compass", "objective")
_INKS = (
    (255, 255, 255),
    (235, 235, 220),
    (120, 245, 255),
    (255, 220, 60),
    (140, 255, 120),
    (255, 170, 60),
)
_ACCENTS = ((255, 60, 50), (255, 70, 190), (240, 180, 40), (60, 200, 90), (70, 150, 255))
_NAMES = ("Rook", "Vex", "N0va", "Kestrel", "Moth", "Pixel", "Juno", "Badger", "Orbit", "xTux")
_VERBS = (">>", "[+]", "->", "x", "=>", "|")
_OBJECTIVES = ("HOLD THE LANE", "STAGE 02", "CLEAR THE COURSE", "WARM-UP", "ROUND 3/7", "WAVE 4")
_CROSSHAIRS = ("cross", "three", "dot", "ring", "chevron")


def _draw(rng: np.random.Generator, strength: float) -> Parameters:
    many = 1 + round((len(_WIDGETS) - 1) * strength * rng.uniform(0.75, 1))
    chosen = sorted(rng.permutation(len(_WIDGETS))[:many].tolist())
    return {
        "widgets": [_WIDGETS[i] for i in chosen],
        "size": amount(rng, strength, 0.75, 1.4),
        "ink": pick(rng, _INKS),
        "accent": pick(rng, _ACCENTS),
        "face": pick(rng, FACES),
        "left_handed": bool(rng.random() < 0.3),
        "crosshair": pick(rng, _CROSSHAIRS),
        "health": int(rng.integers(8, 101)),
        "health_bar": bool(rng.random() < 0.6),
        "ammo": int(rng.integers(6, 60)),
        "reserve": int(rng.integers(12, 240)),
        "spent_at": sorted(uniform(rng, 0, 1) for _ in range(int(rng.integers(0, 4)))),
        "round_map": bool(rng.random() < 0.5),
        "map_dots": [[uniform(rng, -1, 1), uniform(rng, -1, 1)] for _ in range(5)],
        "heading": uniform(rng, 0, 6.28),
        "turn": uniform(rng, -0.8, 0.8),
        "feed": [
            [uniform(rng, -0.5, 0.8), f"{_NAMES[a]} {pick(rng, _VERBS)} {_NAMES[b]}"]
            for a, b in rng.integers(0, len(_NAMES), (4, 2)).tolist()
        ],
        "objective": pick(rng, _OBJECTIVES),
    }


def _apply(frames: Frames, p: Mapping[str, Any]) -> Frames:
    num_frames, height, width = frames.shape[:3]
    sheets = []
    for number in range(num_frames):
        sheet = Canvas(height, width)
        for widget in p["widgets"]:
            _PAINTERS[widget](sheet, p, number / num_frames)
        sheets.append(sheet)
    return lay_over(frames, sheets)


def _ink(p: Mapping[str, Any], alpha: int = 235) -> Ink:
    return (*p["ink"], alpha)


def _accent(p: Mapping[str, Any], alpha: int = 235) -> Ink:
    return (*p["accent"], alpha)


def _left(p: Mapping[str, Any], x: float) -> float:
    return 1 - x if p["left_handed"] else x


def _crosshair(sheet: Canvas, p: Mapping[str, Any], moment: float) -> None:
    unit = 0.018 * p["size"]
    kicks = [float(np.exp(-8 * (moment - spent))) for spent in p["spent_at"] if spent <= moment]
    spread = 1 + 0.5 * max(kicks, default=0)
    near, far = 0.7 * unit * spread, 2.6 * unit * spread
    style = p["crosshair"]
    if style == "ring":
        sheet.disc((0.5, 0.5), far, None, edge=_ink(p))
    elif style == "chevron":
        points = [(0.5 - far, 0.5 + far), (0.5, 0.5), (0.5 + far, 0.5 + far)]
        sheet.line(points, _ink(p), 0.01)
    elif style != "dot":
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            if not (style == "three" and dy == -1):
                start, end = (0.5 + dx * near, 0.5 + dy * near), (0.5 + dx * far, 0.5 + dy * far)
                sheet.line([start, end], _ink(p), 0.01)
    if style != "chevron":
        sheet.disc((0.5, 0.5), 0.4 * unit, _accent(p) if style == "dot" else _ink(p))


def _health(sheet: Canvas, p: Mapping[str, Any], moment: float) -> None:
    size = 0.075 * p["size"]
    if p["health_bar"]:
        start, end = sorted((_left(p, 0.04), _left(p, 0.04 + 0.3 * p["size"])))
        sheet.panel((start, 0.96 - 0.55 * size, end, 0.96), (0, 0, 0, 130), edge=_ink(p, 160))
        full = start + (end - start) * p["health"] / 100
        sheet.panel((start, 0.96 - 0.55 * size, full, 0.96), _accent(p))
    else:
        anchor = "rb" if p["left_handed"] else "lb"
        point, text = (_left(p, 0.04), 0.97), f"+{p['health']}"
        sheet.text(point, text, 1.3 * size, _accent(p), face=p["face"], anchor=anchor, shadow=True)


def _ammo(sheet: Canvas, p: Mapping[str, Any], moment: float) -> None:
    left = max(0, p["ammo"] - sum(t <= moment for t in p["spent_at"]))
    anchor, size = "lb" if p["left_handed"] else "rb", 0.09 * p["size"]
    text, point = f"{left}/{p['reserve']}", (_left(p, 0.96), 0.97)
    sheet.text(point, text, size, _ink(p), face=p["face"], anchor=anchor, shadow=True)


def _map(sheet: Canvas, p: Mapping[str, Any], moment: float) -> None:
    radius = 0.1 * p["size"]
    x, y = _left(p, 0.05 + radius), 0.06 + radius
    if p["round_map"]:
        sheet.disc((x, y), radius, (10, 20, 20, 140), edge=_ink(p, 170))
    else:
        box = (x - radius, y - radius, x + radius, y + radius)
        sheet.panel(box, (10, 20, 20, 140), edge=_ink(p, 170))
    heading = p["heading"] + p["turn"] * moment
    turn = np.array([[np.cos(heading), np.sin(heading)], [-np.sin(heading), np.cos(heading)]])
    for dx, dy in np.array(p["map_dots"]) @ turn * 0.62 * radius:
        sheet.disc((x + dx, y + dy), 0.1 * radius, _accent(p))
    r = 0.2 * radius
    sheet.polygon([(x, y - r), (x - 0.7 * r, y + r), (x + 0.7 * r, y + r)], _ink(p))


def _feed(sheet: Canvas, p: Mapping[str, Any], moment: float) -> None:
    size = 0.055 * p["size"]
    lines = [text for start, text in p["feed"] if start <= moment]
    anchor = "lt" if p["left_handed"] else "rt"
    top = 0.13 if "compass" in p["widgets"] else 0.05
    for line, text in enumerate(lines):
        point = (_left(p, 0.97), top + 1.15 * size * line)
        sheet.text(point, text, size, _ink(p), face=p["face"], anchor=anchor, shadow=True)


def _compass(sheet: Canvas, p: Mapping[str, Any], moment: float) -> None:
    heading = p["heading"] + p["turn"] * moment
    half = 0.16 * p["size"]
    for index, name in enumerate(("N", "NE", "E", "SE", "S", "SW", "W", "NW")):
        offset = (index * np.pi / 4 + heading + np.pi) % (2 * np.pi) - np.pi
        if abs(offset) < 1.2:
            point = (0.5 + offset * half / 1.2, 0.04)
            sheet.text(point, name, 0.05 * p["size"], _ink(p), face=p["face"], anchor="mm")
    sheet.line([(0.5 - half, 0.08), (0.5 + half, 0.08)], _ink(p, 130))
    sheet.line([(0.5, 0.075), (0.5, 0.1)], _accent(p), 0.012)


def _objective(sheet: Canvas, p: Mapping[str, Any], moment: float) -> None:
    size = 0.06 * p["size"]
    point = (0.5, 0.72)
    sheet.text(
        point, p["objective"], size, _ink(p), face=p["face"], anchor="mm", edge=(0, 0, 0, 150)
    )


_PAINTERS = {
    "crosshair": _crosshair,
    "health": _health,
    "ammo": _ammo,
    "map": _map,
    "feed": _feed,
    "compass": _compass,
    "objective": _objective,
}

TRANSFORMS = (Transform("hud", _draw, _apply),)
