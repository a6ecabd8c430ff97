"""Thumbnails of clips for people who have to look at many of them.

Protected previews are small, grey (Karunakaran & Ramakrishan, 2019) and blurred (Das et al., 2020),
which lowers the strain on reviewers; clear ones are for whoever asks for them.
"""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

MODES = ("protected", "clear")
SIZE = 96
_NUM_FRAMES = 3
_BLUR_SHARE = 0.022
_QUALITY = 80


def strip(frames: NDArray[np.uint8], mode: str) -> str:
    """First, middle and last frame of a clip side by side, as a JPEG data URI.

    Args:
        frames: uint8 (T, H, W, 3) RGB.
        mode: one of `MODES`.
    """
    moments = np.linspace(0, len(frames) - 1, _NUM_FRAMES).round().astype(int)
    pictures = [as_preview(frames[moment], mode) for moment in moments]
    sheet = Image.new(pictures[0].mode, (SIZE * _NUM_FRAMES, SIZE))
    for place, picture in enumerate(pictures):
        sheet.paste(picture, (place * SIZE, 0))
    return data_uri(sheet)


def as_preview(frame: NDArray[np.uint8], mode: str) -> Image.Image:
    """Return one frame, uint8 (H, W, 3) RGB, as a preview of `SIZE` by `SIZE` in one of `MODES`."""
    assert mode in MODES
    image = Image.fromarray(frame)
    if mode == "protected":
        radius = _BLUR_SHARE * max(image.size)
        image = image.convert("L").filter(ImageFilter.GaussianBlur(radius))
    return image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)


def data_uri(image: Image.Image) -> str:
    """A picture as a JPEG data URI."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
