"""Pictures of what drove a mistake: a heat map over a preview, and a bar a frame below it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from pipeline.assess import previews
from pipeline.assess.suites.attribution.occlusion import Effects
from pipeline.numbers.metrics import FloatArray
from pipeline.store.video import Frames

SIZE = 2 * previews.SIZE
"""Side of the map; what shows through has no more detail than any preview."""
BARS = 48
_FOR, _AGAINST = (217, 114, 46), (61, 125, 224)
_GROUND, _LINE = (27, 30, 36), (120, 126, 138)
_OPAQUE = 0.75
_GAP = 2


def draw(frames: Frames, effects: Effects, mode: str) -> Image.Image:
    """RGB of `SIZE` by `SIZE` + `BARS`; orange drove the mistake, blue spoke against it.

    The preview under the map is the frame that mattered most, which the bars mark.

    Args:
        frames: uint8 (T, H, W, 3) RGB.
        effects: of the same clip.
        mode: one of `previews.MODES`.
    """
    moment = int(np.abs(effects.frames).argmax())
    under = previews.as_preview(frames[moment], mode).convert("RGB")
    under = under.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    sheet = Image.new("RGB", (SIZE, SIZE + BARS), _GROUND)
    sheet.paste(_tinted(under, effects.cells), (0, 0))
    _add_bars(sheet, effects.frames, moment)
    return sheet


def _tinted(under: Image.Image, cells: FloatArray) -> Image.Image:
    scaled = _scaled(cells)
    for sign, colour in ((1, _FOR), (-1, _AGAINST)):
        opaque = np.rint(255 * _OPAQUE * np.clip(sign * scaled, 0, 1)).astype(np.uint8)
        mask = Image.fromarray(opaque).resize(under.size, Image.Resampling.BILINEAR)
        under.paste(Image.new("RGB", under.size, colour), mask=mask)
    return under


def _add_bars(sheet: Image.Image, effects: FloatArray, moment: int) -> None:
    pen = ImageDraw.Draw(sheet)
    middle, reach = SIZE + BARS // 2, BARS // 2 - 4
    edges = np.linspace(0, SIZE, effects.size + 1).round().astype(int).tolist()
    pen.line([(0, middle), (SIZE, middle)], fill=_LINE)
    for i, value in enumerate(_scaled(effects).tolist()):
        left, right = edges[i] + _GAP // 2, edges[i + 1] - 1 - _GAP // 2
        end = middle - round(reach * value)
        box = (left, min(middle, end), right, max(middle, end))
        pen.rectangle(box, fill=_FOR if value > 0 else _AGAINST if value < 0 else _LINE)
        if i == moment:
            pen.rectangle((left, SIZE + BARS - 3, right, SIZE + BARS - 1), fill=(255, 255, 255))


def _scaled(values: FloatArray) -> FloatArray:
    most = float(np.abs(values).max())
    return values / most if most > 0 else values
