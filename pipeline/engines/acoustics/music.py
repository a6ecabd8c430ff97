"""Music of our own: chords, a bass, a melody and drums, drawn and synthesised.

No recording is shipped or needed, and none is imitated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
_RELEASE_S = 0.15


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
            pad = _Note(rng, _pitch(key_hz, scale, root + step, 2), _BEATS * beat_s, bright, 0.25)
            _add(total, 0.25, pad, start)
        for beat in range(_BEATS):
            at = start + beat * beat_s
            low = _Note(rng, _pitch(key_hz, scale, root, 0), 0.9 * beat_s, 2.0, 0.01)
            _add(total, 0.5, low, at)
            if plucked:
                for half in (0.0, 0.5):
                    step = root + int(rng.choice([0, 2, 4, 7]))
                    tone = _Pluck(rng, _pitch(key_hz, scale, step, 3), 0.7 * beat_s)
                    _add(total, 0.3, tone, at + half * beat_s)
            if drums:
                _drum(rng, total, at, beat_s, beat)
        bar += 1
    return total / max(rms(total), 1e-12)


def _pitch(key_hz: float, scale: tuple[int, ...], step: int, octave: int) -> float:
    return key_hz * 2 ** (octave + step // len(scale) + scale[step % len(scale)] / 12)


class _Note:
    """A held tone of peak 1 whose harmonics fall with their number to the power of `fall`."""

    def __init__(
        self,
        rng: np.random.Generator,
        pitch_hz: float,
        length_s: float,
        fall: float,
        rise_s: float,
    ) -> None:
        self._pitch_hz, self._fall, self._rise_s = pitch_hz, fall, rise_s
        self.length_s = length_s + _RELEASE_S
        self._vibrato = rng.uniform(4, 6), rng.uniform(0, 6)
        self._phases = rng.uniform(0, 6, min(14, int(9000 / pitch_hz)))

    def wave(self) -> Vector:
        since = times(self.length_s)
        rate_hz, begins = self._vibrato
        vibrato = 1 + 0.003 * np.sin(2 * np.pi * rate_hz * since + begins)
        phase = 2 * np.pi * np.cumsum(self._pitch_hz * vibrato) / RATE_HZ
        wave = harmonics(turning(phase), self._phases, self._fall)
        falls = np.clip((self.length_s - since) / _RELEASE_S, 0, 1)
        return normalised(wave * (np.clip(since / self._rise_s, 0, 1) * falls), 1.0)


class _Pluck:
    """A plucked string of peak 1, whose higher harmonics die away first."""

    def __init__(self, rng: np.random.Generator, pitch_hz: float, length_s: float) -> None:
        self._pitch_hz, self.length_s = pitch_hz, length_s
        self._phases = rng.uniform(0, 6, 8)

    def wave(self) -> Vector:
        after = np.maximum(times(self.length_s), 0)
        dying = turning(2 * np.pi * self._pitch_hz * after) * np.exp(-1.5 * after)
        wave = harmonics(dying, self._phases, 1.0) * np.exp(-3 * after)
        return normalised(wave * np.clip(after / 0.002, 0, 1), 1.0)


def turning(phase: Vector) -> NDArray[np.complex128]:
    """Return numbers of absolute value 1 at angles (...) in radians."""
    out = np.empty(len(phase), np.complex128)
    out.real, out.imag = np.cos(phase), np.sin(phase)
    return out


def harmonics(turned: NDArray[np.complex128], phases: Vector, fall: float) -> Vector:
    """The sum over h of the imaginary parts of h-th powers, turned by `phases`, over h**fall.

    Powers by Horner's rule, since a sine of each harmonic takes three times as long.
    """
    total = np.zeros(len(turned), np.complex128)
    for harmonic in range(len(phases), 0, -1):
        total += harmonic**-fall * np.exp(1j * phases[harmonic - 1])
        total *= turned
    return total.imag


def _add(total: Vector, gain: float, played: _Note | _Pluck, at: float) -> None:
    """Add what is played at a second, in place; of what is outside, only the chance is drawn."""
    start = round(at * RATE_HZ)
    if start < len(total) and start + num_samples(played.length_s) + LEAD > 0:
        add(total, gain * played.wave(), start)


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
