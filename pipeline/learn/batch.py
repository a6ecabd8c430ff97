"""Holds what a step of training sees."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """Some samples, and what seeds the chance in them."""

    clips: Tensor
    """uint8 (B, T, H, W, 3) RGB."""
    sounds: Tensor
    """int16 (B, S) at `store.sound.SOUND_HZ`; zero where there is none."""
    presences: Tensor
    """int64 (B,) positions in `manifest.PRESENCES` of what there is of each sound."""
    labels: Tensor
    """int64 (B,) positions in `manifest.CLASSES`."""
    epochs: Tensor
    """int64 (B,) epoch of each draw."""
    positions: Tensor
    """int64 (B,) of each draw in its epoch over all ranks; with the epoch they seed chance."""
