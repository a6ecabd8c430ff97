"""What an engine hands over: frames with their truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Take:
    """One file of a synthetic collection, before encoding."""

    name: str
    """File stem, unique in its collection."""
    frames: NDArray[np.uint8]
    """uint8 (T, H, W, 3) RGB, even H and W."""
    fps: float
    origin: str
    source: str
    recording: str
    discharges_s: tuple[float, ...]
    """Start times in seconds of every discharge within the take, from the engine's own truth."""
    viewpoint: str
    licence: str
    authority: str
    notes: str
    crf: int
    """Quality of the file's own H.264 encoding, as a device or an upload would have it."""
    keyint: int


class Dropped(Exception):
    """A draw that cannot be used; the text is a short reason code."""
