"""Clips of which one cue of the pictures is destroyed, or nothing but one cue is left.

Their sound is taken away too, since a detector that hears would tell discharges whatever is left
to be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pipeline.assess.altered_clips import Change, generator, in_turn, of_pictures
from pipeline.copies.fingerprint import luma
from pipeline.store import workdir
from pipeline.store.video import Frames

_GREY = 127
_BORDER = 1 / 16
_STRIP, _CORNER = 0.12, 0.25
_MEAN, _DEVIATION = 112.0, 48.0
# Of a frame that is nearly black, standardising would show the noise.
_LEAST_DEVIATION = 4.0


def shuffled(frames: Frames, clip_id: str) -> Frames:
    """Return the frames, uint8 (T, H, W, 3), in an order that chance decides."""
    return frames[generator(clip_id, "shuffled").permutation(len(frames))]


def frozen(frames: Frames, clip_id: str) -> Frames:
    """Return the first frame T times, uint8 (T, H, W, 3)."""
    return np.repeat(frames[:1], len(frames), axis=0)


def normalised(frames: Frames, clip_id: str) -> Frames:
    """Return uint8 (T, H, W, 3) in grey, all frames of all clips of one mean and one deviation."""
    brightness = luma(frames)
    mean = brightness.mean(axis=(1, 2), keepdims=True)
    deviation = np.maximum(brightness.std(axis=(1, 2), keepdims=True), _LEAST_DEVIATION)
    grey = _MEAN + _DEVIATION * (brightness - mean) / deviation
    return np.repeat(np.clip(np.rint(grey), 0, 255).astype(np.uint8)[..., None], 3, axis=3)


def border_only(frames: Frames, clip_id: str) -> Frames:
    """Keep the outermost sixteenth on each side of uint8 (T, H, W, 3); the rest becomes grey."""
    out, inside = frames.copy(), _inside(frames)
    out[:, inside[0], inside[1]] = _GREY
    return out


def centre_only(frames: Frames, clip_id: str) -> Frames:
    """Make the outermost sixteenth on each side of uint8 (T, H, W, 3) grey; the rest stays."""
    out, inside = np.full_like(frames, _GREY), _inside(frames)
    out[:, inside[0], inside[1]] = frames[:, inside[0], inside[1]]
    return out


def overlays_only(frames: Frames, clip_id: str) -> Frames:
    """Keep the corners and strips of uint8 (T, H, W, 3) where overlays stand; grey the rest."""
    height, width = frames.shape[1:3]
    out = np.full_like(frames, _GREY)
    strip, tall, wide = round(_STRIP * height), round(_CORNER * height), round(_CORNER * width)
    for rows, columns in (
        (slice(0, strip), slice(None)),
        (slice(-strip, None), slice(None)),
        (slice(0, tall), slice(0, wide)),
        (slice(0, tall), slice(-wide, None)),
        (slice(-tall, None), slice(0, wide)),
        (slice(-tall, None), slice(-wide, None)),
    ):
        out[:, rows, columns] = frames[:, rows, columns]
    return out


def _inside(frames: Frames) -> tuple[slice, slice]:
    down, across = (max(1, round(_BORDER * side)) for side in frames.shape[1:3])
    return slice(down, -down), slice(across, -across)


CHANGES: Mapping[str, Callable[[Frames, str], Frames]] = {
    change.__name__: change
    for change in (shuffled, frozen, normalised, border_only, centre_only, overlays_only)
}


def changes(muted: Change) -> dict[str, Change]:
    """`CHANGES`, each with what it is known by: its name and the code of this module.

    Args:
        muted: takes the sound away, before each of them.
    """
    code = workdir.code_sha256("assess/suites/shortcuts/single_cue.py")
    return {
        name: in_turn([muted, Change([code, name], of_pictures(change))])
        for name, change in CHANGES.items()
    }
