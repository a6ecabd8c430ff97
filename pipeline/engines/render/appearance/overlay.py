"""On-screen text of body cameras: several makers' layouts."""

from __future__ import annotations

import time
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Array = NDArray[np.float32]

_SHOWN_SHARE = 0.5
_TIME_FORMATS = (
    "%Y-%m-%d T%H:%M:%SZ",
    "%d/%m/%Y %H:%M:%S",
    "%b-%d-%Y %I:%M:%S %p",
    "%Y.%m.%d %H:%M:%S",
    "%m/%d/%y %H:%M:%S",
    "%H:%M:%S",
)
_PREFIXES = ("BWC", "UNIT", "CAM ", "X", "SN:", "ID ", "V-")
_AGENCIES = ("PD", "SHERIFF", "RANGE SAFETY", "SECURITY", "TRAINING DIV", "PATROL 12", "")
_COLOURS = ((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 0.93, 0.25), (0.4, 1, 0.45), (1, 0.7, 0.2))
_FACES = ("vector", "bitmap", "stroke")
_SUPERSAMPLING = 3
_LETTERS = list("0123456789ABCDEF")


@dataclass(frozen=True)
class CameraText:
    """One device's text.

    `layout`: 0 clock over number, 1 one line, 2 strip with agency, clock and position, 3 a
    recording mark with battery, 4 clock and number in opposite corners. `corner`: 0 top right,
    1 top left, 2 bottom left, 3 bottom right. `face` is vector, bitmap or stroke; `size` the
    height of a line as a share of the picture's.
    """

    start_unix_s: int
    device: str
    agency: str
    position: str
    time_format: int
    layout: int
    corner: int
    face: str
    size: float
    colour: tuple[float, float, float]
    backing: str
    logo: bool
    battery: int

    def draw(self, width: int, height: int, time_s: float) -> tuple[Array, Array]:
        """Return premultiplied colour (H, W, 3) and cover (H, W, 1) at a time of the recording."""
        page = _Page(self, width, height)
        clock = time.strftime(
            _TIME_FORMATS[self.time_format], time.gmtime(self.start_unix_s + int(time_s))
        )
        if self.layout == 0:
            page.write(clock, self.corner, 0)
            page.write(self.device, self.corner, 1)
        elif self.layout == 1:
            page.write(f"{clock} {self.device}", self.corner, 0)
        elif self.layout == 2:
            page.strip(below=self.corner >= 2)
            page.write(f"{self.agency} {self.device}".strip(), 2 if self.corner >= 2 else 1, 0)
            page.write(clock, 3 if self.corner >= 2 else 0, 0)
            if self.position:
                page.write(self.position, 1 if self.corner >= 2 else 2, 0)
        elif self.layout == 3:
            if int(2 * time_s) % 2 == 0:
                page.dot(self.corner)
            page.write("   REC", self.corner, 0)
            page.battery(self.corner ^ 1, self.battery)
            page.write(clock, (self.corner + 2) % 4, 0)
        else:
            page.write(clock, self.corner, 0)
            page.write(self.device, (self.corner + 2) % 4, 0)
        if self.logo:
            page.logo(self.corner)
        return page.finish()


class TextLayer:
    """A device's text over the pictures of one recording, drawn anew every half second."""

    def __init__(self, text: CameraText, width: int, height: int) -> None:
        self._text, self._size = text, (width, height)
        self._pages: dict[int, tuple[Array, Array]] = {}

    def over(self, picture: Array, time_s: float) -> Array:
        """Return a picture (H, W, 3) with the text of its time over it."""
        half_second = int(2 * time_s)
        if half_second not in self._pages:
            self._pages[half_second] = self._text.draw(*self._size, time_s)
        ink, cover = self._pages[half_second]
        return np.asarray(picture * (1 - cover) + ink)


