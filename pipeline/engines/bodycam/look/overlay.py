"""On-screen text of body cameras."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.engines.bodycam.look.fleet import Fleet

Array = NDArray[np.float32]

_TIME_FORMATS = ("%Y-%m-%d T%H:%M:%SZ", "%d/%m/%Y %H:%M:%S", "%b-%d-%Y %I:%M:%S %p")
_SUPERSAMPLING = 4
_MARGIN = 0.02
_LINE = 0.065


@dataclass(frozen=True)
class CameraText:
    """A clock and a device number in a corner: 0 top right, 1 top left, 2 and 3 below."""

    start_unix_s: int
    device: str
    style: int
    corner: int
    logo: bool

    def mask(self, width: int, height: int, time_s: float) -> Array:
        """Return the (H, W) coverage of the text at a time of the recording."""
        scale = _SUPERSAMPLING
        canvas = Image.new("L", (width * scale, height * scale), 0)
        draw = ImageDraw.Draw(canvas)
        font = ImageFont.load_default(int(height * scale * 0.052))
        clock = time.strftime(_TIME_FORMATS[self.style], time.gmtime(self.start_unix_s + time_s))
        right, below = self.corner in (0, 3), self.corner in (2, 3)
        widest, margin = 0.0, _MARGIN * width * scale
        for line, text in enumerate((clock, self.device)):
            length = draw.textlength(text, font=font)
            x = width * scale - margin - length if right else margin
            widest = max(widest, length)
            row = 1 - _MARGIN - _LINE * (2 - line) if below else _MARGIN + _LINE * line
            draw.text((x, row * height * scale), text, font=font, fill=255)
        if self.logo:
            size = 0.07 * height * scale
            aside = margin + widest + 0.02 * width * scale
            x = width * scale - aside - size if right else aside
            y = height * scale * (1 - _MARGIN - 2 * _LINE if below else _MARGIN)
            draw.polygon([(x, y + size), (x + size / 2, y), (x + size, y + size)], fill=255)
        small = canvas.resize((width, height), Image.Resampling.BOX)
        return np.asarray(small, np.float32) / np.float32(255)


def draw_text(rng: np.random.Generator, fleet: Fleet) -> CameraText | None:
    """Draw the text of one device; None for fleets without."""
    prefix = ("BWC", "UNIT", "CAM ")[rng.integers(3)]
    digits = "".join(rng.choice(list("0123456789ABCDEF"), 7))
    start, logo = int(rng.integers(1_400_000_000, 1_730_000_000)), bool(rng.random() < 0.5)
    if fleet.text_style is None or rng.random() < 0.15:
        return None
    return CameraText(start, prefix + digits, fleet.text_style, fleet.text_corner, logo)
