"""Occlusion: how the answer to a mistake changes where a part of the clip is hidden.

Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014; hidden is what is
blurred (Fong and Vedaldi, "Interpretable explanations of black boxes by meaningful perturbation",
2017), since grey patches are themselves something to see. A frame is hidden by freezing the one
before it. Any detector that can be asked can be judged so; no gradient is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from pipeline.assess.evidence import Evidence, predict_all
from pipeline.numbers.metrics import BoolArray, FloatArray
from pipeline.store import workdir
from pipeline.store.packed_samples import Sample
from pipeline.store.video import Frames

GRID = 8
REGIONS = ("border", "overlay", "middle")
"""The outermost pixels; the top and bottom strips within, where overlays stand; what is left."""
_BORDER = 1 / 32
_STRIP = 1 / 8
_LEAST = 1e-6


@dataclass(frozen=True)
class Target:
    """A clip that was mistaken, and the positions in `CLASSES`; its sound is never hidden."""

    clip: Sample
    said: int
    actual: int
    sample: str = ""
    """Hash of what the clip is decoded from; empty where that is not known."""


@dataclass(frozen=True)
class Effects:
    """The effect of each part on the mistake, in log odds of what was said against the truth.

    Above 0 where hiding it speaks for the truth: it drove the mistake.
    """

    cells: FloatArray
    """(GRID, GRID), rows downwards."""
    frames: FloatArray
    """(T,)"""
    regions: FloatArray
    """Effects in the order of `REGIONS`."""


def region_masks(height: int, width: int) -> BoolArray:
    """(3, H, W): the pixels of `REGIONS`, each pixel in one."""
    border = np.ones((height, width), bool)
    rim = max(1, round(_BORDER * min(height, width)))
    border[rim:-rim, rim:-rim] = False
    strips = np.zeros_like(border)
    deep = round(_STRIP * height)
    strips[:deep], strips[-deep:] = True, True
    return np.stack([border, strips & ~border, ~strips & ~border])


def cell_masks(height: int, width: int) -> BoolArray:
    """(GRID * GRID, H, W): the pixels of every cell, row by row."""
    row = np.arange(height) * GRID // height
    column = np.arange(width) * GRID // width
    number = row[:, None] * GRID + column[None, :]
    return np.asarray(number == np.arange(GRID * GRID)[:, None, None], bool)


def explain(evidence: Evidence, targets: Sequence[Target]) -> list[Effects]:
    """Ask the detector about every target with each part hidden: 68 + T predictions a target."""
    if not targets:
        return []
    num_frames, height, width = targets[0].clip.frames.shape[:3]
    masks = np.concatenate([cell_masks(height, width), region_masks(height, width)])
    num_variants = 1 + len(masks) + num_frames

    @lru_cache(maxsize=1)
    def blurred(number: int) -> Frames:
        return _blurred(targets[number].clip.frames)

    def read(i: int) -> Sample:
        number, variant = divmod(i, num_variants)
        clip = targets[number].clip
        if variant == 0:
            return clip
        if variant <= len(masks):
            hidden = masks[variant - 1][None, :, :, None]
            return replace(clip, frames=np.where(hidden, blurred(number), clip.frames))
        return replace(clip, frames=_frozen(clip.frames, variant - 1 - len(masks)))

    code = workdir.code_sha256("assess/suites/attribution/occlusion.py")

    def identity(i: int) -> Any:
        number, variant = divmod(i, num_variants)
        return [code, targets[number].sample, variant]

    known = all(target.sample for target in targets)
    said = predict_all(
        evidence, "hide parts", len(targets) * num_variants, read, identity if known else None
    )
    logs = np.log(np.maximum(said, _LEAST)).reshape(len(targets), num_variants, -1)
    found = []
    for target, one in zip(targets, logs, strict=True):
        margin = one[:, target.said] - one[:, target.actual]
        effect = margin[0] - margin[1:]
        cells, regions, frozen = np.split(effect, [GRID * GRID, len(masks)])
        found.append(Effects(cells.reshape(GRID, GRID), frozen, regions))
    return found


def _blurred(frames: Frames) -> Frames:
    sigma = max(frames.shape[1:3]) / GRID
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])


def _frozen(frames: Frames, moment: int) -> Frames:
    """The clip with one frame replaced by the one before it, the first by the second."""
    order = np.arange(len(frames))
    order[moment] = moment - 1 if moment else min(1, len(frames) - 1)
    return frames[order]
