"""Voices without words: a source and a filter (Fant, 1960) that follow drawn syllables.

Nothing is said, so nothing can be understood; pitch, formants, rhythm and pauses are those of
speech. A package with a recorded or trained voice would say words, and needs a runtime whose bytes
differ between processors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import signal

from pipeline.engines.acoustics.scene import SoundEvent
from pipeline.engines.acoustics.signals import (
    LEAD,
    RATE_HZ,
    Vector,
    add,
    band,
    num_samples,
    pascal,
    rms,
    shaped_noise,
)
from pipeline.engines.acoustics.sources.emission import Emission

_VOWELS = np.array(
    [
        (730, 1090, 2440),
        (530, 1840, 2480),
        (270, 2290, 3010),
        (570, 840, 2410),
        (300, 870, 2240),
        (490, 1350, 1690),
        (640, 1190, 2390),
        (390, 1990, 2550),
    ],
    np.float64,
)
"""First three formants in Hz of men's vowels (Peterson and Barney, 1952)."""
_WIDTHS_HZ = np.array([70.0, 100.0, 140.0, 220.0])
_FOURTH_HZ = 3500.0
_CONTROL_HZ = 200
_HIGHEST_HZ = 5000.0
_SLOWER = 4
"""By how much the rate is lower at which what is voiced is computed."""


@dataclass(frozen=True)
class _Voice:
    pitch_hz: float
    tract: float
    """Formants as a share of those of men: 1.16 for women, 1.3 for children."""
    tilt: float
    """Fall of the source's spectrum, in powers of frequency."""


def speech(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """Somebody who talks, 62 to 70 dB at 1 m."""
    level = pascal(rng.uniform(62, 70))
    return [Emission(level * utter(rng, event.duration_s, _draw(rng, 1.0)))]


def shout(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """Somebody who shouts commands, 82 to 94 dB at 1 m: higher, brighter, shorter words."""
    level = pascal(rng.uniform(82, 94))
    return [Emission(level * utter(rng, event.duration_s, _draw(rng, 1.7), pauses=0.5))]


def babble(rng: np.random.Generator, duration_s: float) -> Vector:
    """Voices that cannot be told apart, (N,), of RMS 1."""
    count = num_samples(duration_s)
    total = np.zeros(count)
    for _ in range(6):
        wave = utter(rng, duration_s, _draw(rng, rng.uniform(1, 1.3)), pauses=0.15)
        shift = int(rng.integers(0, count))
        total += rng.uniform(0.4, 1.0) * np.roll(wave[LEAD : LEAD + count], shift)
    return total / max(rms(total), 1e-12)


def _draw(rng: np.random.Generator, effort: float) -> _Voice:
    woman = rng.random() < 0.4
    pitch = (rng.uniform(175, 235) if woman else rng.uniform(90, 140)) * effort
    return _Voice(pitch, 1.16 if woman else 1.0, 1.6 if effort < 1.4 else 0.9)


def utter(
    rng: np.random.Generator, duration_s: float, voice: _Voice, pauses: float = 0.25
) -> Vector:
    """Syllables with the lead of an event, (N,), of RMS 1 while they last.

    Args:
        rng: draws syllables, pitch and pauses.
        duration_s: of all.
        voice: who talks.
        pauses: share of syllables that a pause of 0.15 to 0.6 s follows.
    """
    count = num_samples(duration_s) + LEAD
    steps = int(duration_s * _CONTROL_HZ) + 2
    loud, formants = np.zeros(steps), np.tile(_VOWELS[0], (steps, 1))
    noise = np.zeros(count)
    at = 0.0
    pitch = np.full(steps, voice.pitch_hz)
    last = _VOWELS[rng.integers(len(_VOWELS))]
    phrase = 0.0
    while at < duration_s:
        length = rng.uniform(0.09, 0.24)
        vowel = _VOWELS[rng.integers(len(_VOWELS))] * rng.normal(1, 0.04)
        first, end = int(at * _CONTROL_HZ), min(int((at + length) * _CONTROL_HZ) + 1, steps)
        if end <= first:
            break
        share = np.linspace(0, 1, end - first)
        glide = np.minimum(1, share / 0.35)[:, None]
        formants[first:end] = last + (vowel - last) * glide
        loud[first:end] = np.sin(np.pi * np.clip(share, 0.02, 0.98)) ** 0.5 * rng.uniform(0.6, 1)
        # Pitch falls through a phrase and rises on what is stressed.
        stress = rng.uniform(-0.03, 0.14) * np.sin(np.pi * share)
        pitch[first:end] = voice.pitch_hz * (1.12 - 0.12 * min(phrase, 2.0) + stress)
        last = vowel
        phrase += length
        at += length
        at = _consonant(rng, noise, at)
        if rng.random() < pauses:
            at += rng.uniform(0.15, 0.6)
            phrase = 0.0
    wave = _voiced(rng, voice, pitch, loud, formants, count) + noise
    active = np.abs(wave) > 0.05 * np.abs(wave).max(initial=0.0)
    return wave / max(rms(wave[active]), 1e-12)


def _consonant(rng: np.random.Generator, noise: Vector, at: float) -> float:
    """Add a fricative or a plosive after a syllable, in place, and return when it ends."""
    kind = rng.random()
    if kind < 0.3:
        length, low = rng.uniform(0.05, 0.13), rng.uniform(2200, 4500)
        wave = shaped_noise(rng, num_samples(length), band(low, low + 4500))
        wave *= 0.5 * np.sin(np.pi * np.linspace(0, 1, len(wave)))
        add(noise, wave, round(at * RATE_HZ) + LEAD)
        return at + length * 0.8
    if kind < 0.6:
        closed = rng.uniform(0.03, 0.08)
        wave = shaped_noise(rng, num_samples(0.03), band(rng.uniform(600, 2500), 6000))
        wave *= np.exp(-np.arange(len(wave)) / RATE_HZ / 0.006)
        add(noise, 0.7 * wave, round((at + closed) * RATE_HZ) + LEAD)
        return at + closed + 0.015
    return at + 0.01


def _voiced(
    rng: np.random.Generator,
    voice: _Voice,
    pitch: Vector,
    loud: Vector,
    formants: Vector,
    count: int,
) -> Vector:
    """The sum of the harmonics of a pitch, each as loud as the vocal tract lets it be."""
    control = np.arange(len(pitch)) / _CONTROL_HZ
    coarse = -(-count // _SLOWER)
    time_s = np.maximum((np.arange(coarse) * _SLOWER - LEAD) / RATE_HZ, 0)
    # Voices shake: about one in a hundred, from period to period.
    shaken = pitch * (1 + 0.012 * rng.standard_normal(len(pitch)))
    phase = 2 * np.pi * np.cumsum(np.interp(time_s, control, shaken)) * _SLOWER / RATE_HZ
    turn = np.exp(1j * phase)
    power = np.ones(coarse, np.complex128)
    poles = np.concatenate([formants, np.full((len(formants), 1), _FOURTH_HZ)], axis=1)
    poles = poles * voice.tract
    wave = np.zeros(coarse)
    for harmonic in range(1, int(_HIGHEST_HZ / voice.pitch_hz) + 1):
        frequency = (harmonic * pitch)[:, None]
        tract = 1 / np.abs(1 - (frequency / poles) ** 2 + 1j * frequency * _WIDTHS_HZ / poles**2)
        gain = tract.prod(axis=1) * loud * harmonic**-voice.tilt
        power *= turn
        wave += np.interp(time_s, control, gain) * power.imag
    full = signal.resample_poly(wave, _SLOWER, 1)[:count]
    return np.asarray(full / max(rms(full), 1e-12))
