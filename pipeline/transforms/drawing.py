"""Graphics over frames: shapes and lettering, drawn larger than the picture and scaled down."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from pipeline.store.video import Frames

Ink = Sequence[int]
"""Red, green, blue and, where it is not opaque, alpha; each 0 to 255."""
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

FACES = (
    "plain",
    "bold",
    "condensed",
    "wide",
    "oblique",
    "pixel",
    "round",
    "round_bold",
    "round_italic",
)
"""Typefaces that come with the libraries or follow from one that does."""

_SUPERSAMPLING = 2
_OPENCV_FACES = {
    "round": cv2.FONT_HERSHEY_SIMPLEX,
    "round_bold": cv2.FONT_HERSHEY_COMPLEX,
    "round_italic": cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
}
_WIDTHS = {"condensed": 0.68, "wide": 1.3}
_SLANT = 0.22


class Canvas:
    """A transparent sheet; points are shares of its width and height, sizes of its height."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.image = Image.new("RGBA", (width * _SUPERSAMPLING, height * _SUPERSAMPLING))
        self._draw = ImageDraw.Draw(self.image)

    def copy(self) -> Canvas:
        """A sheet with the same drawing, to draw on further."""
        other = Canvas(self.height, self.width)
        other.image.paste(self.image)
        return other

    def length(self, share: float) -> float:
        """Pixels of the sheet for a share of its height."""
        return share * self.image.height

    def at(self, x: float, y: float) -> Point:
        """Pixels of the sheet for a point."""
        return x * self.image.width, y * self.image.height

    def panel(
        self, box: Box, ink: Ink | None, *, radius: float = 0, edge: Ink | None = None
    ) -> None:
        """A rectangle, filled or only its edge, with round corners if `radius` is not 0."""
        corners = (*self.at(*box[:2]), *self.at(*box[2:]))
        width = max(1, round(self.length(0.008))) if edge else 0
        self._draw.rounded_rectangle(
            corners,
            self.length(radius),
            tuple(ink) if ink else None,
            tuple(edge) if edge else None,
            width,
        )

    def disc(
        self, centre: Point, radius: float, ink: Ink | None, *, edge: Ink | None = None
    ) -> None:
        """A circle, filled or only its edge."""
        (x, y), r = self.at(*centre), self.length(radius)
        width = max(1, round(self.length(0.008)))
        fill, outline = tuple(ink) if ink else None, tuple(edge) if edge else None
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill, outline, width)

    def line(self, points: Sequence[Point], ink: Ink, width: float = 0.008) -> None:
        """Draw a polyline."""
        path = [self.at(*point) for point in points]
        self._draw.line(path, tuple(ink), max(1, round(self.length(width))), joint="curve")

    def polygon(self, points: Sequence[Point], ink: Ink, *, edge: Ink | None = None) -> None:
        """Draw a filled outline."""
        width = max(1, round(self.length(0.012))) if edge else 0
        path = [self.at(*point) for point in points]
        self._draw.polygon(path, tuple(ink), tuple(edge) if edge else None, width)

    def text(
        self,
        point: Point,
        text: str,
        size: float,
        ink: Ink,
        *,
        face: str = "plain",
        anchor: str = "lt",
        edge: Ink | None = None,
        backing: Ink | None = None,
        shadow: bool = False,
        room: float = 0.95,
    ) -> Box:
        """Write a line of text and return where it stands.

        Args:
            point: of the anchor.
            text: one line.
            size: of capitals with their ascenders and descenders, as a share of the height.
            ink: of the letters.
            face: one of `FACES`.
            anchor: l, m or r, then t, m or b.
            edge: ink of an outline.
            backing: ink of a panel behind it.
            shadow: a darker copy below and to the right.
            room: the share of the sheet's width that it may take; a longer line is smaller.
        """
        height = max(6, round(self.length(size)))
        letters = lettering(text, height, face)
        if letters.width > room * self.image.width:
            height = max(6, int(height * room * self.image.width / letters.width))
            letters = lettering(text, height, face)
        x, y = self.at(*point)
        x -= {"l": 0, "m": letters.width / 2, "r": letters.width}[anchor[0]]
        y -= {"t": 0, "m": letters.height / 2, "b": letters.height}[anchor[1]]
        right, bottom = x + letters.width, y + letters.height
        columns, rows = self.image.size
        box = (x / columns, y / rows, right / columns, bottom / rows)
        if backing:
            self.panel(box, backing)
        if shadow:
            step = max(2, letters.height // 12)
            self._lay(letters, (0, 0, 0, 180), round(x) + step, round(y) + step)
        if edge:
            reach = max(1, letters.height // 14)
            wide = _padded(letters, reach).filter(ImageFilter.MaxFilter(2 * reach + 1))
            self._lay(wide, edge, round(x) - reach, round(y) - reach)
        self._lay(letters, ink, round(x), round(y))
        return box

    def paste(self, picture: Image.Image, centre: Point) -> None:
        """Lay an RGBA picture over the sheet, in its own pixels; its parts outside are cut off."""
        x, y = self.at(*centre)
        self._composite(picture, round(x - picture.width / 2), round(y - picture.height / 2))

    def turn(self, degrees: float) -> None:
        """Turn all that is drawn so far counter-clockwise about the centre."""
        self.image.paste(self.image.rotate(degrees, Image.Resampling.BILINEAR))

    def _lay(self, mask: Image.Image, ink: Ink, x: int, y: int) -> None:
        red, green, blue, *alpha = ink
        layer = Image.new("RGBA", mask.size, (red, green, blue, 0))
        faint = Image.new("L", mask.size, alpha[0]) if alpha else None
        layer.putalpha(ImageChops.multiply(mask, faint) if faint else mask)
        self._composite(layer, x, y)

    def _composite(self, layer: Image.Image, x: int, y: int) -> None:
        left, top = max(0, -x), max(0, -y)
        if left < layer.width and top < layer.height:
            width, height = self.image.size
            if x < width and y < height:
                self.image.alpha_composite(layer, (max(0, x), max(0, y)), (left, top))

    def pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """float32 colour (H, W, 3) times coverage, up to 255, and coverage (H, W, 1), up to 1."""
        small = self.image.convert("RGBa").resize((self.width, self.height), Image.Resampling.BOX)
        values = np.asarray(small, np.float32)
        return values[..., :3], values[..., 3:] / np.float32(255)


def lay_over(frames: Frames, sheets: Sequence[Canvas], opacity: float = 1.0) -> Frames:
    """Lay a sheet over each frame; frames may share one."""
    out = np.empty_like(frames)
    ready: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for number, (frame, sheet) in enumerate(zip(frames, sheets, strict=True)):
        if id(sheet) not in ready:
            colour, coverage = sheet.pixels()
            weight = np.float32(opacity)
            ready[id(sheet)] = (colour * weight, 1 - coverage * weight)
        colour, rest = ready[id(sheet)]
        out[number] = np.rint(frame * rest + colour)
    return out


@lru_cache(maxsize=512)
def lettering(text: str, height: int, face: str) -> Image.Image:
    """Draw a line of text as an L mask of exactly `height` pixels."""
    assert face in FACES, face
    if face in _OPENCV_FACES:
        mask = _opencv_line(text, _OPENCV_FACES[face])
    elif face == "pixel":
        mask = _bitmap_line(text)
    else:
        mask = _outline_line(text, height, bold=face == "bold")
    width = mask.width * height / mask.height * _WIDTHS.get(face, 1)
    method = Image.Resampling.NEAREST if face == "pixel" else Image.Resampling.BILINEAR
    mask = mask.resize((max(1, round(width)), height), method)
    if face == "oblique":
        lean = round(_SLANT * height)
        matrix = (1, _SLANT, -lean, 0, 1, 0)
        size = (mask.width + lean, height)
        mask = mask.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return mask


def _outline_line(text: str, height: int, *, bold: bool) -> Image.Image:
    font = _outline_font(height)
    stroke = max(1, round(height / 22)) if bold else 0
    ascent, descent = font.getmetrics()
    width = int(font.getlength(text)) + 2 * stroke + 2
    mask = Image.new("L", (width, ascent + descent + 2 * stroke))
    ImageDraw.Draw(mask).text((1 + stroke, stroke), text, 255, font, stroke_width=stroke)
    return mask


@lru_cache(maxsize=64)
def _outline_font(height: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(height)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


def _bitmap_line(text: str) -> Image.Image:
    font = ImageFont.load_default_imagefont()
    left, top, right, bottom = font.getbbox(text)
    mask = Image.new("1", (max(1, int(right - left)), max(1, int(bottom - top))))
    ImageDraw.Draw(mask).text((0, 0), text, 1, font)
    return mask.convert("L")


def _opencv_line(text: str, font: int) -> Image.Image:
    (width, ascent), descent = cv2.getTextSize(text, font, 1.5, 2)
    image = np.zeros((ascent + descent + 6, width + 8), np.uint8)
    cv2.putText(image, text, (4, ascent + 2), font, 1.5, (255.0,), 2, cv2.LINE_AA)
    return Image.fromarray(image)


def _padded(mask: Image.Image, reach: int) -> Image.Image:
    wide = Image.new("L", (mask.width + 2 * reach, mask.height + 2 * reach))
    wide.paste(mask, (reach, reach))
    return wide