class _Page:
    """A supersampled canvas: ink and backing of a text."""

    def __init__(self, text: CameraText, width: int, height: int) -> None:
        self._text, self._size = text, (width, height)
        self._width, self._height = width * _SUPERSAMPLING, height * _SUPERSAMPLING
        self._line = text.size * self._height
        self._margin = 0.02 * self._width
        self._ink = Image.new("L", (self._width, self._height), 0)
        self._back = Image.new("L", (self._width, self._height), 0)

    def _place(self, corner: int, wide: float, line: int) -> tuple[float, float]:
        right, below = corner in (0, 3), corner in (2, 3)
        x = self._width - self._margin - wide if right else self._margin
        step = 1.2 * self._line
        y = self._height - self._margin - step * (2 - line) if below else self._margin + step * line
        if below and self._text.layout != 0:
            y += step
        return x, y

    def write(self, words: str, corner: int, line: int) -> None:
        """Write a line in a corner."""
        glyphs = _glyphs(words, self._text.face, self._line)
        most = int(self._width - 2 * self._margin)
        if glyphs.width > most:
            glyphs = glyphs.resize((most, glyphs.height))
        x, y = self._place(corner, glyphs.width, line)
        place = int(x), int(y)
        if self._text.backing == "box":
            around = (x - 3, y - 2, x + glyphs.width + 3, y + glyphs.height + 2)
            ImageDraw.Draw(self._back).rectangle(around, fill=150)
        elif self._text.backing == "shadow":
            shade = int(self._line * 0.09) + 1
            self._back.paste(255, (place[0] + shade, place[1] + shade), glyphs)
        self._ink.paste(255, place, glyphs)

    def strip(self, below: bool) -> None:
        """Darken a strip along the upper or lower edge."""
        high = 1.4 * self._line + self._margin
        top = self._height - high if below else 0
        ImageDraw.Draw(self._back).rectangle((0, top, self._width, top + high), fill=170)

    def dot(self, corner: int) -> None:
        """Draw the mark of a running recording."""
        x, y = self._place(corner, 4.2 * self._line if corner in (0, 3) else 0.0, 0)
        ImageDraw.Draw(self._ink).ellipse(
            (x, y + 0.1 * self._line, x + 0.8 * self._line, y + 0.9 * self._line), fill=254
        )

    def battery(self, corner: int, level: int) -> None:
        """Draw a battery with `level` of four bars."""
        wide, high = 1.7 * self._line, 0.8 * self._line
        x, y = self._place(corner, wide, 0)
        pen, edge = ImageDraw.Draw(self._ink), max(1, int(self._line * 0.1))
        pen.rectangle((x, y, x + wide, y + high), outline=255, width=edge)
        bar = (wide - 4 * edge) / 4
        for k in range(level):
            left = x + 2 * edge + k * bar
            pen.rectangle((left, y + 2 * edge, left + 0.7 * bar, y + high - 2 * edge), fill=255)

    def logo(self, corner: int) -> None:
        """Draw a maker's mark in the corner opposite across the width."""
        size = 1.5 * self._line
        x, y = self._place(corner ^ 1, size, 0)
        pen = ImageDraw.Draw(self._ink)
        if len(self._text.device) % 2:
            pen.polygon([(x, y + size), (x + size / 2, y), (x + size, y + size)], fill=255)
        else:
            edge = max(1, int(0.15 * size))
            pen.ellipse((x, y, x + size, y + size), outline=255, width=edge)
            pen.line((x, y + size, x + size, y), fill=255, width=edge)

    def finish(self) -> tuple[Array, Array]:
        """Return premultiplied colour and cover at the picture's size."""
        ink, back = (
            np.asarray(page.resize(self._size, Image.Resampling.BOX), np.float32) / np.float32(255)
            for page in (self._ink, self._back)
        )
        ink = ink * np.float32(0.93)
        cover = (ink + (1 - ink) * back * np.float32(0.8)).astype(np.float32)
        colour = ink[..., None] * np.array(self._text.colour, np.float32)
        return colour.astype(np.float32), cover[..., None]


def _glyphs(words: str, face: str, line: float) -> Image.Image:
    if face == "stroke":
        scale = line / 30
        thick = max(1, round(line / 11))
        (wide, high), base = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
        canvas = np.zeros((high + base, wide + 2), np.uint8)
        cv2.putText(canvas, words, (1, high), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thick)
        return Image.fromarray(canvas)
    font = ImageFont.load_default(line) if face == "vector" else ImageFont.load_default_imagefont()
    left, top, right, bottom = font.getbbox(words)
    image = Image.new("L", (int(right - left) + 1, int(bottom - top) + 1), 0)
    ImageDraw.Draw(image).text((-left, -top), words, font=font, fill=255)
    if face == "bitmap":
        share = line / image.height
        size = max(1, round(image.width * share)), max(1, round(line))
        image = image.resize(size, Image.Resampling.NEAREST)
    return image


def draw_text(rng: np.random.Generator, layouts: tuple[int, ...]) -> CameraText | None:
    """Draw the text of one device in one of its maker's layouts; half the devices show none."""
    digits = "".join(rng.choice(_LETTERS, int(rng.integers(5, 9))))
    latitude, longitude = rng.uniform(-60, 60), rng.uniform(-180, 180)
    text = CameraText(
        start_unix_s=int(rng.integers(1_400_000_000, 1_730_000_000)),
        device=_PREFIXES[rng.integers(len(_PREFIXES))] + digits,
        agency=_AGENCIES[rng.integers(len(_AGENCIES))],
        position=f"{latitude:.4f} {longitude:.4f}" if rng.random() < 0.5 else "",
        time_format=int(rng.integers(len(_TIME_FORMATS))),
        layout=layouts[rng.integers(len(layouts))],
        corner=int(rng.integers(4)),
        face=_FACES[rng.integers(len(_FACES))],
        size=float(rng.uniform(0.042, 0.06)),
        colour=_COLOURS[rng.integers(len(_COLOURS))],
        backing=("none", "box", "shadow")[rng.integers(3)],
        logo=bool(rng.random() < 0.35),
        battery=int(rng.integers(1, 5)),
    )
    return text if rng.random() < _SHOWN_SHARE else None
