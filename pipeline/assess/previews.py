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
    assert mode in MODES
    moments = np.linspace(0, len(frames) - 1, _NUM_FRAMES).round().astype(int)
    sheet = Image.new("L" if mode == "protected" else "RGB", (SIZE * _NUM_FRAMES, SIZE))
    for place, moment in enumerate(moments):
        image = Image.fromarray(frames[moment])
        if mode == "protected":
            radius = _BLUR_SHARE * max(image.size)
            image = image.convert("L").filter(ImageFilter.GaussianBlur(radius))
        sheet.paste(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR), (place * SIZE, 0))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
