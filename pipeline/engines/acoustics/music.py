"""Music of our own: chords, a bass, a melody and drums, drawn and synthesised.

No recording is shipped or needed, and none is imitated.
"""

from __future__ import annotations

import numpy as np

from pipeline.engines.acoustics.signals import (
    LEAD,
    RATE_HZ,
    Vector,
    add,
    band,
    normalised,
    num_samples,
    rms,
    shaped_noise,
    times,
)

_SCALES = ((0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 9, 10))
_PROGRESSIONS = ((0, 5, 3, 4), (0, 3, 4, 0), (0, 5, 2, 6), (0, 0, 5, 4))
_BEATS = 4
"""Beats of a bar, during which a chord lasts."""


def bed(rng: np.random.Generator, duration_s: float, tempo_bpm: float) -> Vector:
    """Music (N,) at `RATE_HZ`, of RMS 1.

    Args:
        rng: draws key, chords, instruments and rhythm.
        duration_s: of it.
        tempo_bpm: beats a minute.
    """
    count, beat_s = num_samples(duration_s), 60 / tempo_bpm
    total = np.zeros(count)
    scale = _SCALES[rng.integers(len(_SCALES))]
    chords = _PROGRESSIONS[rng.integers(len(_PROGRESSIONS))]
    key_hz = 55 * 2 ** (rng.integers(0, 12) / 12)
    bright, plucked, drums = rng.uniform(0.8, 1.8), rng.random() < 0.6, rng.random() < 0.7
    offset = rng.uniform(0, _BEATS * beat_s)
    bar = 0
    while bar * _BEATS * beat_s - offset < duration_s:
        start = bar * _BEATS * beat_s - offset
        root = chords[bar % len(chords)]
        for step in (0, 2, 4):
            pad = _note(rng, _pitch(key_hz, scale, root + step, 2), _BEATS * beat_s, bright, 0.25)
            add(total, 0.25 * pad, round(start * RATE_HZ))
        for beat in range(_BEATS):
            at = start + beat * beat_s
            low = _note(rng, _pitch(key_hz, scale, root, 0), 0.9 * beat_s, 2.0, 0.01)
            add(total, 0.5 * low, round(at * RATE_HZ))
            if plucked:
                for half in (0.0, 0.5):
                    step = root + int(rng.choice([0, 2, 4, 7]))
                    tone = _pluck(rng, _pitch(key_hz, scale, step, 3), 0.7 * beat_s)
                    add(total, 0.3 * tone, round((at + half * beat_s) * RATE_HZ))
            if drums:
                _drum(rng, total, at, beat_s, beat)
        bar += 1
    return total / max(rms(total), 1e-12)


def _pitch(key_hz: float, scale: tuple[int, ...], step: int, octave: int) -> float:
    return key_hz * 2 ** (octave + step // len(scale) + scale[step % len(scale)] / 12)


def _note(
    rng: np.random.Generator, pitch_hz: float, length_s: float, fall: float, rise_s: float
) -> Vector:
    """A held tone of peak 1 whose harmonics fall with their number to the power of `fall`."""
    since = times(length_s + 0.15)
    wave = np.zeros(len(since))
    vibrato = 1 + 0.003 * np.sin(2 * np.pi * rng.uniform(4, 6) * since + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch_hz * vibrato) / RATE_HZ
    for harmonic in range(1, min(14, int(9000 / pitch_hz)) + 1):
        wave += harmonic**-fall * np.sin(harmonic * phase + rng.uniform(0, 6))
    shape = np.clip(since / rise_s, 0, 1) * np.clip((length_s + 0.15 - since) / 0.15, 0, 1)
    return normalised(wave * shape, 1.0)


def _pluck(rng: np.random.Generator, pitch_hz: float, length_s: float) -> Vector:
    since = times(length_s)
    after = np.maximum(since, 0)
    wave = np.zeros(len(since))
    for harmonic in range(1, 9):
        decay = np.exp(-after * (3 + 1.5 * harmonic))
        tone = np.sin(2 * np.pi * harmonic * pitch_hz * after + rng.uniform(0, 6))
        wave += tone * decay / harmonic
    return normalised(wave * np.clip(after / 0.002, 0, 1), 1.0)


def _drum(rng: np.random.Generator, total: Vector, at: float, beat_s: float, beat: int) -> None:
    """Add a bass drum, a snare drum and a cymbal on their beats, in place."""
    since = np.arange(num_samples(0.3) + LEAD) / RATE_HZ
    if beat % 2 == 0:
        sweep = 2 * np.pi * np.cumsum(45 + 90 * np.exp(-since / 0.03)) / RATE_HZ
        add(total, 1.1 * np.sin(sweep) * np.exp(-since / 0.09), round(at * RATE_HZ))
    else:
        noise = shaped_noise(rng, len(since), band(900, 8000)) * np.exp(-since / 0.07)
        tone = np.sin(2 * np.pi * 190 * since) * np.exp(-since / 0.05)
        add(total, 0.25 * noise + 0.35 * tone, round(at * RATE_HZ))
    for half in (0.0, 0.5):
        ticks = shaped_noise(rng, len(since), band(6000, 14000)) * np.exp(-since / 0.02)
        add(total, 0.12 * ticks, round((at + half * beat_s) * RATE_HZ))
