"""Edits of time that keep the clip's own span, so that its label still holds.

A clip has no frames before its first and after its last. Sped up as a whole it would need some;
slowed down as a whole it would lose some of its own, and maybe the discharge with them. So `speed`
goes through all of the clip at a changing pace, slower in one part and faster in the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from pipeline.store.pcm import samples_of, wave_of
from pipeline.store.sound import SOUND_HZ, Samples
from pipeline.store.video import Frames
from pipeline.transforms.base import FPS, Parameters, Transform, amount, pick, to_uint8, uniform

_STEPS = 32
"""Steps of a frame's time in which the pace of a ramp is summed."""
_FINER = 4


def _draw_speed(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "slowest": amount(rng, strength, 0.9, 0.15),
        "centre": uniform(rng, 0.2, 0.8),
        "width": uniform(rng, 0.12, 0.3),
    }


def _speed(frames: Frames, p: Mapping[str, Any]) -> Frames:
    """A speed ramp: around `centre` at `slowest` times the pace of the rest.

    A frame that passes over several averages them by the time it shows each, as editors blend.
    """
    edges = _passed(len(frames), p)[::_STEPS]
    return _averaged(frames, edges[:-1], edges[1:])


def _passed(num_frames: int, p: Mapping[str, Any]) -> NDArray[np.float64]:
    """Frames of the clip that a speed ramp has passed after each 1/32 of a frame's time."""
    num_steps = _STEPS * num_frames
    fine = (np.arange(num_steps) + 0.5) / num_steps
    dip = np.exp(-0.5 * ((fine - p["centre"]) / p["width"]) ** 2)
    pace = 1 - (1 - p["slowest"]) * dip
    return np.asarray(np.concatenate([[0], np.cumsum(pace)]) / pace.sum() * num_frames)


def _speed_of_sound(samples: Samples, p: Mapping[str, Any]) -> Samples:
    """Play sound at the speeds of the pictures, as a tape does: what is slower is lower."""
    num_frames = max(1, round(len(samples) * FPS / SOUND_HZ))
    passed = _passed(num_frames, p) * len(samples) / num_frames
    steps = np.linspace(0, len(samples), len(passed))
    places = np.interp(np.arange(len(samples)), steps, passed)
    fine = signal.resample_poly(wave_of(samples), _FINER, 1)
    return samples_of(np.interp(places * _FINER, np.arange(len(fine)), fine))


def _averaged(frames: Frames, starts: np.ndarray, ends: np.ndarray) -> Frames:
    """Average the frames over intervals of time, in frames: (N,) each, every one not empty."""
    first = np.arange(len(frames))
    shown = np.minimum(ends[:, None], first + 1) - np.maximum(starts[:, None], first)
    weights = np.maximum(shown, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    flat = frames.reshape(len(frames), -1).astype(np.float32)
    # A sum in a fixed order: a matrix product may add in another with other thread counts.
    out = np.zeros((len(starts), flat.shape[1]), np.float32)
    for frame, share in zip(flat, weights.astype(np.float32).T, strict=True):
        used = share > 0
        out[used] += share[used, None] * frame
    return to_uint8(out).reshape(len(starts), *frames.shape[1:])


def _draw_frame_rate(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "held": amount(rng, strength, 1.3, 5),
        "phase": uniform(rng, 0, 1),
        "blend": pick(rng, (True, False)),
    }


def _frame_rate(frames: Frames, p: Mapping[str, Any]) -> Frames:
    """Each picture stands for `held` frames: the first of them, or their average.

    A flash of one frame can fall between two that stay, as it can in a real upload.
    """
    num_frames = len(frames)
    step = np.floor(np.arange(num_frames) / p["held"] + p["phase"])
    starts = np.clip((step - p["phase"]) * p["held"], 0, num_frames - 1)
    if not p["blend"]:
        return frames[np.ceil(starts - 1e-9).astype(int)]
    ends = np.clip((step + 1 - p["phase"]) * p["held"], starts + 1e-3, num_frames)
    return _averaged(frames, starts, ends)


TRANSFORMS = (
    Transform("speed", _draw_speed, _speed, _speed_of_sound),
    Transform("frame_rate", _draw_frame_rate, _frame_rate),
)
