"""Head-up displays of arcade games, one style a skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Array = NDArray[np.float32]
Ink = tuple[int, int, int, int]

_SUPERSAMPLING = 3
NAMES = ("Rook", "Vex", "N0va", "Kestrel", "Moth", "Pixel", "Juno", "Badger", "Orbit", "Tux")
_FEED_VERBS = (">>", "[+]", "->", "x")
_OBJECTIVES = ("HOLD THE LANE", "STAGE 02", "CLEAR THE COURSE", "WARM-UP", "ROUND 3/7", "FREE PLAY")


@dataclass(frozen=True)
class Skin:
    """The appearance of one game; pairs are (low, high) of what its players set.

    Colours are display RGB, `pixel` the block size of its rendering.
    """

    name: str
    fov_deg: tuple[float, float]
    ink: tuple[int, int, int]
    accent: tuple[int, int, int]
    saturation: tuple[float, float]
    outlines: bool
    pixel: int
    round_minimap: bool
    health_as_bar: bool
    flash_frames: int


SKINS = (
    Skin(
        name="neon",
        fov_deg=(84, 108),
        ink=(120, 245, 255),
        accent=(255, 70, 190),
        saturation=(0.9, 1.4),
        outlines=True,
        pixel=1,
        round_minimap=True,
        health_as_bar=True,
        flash_frames=2,
    ),
    Skin(
        name="olive",
        fov_deg=(66, 92),
        ink=(235, 235, 220),
        accent=(240, 180, 40),
        saturation=(0.55, 1.0),
        outlines=False,
        pixel=1,
        round_minimap=False,
        health_as_bar=False,
        flash_frames=1,
    ),
    Skin(
        name="classic",
        fov_deg=(76, 100),
        ink=(255, 220, 60),
        accent=(230, 40, 30),
        saturation=(0.7, 1.25),
        outlines=False,
        pixel=2,
        round_minimap=False,
        health_as_bar=False,
        flash_frames=3,
    ),
)


@dataclass(frozen=True)
class HudState:
    """What the display shows in one frame; `hit` lights the hit marker, `heading` in radians."""

    time_s: float
    ammo: int
    score: int
    hit: bool
    spread: float
    heading: float


class Hud:
    """A display with randomly chosen widgets, the same over a recording."""

    def __init__(self, rng: np.random.Generator, skin: Skin, width: int, height: int) -> None:
        self._skin, self._width, self._height = skin, width, height
        self._health = int(rng.integers(20, 101))
        self._reserve = int(rng.integers(30, 240))
        self._crosshair = int(rng.integers(4))
        self._map, self._feed, self._compass = (rng.random(3) < (0.7, 0.6, 0.4)).tolist()
        self._objective = _OBJECTIVES[rng.integers(len(_OBJECTIVES))] if rng.random() < 0.6 else ""
        self._dots = rng.uniform(-1, 1, (5, 2))
        self._feed_lines = [
            (
                float(rng.uniform(-2, 4)),
                " ".join((NAMES[a], _FEED_VERBS[rng.integers(len(_FEED_VERBS))], NAMES[b])),
            )
            for a, b in rng.integers(0, len(NAMES), (4, 2))
        ]
        self._right_handed = bool(rng.random() < 0.75)

    def draw(self, state: HudState) -> tuple[Array, Array]:
        """Return colour (H, W, 3) in [0, 1] and coverage (H, W, 1)."""
        scale = _SUPERSAMPLING
        canvas = Image.new("RGBA", (self._width * scale, self._height * scale), (0, 0, 0, 0))
        draw = ImageDraw.Draw(canvas)
        self._draw_crosshair(draw, state)
        self._draw_counters(draw, state)
        if self._map:
            self._draw_map(draw, state)
        if self._feed:
            self._draw_feed(draw, state)
        if self._compass:
            self._draw_compass(draw, state)
        if self._objective:
            self._text(draw, (0.5, 0.11), self._objective, 0.05, self._ink(200), "mm")
        small = canvas.resize((self._width, self._height), Image.Resampling.BOX)
        pixels = np.asarray(small, np.float32) / np.float32(255)
        return pixels[..., :3], pixels[..., 3:]

    def _ink(self, alpha: int = 235) -> Ink:
        return (*self._skin.ink, alpha)

    def _accent(self, alpha: int = 235) -> Ink:
        return (*self._skin.accent, alpha)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return x * self._width * _SUPERSAMPLING, y * self._height * _SUPERSAMPLING

    def _text(
        self,
        draw: ImageDraw.ImageDraw,
        place: tuple[float, float],
        text: str,
        size: float,
        ink: Ink,
        anchor: str,
    ) -> None:
        font = ImageFont.load_default(size * self._height * _SUPERSAMPLING)
        x, y = self._at(*place)
        draw.text((x + 2, y + 2), text, font=font, fill=(0, 0, 0, 160), anchor=anchor)
        draw.text((x, y), text, font=font, fill=ink, anchor=anchor)

    def _draw_crosshair(self, draw: ImageDraw.ImageDraw, state: HudState) -> None:
        x, y = self._at(0.5, 0.5)
        unit = 0.02 * self._height * _SUPERSAMPLING
        gap, reach = unit * (0.6 + 1.5 * state.spread), unit * (1.8 + 1.5 * state.spread)
        if self._crosshair == 3:
            draw.ellipse((x - reach, y - reach, x + reach, y + reach), outline=self._ink(), width=2)
        else:
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                if self._crosshair == 1 and dy == -1:
                    continue
                start, end = (x + dx * gap, y + dy * gap), (x + dx * reach, y + dy * reach)
                draw.line((*start, *end), fill=self._ink(), width=3)
        if self._crosshair != 1:
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=self._ink())
        if state.hit:
            for dx, dy in ((1, 1), (-1, 1), (1, -1), (-1, -1)):
                start = (x + dx * unit * 1.4, y + dy * unit * 1.4)
                end = (x + dx * unit * 2.6, y + dy * unit * 2.6)
                draw.line((*start, *end), fill=(255, 255, 255, 255), width=4)

    def _draw_counters(self, draw: ImageDraw.ImageDraw, state: HudState) -> None:
        left, right = (0.03, 0.97) if self._right_handed else (0.97, 0.03)
        left_anchor, right_anchor = ("lb", "rb") if self._right_handed else ("rb", "lb")
        if self._skin.health_as_bar:
            start = 0.03 if self._right_handed else 0.75
            draw.rectangle(
                (*self._at(start, 0.92), *self._at(start + 0.22, 0.955)), fill=(0, 0, 0, 120)
            )
            end = start + 0.22 * self._health / 100
            draw.rectangle((*self._at(start, 0.92), *self._at(end, 0.955)), fill=self._accent())
        else:
            self._text(draw, (left, 0.97), f"+{self._health}", 0.1, self._accent(), left_anchor)
        ammo = f"{state.ammo} / {self._reserve}"
        self._text(draw, (right, 0.97), ammo, 0.085, self._ink(), right_anchor)
        if state.score:
            self._text(draw, (0.62, 0.42), f"+{state.score}", 0.055, self._accent(), "lm")

    def _draw_map(self, draw: ImageDraw.ImageDraw, state: HudState) -> None:
        x, y = self._at(0.1, 0.17)
        radius = 0.12 * self._height * _SUPERSAMPLING
        box = (x - radius, y - radius, x + radius, y + radius)
        shape = draw.ellipse if self._skin.round_minimap else draw.rectangle
        shape(box, fill=(10, 20, 20, 130), outline=self._ink(150), width=2)
        turn = np.cos(state.heading), np.sin(state.heading)
        for dot_x, dot_y in self._dots * 0.65 * radius:
            px, py = dot_x * turn[0] - dot_y * turn[1], dot_x * turn[1] + dot_y * turn[0]
            place = (x + px - 3, y + py - 3, x + px + 3, y + py + 3)
            draw.ellipse(place, fill=self._accent())
        draw.polygon([(x, y - 7), (x - 5, y + 5), (x + 5, y + 5)], fill=self._ink())

    def _draw_feed(self, draw: ImageDraw.ImageDraw, state: HudState) -> None:
        shown = [text for start, text in self._feed_lines if 0 <= state.time_s - start < 3]
        for line, text in enumerate(shown):
            self._text(draw, (0.98, 0.05 + 0.06 * line), text, 0.042, self._ink(215), "rt")

    def _draw_compass(self, draw: ImageDraw.ImageDraw, state: HudState) -> None:
        for index, name in enumerate(["N", "E", "S", "W"]):
            offset = (index * np.pi / 2 + state.heading + np.pi) % (2 * np.pi) - np.pi
            if abs(offset) < 0.8:
                self._text(draw, (0.5 + offset * 0.25, 0.04), name, 0.05, self._ink(), "mm")
        draw.line((*self._at(0.3, 0.07), *self._at(0.7, 0.07)), fill=self._ink(120), width=2)
