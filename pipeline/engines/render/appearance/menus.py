"""Menus and scoreboards that a game lays over its picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.engines.render.appearance.hud import NAMES, Ink, Skin

Array = NDArray[np.float32]

_SUPERSAMPLING = 3
_KINDS = ("pause", "inventory", "scores")
_TITLES = {
    "pause": ("PAUSED", "GAME MENU", "TAKE A BREAK"),
    "inventory": ("BACKPACK", "INVENTORY", "LOADOUT"),
    "scores": ("SCOREBOARD", "ROUND OVER", "STANDINGS"),
}
_ENTRIES = ("RESUME", "OPTIONS", "CONTROLS", "RESTART", "SAVE", "LOAD", "CREDITS", "QUIT")
_ITEMS = ("AMMO", "ROPE", "MAP", "KEY", "TAPE", "LAMP", "WIRE", "FUEL", "TIN", "COIN", "")
_DARK = (8, 10, 14)
_PAPER = (225, 222, 210)


@dataclass(frozen=True)
class Menu:
    """A menu that is open from `start_s` for `length_s`; `pauses` stops the world meanwhile.

    `selections` are the entries pointed at, one every `step_s`; `dim` the share of the picture
    that the menu covers behind its panel, `blur_px` how far it is blurred.
    """

    kind: str
    skin: Skin
    size: tuple[int, int]
    start_s: float
    length_s: float
    pauses: bool
    title: str
    lines: tuple[str, ...]
    selections: tuple[int, ...]
    step_s: float
    left: float
    light: bool
    dim: float
    blur_px: float

    def open_at(self, time_s: float) -> bool:
        """Tell whether the menu shows."""
        return 0 <= time_s - self.start_s < self.length_s

    def world_time(self, time_s: float) -> float:
        """Return how far the world behind the menu has come."""
        opened_s = max(self.start_s, 0.0)
        if not self.pauses or time_s < opened_s:
            return time_s
        return time_s - min(time_s, self.start_s + self.length_s) + opened_s

    def recorded_time(self, world_s: float) -> float:
        """Return when the world has come so far, the inverse of `world_time`."""
        opened_s = max(self.start_s, 0.0)
        if not self.pauses or world_s < opened_s:
            return world_s
        return world_s - opened_s + self.start_s + self.length_s

    def draw(self, picture: Array, time_s: float) -> Array:
        """Return the picture (H, W, 3) in [0, 1] with the menu over it."""
        behind = picture if self.blur_px < 0.3 else cv2.GaussianBlur(picture, (0, 0), self.blur_px)
        behind = behind * np.float32(1 - self.dim)
        width, height = self.size
        canvas = Image.new("RGBA", (width * _SUPERSAMPLING, height * _SUPERSAMPLING), (0, 0, 0, 0))
        chosen = self.selections[int((time_s - self.start_s) / self.step_s) % len(self.selections)]
        panel = _Panel(ImageDraw.Draw(canvas), self)
        {"pause": panel.entries, "inventory": panel.grid, "scores": panel.table}[self.kind](chosen)
        pixels = np.asarray(canvas.resize(self.size, Image.Resampling.BOX), np.float32) / 255
        cover = pixels[..., 3:]
        return np.asarray(behind * (1 - cover) + pixels[..., :3] * cover, np.float32)


class _Panel:
    """Draws one menu; coordinates are shares of the picture's width and height."""

    def __init__(self, draw: ImageDraw.ImageDraw, menu: Menu) -> None:
        self._draw, self._menu = draw, menu
        self._ink: Ink = (*(_DARK if menu.light else menu.skin.ink), 255)
        self._accent: Ink = (*menu.skin.accent, 230)
        self._ground: Ink = (*(_PAPER if menu.light else _DARK), 205)

    def entries(self, chosen: int) -> None:
        menu, left = self._menu, self._menu.left
        self._box(left, 0.12, left + 0.34, 0.2 + 0.12 * (len(menu.lines) + 1), self._ground)
        self._text(left + 0.17, 0.2, menu.title, 0.085, self._ink)
        for row, line in enumerate(menu.lines):
            y = 0.33 + 0.12 * row
            if row == chosen % len(menu.lines):
                self._box(left + 0.02, y - 0.05, left + 0.32, y + 0.05, self._accent)
            self._text(left + 0.17, y, line, 0.065, self._ink)

    def grid(self, chosen: int) -> None:
        menu, left = self._menu, self._menu.left
        self._box(left - 0.02, 0.1, left + 0.42, 0.92, self._ground)
        self._text(left + 0.2, 0.17, menu.title, 0.075, self._ink)
        for cell, line in enumerate(menu.lines):
            x, y = left + 0.1 * (cell % 4), 0.25 + 0.21 * (cell // 4)
            fill = self._accent if cell == chosen % len(menu.lines) else (*_DARK, 120)
            self._box(x, y, x + 0.09, y + 0.18, fill)
            self._text(x + 0.045, y + 0.13, line, 0.038, self._ink)
            if line:
                self._box(x + 0.025, y + 0.035, x + 0.065, y + 0.085, self._ink)

    def table(self, chosen: int) -> None:
        menu = self._menu
        self._box(0.18, 0.1, 0.82, 0.22 + 0.09 * (len(menu.lines) + 1), self._ground)
        self._text(0.5, 0.17, menu.title, 0.075, self._ink)
        for row, line in enumerate(menu.lines):
            y = 0.29 + 0.09 * row
            if row == chosen % len(menu.lines):
                self._box(0.2, y - 0.04, 0.8, y + 0.04, self._accent)
            for x, part in zip((0.32, 0.58, 0.7), line.split(), strict=True):
                self._text(x, y, part, 0.055, self._ink)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        width, height = self._menu.size
        return x * width * _SUPERSAMPLING, y * height * _SUPERSAMPLING

    def _box(self, left: float, top: float, right: float, bottom: float, fill: Ink) -> None:
        self._draw.rectangle((*self._at(left, top), *self._at(right, bottom)), fill=fill)

    def _text(self, x: float, y: float, text: str, size: float, ink: Ink) -> None:
        font = ImageFont.load_default(size * self._menu.size[1] * _SUPERSAMPLING)
        self._draw.text(self._at(x, y), text, font=font, fill=ink, anchor="mm")


def draw_menu(
    rng: np.random.Generator, skin: Skin, width: int, height: int, duration_s: float
) -> Menu:
    """Draw a menu that is open during a part of a recording, sometimes from its start."""
    kind = _KINDS[rng.integers(len(_KINDS))]
    if kind == "scores":
        names = rng.permutation(len(NAMES))[: int(rng.integers(4, 7))]
        scores = sorted(rng.integers(0, 40, len(names)).tolist(), reverse=True)
        lines = [
            f"{NAMES[k]} {score} {rng.integers(0, 30)}"
            for k, score in zip(names, scores, strict=True)
        ]
    elif kind == "inventory":
        lines = [_ITEMS[k] for k in rng.integers(0, len(_ITEMS), 12)]
    else:
        lines = [
            _ENTRIES[k] for k in sorted(rng.permutation(len(_ENTRIES))[: int(rng.integers(3, 6))])
        ]
    return Menu(
        kind=kind,
        skin=skin,
        size=(width, height),
        start_s=float(rng.uniform(-0.2, 0.5) * duration_s),
        length_s=float(rng.uniform(0.3, 0.9) * duration_s),
        pauses=kind == "pause" or bool(kind == "inventory" and rng.random() < 0.5),
        title=_TITLES[kind][rng.integers(len(_TITLES[kind]))],
        lines=tuple(lines),
        selections=tuple(rng.integers(0, len(lines), 6).tolist()),
        step_s=float(rng.uniform(0.3, 0.9)),
        left=float(rng.uniform(0.05, 0.55)),
        light=bool(rng.random() < 0.25),
        dim=float(rng.uniform(0.0, 0.7)),
        blur_px=float(rng.uniform(0, 2.5)) if rng.random() < 0.5 else 0.0,
    )
