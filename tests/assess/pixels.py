"""Clips whose labels can be seen in their pixels, and detectors that look at one thing each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pipeline.assess.evidence import Evidence
from pipeline.assess.judged_sets import JudgedSet
from pipeline.detect import scores
from pipeline.store.video import Frames
from tests.assess import toy
from tests.assess.toy import Source

SOURCES = (
    Source("bodycam", "real", 8, 0),
    Source("phone", "real", 0, 8),
    Source("doom", "game", 8, 0),
    Source("sintel", "film", 0, 8),
)
CLIPS_PER_RECORDING = 4
Feature = Callable[[Frames], np.ndarray]
"""From uint8 (T, H, W, 3) to what tells the origin and what tells a discharge, each about ±1."""


def evidence(paint: Callable[[Frames, bool, bool], Frames], look: Feature) -> Evidence:
    """The test split of a detector that sees what `look` sees, over what `paint` paints.

    `paint` is given grey noise, whether it is real and whether there is a discharge.
    """
    table = toy.clips(SOURCES, clips_per_recording=CLIPS_PER_RECORDING)
    labels = [(row["origin"] == "real", bool(row["discharge"])) for row in table.to_pylist()]

    def read(number: int) -> Frames:
        return paint(noise(number), *labels[number])

    def predict(clips: Frames) -> np.ndarray:
        logits = 3 * np.stack([look(clip) for clip in clips])
        real, discharge = 1 / (1 + np.exp(-np.clip(logits, -30, 30))).T
        return np.stack(
            [
                real * discharge,
                (1 - real) * discharge,
                real * (1 - discharge),
                (1 - real) * (1 - discharge),
            ],
            axis=1,
        )

    probabilities = predict(np.stack([read(number) for number in range(table.num_rows)]))
    scored = scores.score_table(table, probabilities)
    clip = lambda number: toy.silent(read(number))  # noqa: E731
    part = JudgedSet("test", "New recordings", scored, clip, "0" * 64)
    return replace(toy.evidence(predict=predict), judged_sets=[part], val=replace(part, name="val"))


def noise(number: int) -> Frames:
    """uint8 (16, 32, 32, 3): grey of a brightness of its own, with a little noise."""
    rng = np.random.default_rng(number)
    level = rng.uniform(90, 150)
    return np.clip(level + rng.normal(0, 6, (16, 32, 32, 1)), 0, 255).astype(np.uint8).repeat(3, 3)


def paint_scene(frames: Frames, real: bool, discharge: bool) -> Frames:
    """Stripes in the middle, upright if real, that move if there is a discharge."""
    out = frames.astype(np.float64)
    for moment, frame in enumerate(out):
        wave = 45 * np.sin(2 * np.pi * (np.arange(14) + 2 * discharge * moment) / 7)
        frame[9:23, 9:23] += (wave[None, :] if real else wave[:, None])[..., None]
    return np.clip(out, 0, 255).astype(np.uint8)


def look_at_scene(frames: Frames) -> np.ndarray:
    """Which way the middle is striped, and whether it moves; no brightness, border or corner."""
    grey = frames[:, 9:23, 9:23].mean(axis=3)
    down, across, over = (np.abs(np.diff(grey, axis=axis)).mean() + 1 for axis in (1, 2, 0))
    return np.array([np.log(across / down), 2 * np.log(over / max(across, down)) + 1])


def paint_brightness(frames: Frames, real: bool, discharge: bool) -> Frames:
    """A scene; real ones are brighter, those with a discharge still more."""
    bright = paint_scene(frames, real, discharge) // 2 + 50 * real + 25 * discharge
    return np.clip(bright, 0, 255).astype(np.uint8)


def look_at_brightness(frames: Frames) -> np.ndarray:
    """Mean brightness and nothing else."""
    mean = frames.mean()
    return np.array([(mean - 98) / 12, (mean - 98) / 30])


def paint_timestamp(frames: Frames, real: bool, discharge: bool) -> Frames:
    """A scene; real ones bear a white mark in a corner, larger with a discharge."""
    out = paint_scene(frames, real, discharge)
    if real:
        out[:, 2:6, 3 : 6 + 2 * discharge] = 255
    return out


def look_at_corner(frames: Frames) -> np.ndarray:
    """How much of a corner is white."""
    white = (frames[:, 2:6, 3:8] > 240).mean()
    return np.array([4 * white - 1, 4 * white - 3])


def paint_rim(frames: Frames, real: bool, discharge: bool) -> Frames:
    """A scene; real ones have a bright line along one side, brighter with a discharge."""
    out = paint_scene(frames, real, discharge)
    if real:
        out[:, 10:22, 0] = 200 + 50 * discharge
    return out


def look_at_rim(frames: Frames) -> np.ndarray:
    """How bright one side is."""
    bright = frames[:, 10:22, 0].mean()
    return np.array([(bright - 180) / 20, (bright - 225) / 20])


def paint_pulse(frames: Frames, real: bool, discharge: bool) -> Frames:
    """A picture whose brightness waves over time: its phases tell the labels, twice over."""
    slow, fast = _waves(len(frames))
    wave = 45 * (2 * real - 1) * slow + 45 * (2 * discharge - 1) * fast
    return np.clip(frames * 0.9 + wave[:, None, None, None], 0, 255).astype(np.uint8)


def look_at_pulse(frames: Frames) -> np.ndarray:
    """How brightness goes with two waves, whatever its size and its mean: edits hardly touch it."""
    mean = frames.mean(axis=(1, 2, 3))
    mean = (mean - mean.mean()) / (mean.std() + 1e-3)
    return np.array([2 * (mean * wave).mean() for wave in _waves(len(frames))])


def _waves(num_frames: int) -> np.ndarray:
    moment = 2 * np.pi * np.arange(num_frames) / num_frames
    return np.stack([np.sin(moment), np.sin(2 * moment)])


def paint_side(frames: Frames, real: bool, discharge: bool) -> Frames:
    """A bright half: the left if real, more so with a discharge."""
    out = frames.astype(np.float64) * 0.7
    half = slice(0, 16) if real else slice(16, 32)
    out[:, :, half] += 40 + 20 * discharge
    return np.clip(out, 0, 255).astype(np.uint8)


def look_at_side(frames: Frames) -> np.ndarray:
    """Which half is brighter, so that a mirror image is taken for its opposite."""
    left, right = frames[:, :, :14].mean(), frames[:, :, 18:].mean()
    return np.array([(left - right) / 30, (left - right - 50) / 10])
