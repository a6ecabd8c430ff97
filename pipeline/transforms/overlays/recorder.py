"""Marks that recorders write into the picture: clock, device number, REC, battery, badge."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.store.video import Frames
from pipeline.transforms.base import FPS, Parameters, Transform, amount, pick, uniform
from pipeline.transforms.drawing import FACES, Canvas, lay_over

_CLOCKS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d T%H:%M:%SZ",
    "%d/%m/%Y %H:%M:%S",
    "%m-%d-%Y %I:%M:%S %p",
    "%b %d %Y %H:%M",
    "%H:%M:%S",
)
_DEVICES = ("BWC", "UNIT ", "CAM ", "DVR-", "CH0", "SN:")
_INKS = ((255, 255, 255), (255, 225, 60), (140, 255, 140), (230, 230, 225), (255, 160, 60))
_CORNERS = ("lt", "rt", "lb", "rb")
_BADGES = ("shield", "star", "seal", "bug")
_AGENCIES = ("CITY POLICE", "COUNTY SHERIFF", "METRO PD", "STATE PATROL", "CH 5 NEWS", "RANGE TV")
_BADGE_INKS = ((40, 70, 140), (150, 30, 40), (30, 90, 60), (140, 105, 30), (60, 60, 66))


def _draw_recorder(rng: np.random.Generator, strength: float) -> Parameters:
    number = "".join(pick(rng, "0123456789ABCDEF") for _ in range(6))
    corners = [_CORNERS[i] for i in rng.permutation(4).tolist()]
    # Drawn in any case, so that strengths differ in what shows and not in how it looks.
    chances = rng.random(4) < (0.2 + 0.7 * strength) * np.array([1, 1, 0.7, 0.35])
    battery = uniform(rng, 0.1, 1)
    return {
        "start_unix_s": int(rng.integers(1_400_000_000, 1_760_000_000)),
        "start_s": uniform(rng, 0, 1),
        "clock": pick(rng, _CLOCKS),
        "device": (pick(rng, _DEVICES) + number) * bool(chances[0]),
        "rec": bool(chances[1]),
        "battery": battery if chances[2] else None,
        "viewfinder": bool(chances[3]),
        "corners": corners,
        "face": pick(rng, FACES),
        "ink": pick(rng, _INKS),
        "backing": bool(rng.random() < 0.3),
        "size": amount(rng, strength, 0.045, 0.085),
    }


def _recorder(frames: Frames, p: Mapping[str, Any]) -> Frames:
    num_frames, height, width = frames.shape[:3]
    still = Canvas(height, width)
    clock_at, rec_at, battery_at = p["corners"][:3]
    if p["battery"] is not None:
        _battery(still, p, battery_at)
    if p["viewfinder"]:
        _viewfinder(still, p)
    sheets: dict[tuple[int, bool], Canvas] = {}
    order = []
    for number in range(num_frames):
        elapsed_s = p["start_s"] + number / FPS
        state = (int(elapsed_s), p["rec"] and elapsed_s % 1 < 0.6)
        if state not in sheets:
            sheets[state] = sheet = still.copy()
            clock = time.strftime(p["clock"], time.gmtime(p["start_unix_s"] + state[0]))
            _lines(sheet, p, clock_at, [clock, p["device"]])
            if state[1]:
                _rec(sheet, p, rec_at)
        order.append(sheets[state])
    return lay_over(frames, order)


def _point(corner: str, margin: float = 0.03) -> tuple[float, float]:
    return (margin if corner[0] == "l" else 1 - margin, margin if corner[1] == "t" else 1 - margin)


def _lines(sheet: Canvas, p: Mapping[str, Any], corner: str, lines: list[str]) -> None:
    x, y = _point(corner)
    lines = [line for line in lines if line]
    step = 1.1 * p["size"]
    for index, line in enumerate(lines):
        row = y + step * index if corner[1] == "t" else y - step * (len(lines) - 1 - index)
        sheet.text(
            (x, row),
            line,
            p["size"],
            p["ink"],
            face=p["face"],
            anchor=corner,
            backing=(0, 0, 0, 150) if p["backing"] else None,
            shadow=not p["backing"],
        )


def _rec(sheet: Canvas, p: Mapping[str, Any], corner: str) -> None:
    x, y = _point(corner, 0.04)
    radius = 0.35 * p["size"]
    middle = y + (1 if corner[1] == "t" else -1) * 0.5 * p["size"]
    inward = 1 if corner[0] == "l" else -1
    sheet.disc((x + inward * radius, middle), radius, (235, 30, 30))
    anchor = f"{corner[0]}m"
    point = (x + inward * 2.8 * radius, middle)
    sheet.text(point, "REC", p["size"], p["ink"], face=p["face"], anchor=anchor, shadow=True)


def _battery(sheet: Canvas, p: Mapping[str, Any], corner: str) -> None:
    x, y = _point(corner, 0.04)
    wide, tall = 1.5 * p["size"], 0.7 * p["size"]
    left = x if corner[0] == "l" else x - wide
    top = y if corner[1] == "t" else y - tall
    ink = (*p["ink"], 220)
    sheet.panel((left, top, left + wide, top + tall), (0, 0, 0, 60), edge=ink)
    fill = (235, 50, 40, 230) if p["battery"] < 0.25 else ink
    end = left + 0.01 + (wide - 0.02) * p["battery"]
    sheet.panel((left + 0.01, top + 0.01, end, top + tall - 0.01), fill)
    sheet.panel((left + wide, top + 0.3 * tall, left + 1.1 * wide, top + 0.7 * tall), ink)


def _viewfinder(sheet: Canvas, p: Mapping[str, Any]) -> None:
    ink = (*p["ink"], 200)
    for x, dx in ((0.12, 0.08), (0.88, -0.08)):
        for y, dy in ((0.12, 0.08), (0.88, -0.08)):
            sheet.line([(x + dx, y), (x, y), (x, y + dy)], ink)
    sheet.line([(0.47, 0.5), (0.53, 0.5)], ink)
    sheet.line([(0.5, 0.47), (0.5, 0.53)], ink)


def _draw_logo(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "badge": pick(rng, _BADGES),
        "agency": pick(rng, _AGENCIES),
        "ink": pick(rng, _BADGE_INKS),
        "corner": pick(rng, _CORNERS),
        "size": amount(rng, strength, 0.1, 0.26),
        "opacity": uniform(rng, 0.6, 1),
        "banner": bool(rng.random() < 0.15 + 0.6 * strength),
        "face": pick(rng, FACES),
    }


def _logo(frames: Frames, p: Mapping[str, Any]) -> Frames:
    sheet = Canvas(*frames.shape[1:3])
    half = p["size"] / 2
    x, y = _point(p["corner"], 0.04 + half)
    _BADGE_PAINTERS[p["badge"]](sheet, p, x, y, half)
    if p["banner"]:
        tall = 0.6 * p["size"]
        top = 0.03 if p["corner"][1] == "b" else 0.97 - tall
        sheet.panel((0, top, 1, top + tall), (*p["ink"], 215))
        point = (0.5, top + tall / 2)
        sheet.text(
            point, p["agency"], min(0.7 * tall, 0.09), (250, 250, 250), face=p["face"], anchor="mm"
        )
    return lay_over(frames, [sheet] * len(frames), p["opacity"])


def _star_points(x: float, y: float, outer: float, inner: float, num: int) -> list[Any]:
    angles = np.arange(2 * num) * np.pi / num - np.pi / 2
    reach = np.where(np.arange(2 * num) % 2 == 0, outer, inner)
    return [(x + r * np.cos(a), y + r * np.sin(a)) for r, a in zip(reach, angles, strict=True)]


def _shield(sheet: Canvas, p: Mapping[str, Any], x: float, y: float, half: float) -> None:
    outline = [(-0.8, -0.9), (0, -1), (0.8, -0.9), (0.8, 0.1), (0.45, 0.7), (0, 1)]
    outline += [(-0.45, 0.7), (-0.8, 0.1)]
    points = [(x + half * dx, y + half * dy) for dx, dy in outline]
    sheet.polygon(points, p["ink"], edge=(225, 200, 110))
    sheet.polygon(_star_points(x, y - 0.05 * half, 0.5 * half, 0.2 * half, 5), (235, 215, 130))


def _star(sheet: Canvas, p: Mapping[str, Any], x: float, y: float, half: float) -> None:
    sheet.polygon(_star_points(x, y, half, 0.5 * half, 6), (215, 180, 80), edge=(120, 90, 30))
    sheet.disc((x, y), 0.4 * half, p["ink"], edge=(250, 240, 200))


def _seal(sheet: Canvas, p: Mapping[str, Any], x: float, y: float, half: float) -> None:
    sheet.disc((x, y), half, p["ink"], edge=(235, 225, 180))
    sheet.disc((x, y), 0.62 * half, (240, 235, 215), edge=p["ink"])
    initials = "".join(word[0] for word in p["agency"].split())
    sheet.text((x, y), initials, 0.75 * half, p["ink"], face="bold", anchor="mm")


def _bug(sheet: Canvas, p: Mapping[str, Any], x: float, y: float, half: float) -> None:
    box = (x - half, y - 0.6 * half, x + half, y + 0.6 * half)
    sheet.panel(box, p["ink"], radius=0.25 * half)
    word = p["agency"].split()[0]
    options = {"face": p["face"], "anchor": "mm", "room": 1.8 * half}
    sheet.text((x, y), word, 0.9 * half, (250, 250, 250), **options)


_BADGE_PAINTERS = {"shield": _shield, "star": _star, "seal": _seal, "bug": _bug}

TRANSFORMS = (
    Transform("recorder", _draw_recorder, _recorder),
    Transform("logo", _draw_logo, _logo),
)
