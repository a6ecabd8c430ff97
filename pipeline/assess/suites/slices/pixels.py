"""Pixel statistics of a clip: how bright it is, how much moves, how it contrasts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.assess.suites.slices.notes import Slice
from pipeline.copies.fingerprint import luma
from pipeline.store.video import Frames

DARK, BRIGHT = 75.0, 125.0
"""Mean brightness, 0 to 255; about the outer quarters of automatically exposed cameras."""
STILL = 4.0
"""Mean absolute change from frame to frame, 0 to 255: noise and compression alone reach 2."""
FLAT = 100.0
"""Distance of the 5th and 95th percentile of brightness."""
MAX_CLIPS = 2_000
"""Clips that are measured in an evaluation: 5 ms each."""
_ROWS_BETWEEN = 4


@dataclass(frozen=True)
class Statistics:
    """Statistics of one clip, all in levels of brightness, 0 to 255."""

    brightness: float
    motion: float
    contrast: float


def measure(frames: Frames) -> Statistics:
    """Measure a clip, uint8 (T, H, W, 3) RGB."""
    bright = luma(frames[:, ::_ROWS_BETWEEN])
    low, high = np.percentile(bright, [5, 95])
    motion = np.abs(np.diff(bright, axis=0)).mean() if len(bright) > 1 else 0.0
    return Statistics(float(bright.mean()), float(motion), float(high - low))


def slices(measured: dict[int, Statistics], num_clips: int) -> list[Slice]:
    """Slices of the clips, by row, that were looked at."""
    rows = np.array(sorted(measured), np.int64)
    known = np.zeros(num_clips, bool)
    known[rows] = True
    brightness, motion, contrast = (
        np.array([getattr(measured[row], name) for row in rows.tolist()])
        for name in ("brightness", "motion", "contrast")
    )
    cases = (
        ("brightness", "dark", brightness < DARK),
        ("brightness", "middle", (brightness >= DARK) & (brightness <= BRIGHT)),
        ("brightness", "bright", brightness > BRIGHT),
        ("picture", "still", motion < STILL),
        ("picture", "moving", motion >= STILL),
        ("contrast", "low", contrast < FLAT),
        ("contrast", "high", contrast >= FLAT),
    )
    found = []
    for name, value, holds in cases:
        member = np.zeros(num_clips, bool)
        member[rows[holds]] = True
        if member.any():
            found.append(Slice(name, value, member, known))
    return found
