"""Blast waves: the Friedlander waveform, and what distance and direction make of a muzzle's."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.engines.acoustics.signals import RATE_HZ, burst, normalised, pascal, sample_pressure
from pipeline.engines.acoustics.weapons import FirearmSound

Vector = NDArray[np.float64]

_FORWARD_DB, _ALONG_DB = 9.0, 1.0
_WEAK_SHOCK_DB, _STRETCH = 1.3, 0.25
_BLAST_S = 0.02
_GAP_DB, _GAP_S = (-12.0, -6.0), (0.2e-3, 0.5e-3)
_JET_DB, _JET_LASTS, _JET_HZ = (-26.0, -18.0), (6.0, 14.0), (300.0, 4000.0)
"""Peak of the jet re the blast's, its decay in lengths of the blast's positive phase, its band."""


def friedlander(since_s: Vector, positive_s: float, decay: float, rise_s: float) -> Vector:
    """A blast of peak 1 at times since its arrival; 0 before it.

    p(t) = (1 - t / t₊) exp(-b t / t₊), with a front that rises in `rise_s` instead of at once
    (Friedlander, 1946).

    Args:
        since_s: times.
        positive_s: t₊, the length of the positive phase.
        decay: b, 0.8 to 1.6 for a muzzle.
        rise_s: 5 to 30 µs.
    """
    after = np.maximum(since_s, 0)
    wave = (1 - after / positive_s) * np.exp(-decay * after / positive_s)
    return np.asarray(wave * -np.expm1(-after / rise_s))


def directivity(cosine: ArrayLike) -> Vector:
    """Gain of a muzzle's blast in a direction, 1 at right angles to the line of fire.

    L(θ) = L₉₀ + 9 cos θ + 1 cos 2θ + 1 dB: about 18 dB between front and back.

    Args:
        cosine: of the angle between the line of fire and the way to the listener.
    """
    c = np.asarray(cosine, np.float64)
    return np.asarray(10 ** ((_FORWARD_DB * c + _ALONG_DB * (2 * c * c - 1) + _ALONG_DB) / 20))


def weak_shock(distance_m: ArrayLike) -> Vector:
    """Gain that a blast loses beside 1 / r, since its front is a shock: -1.3 log₁₀ r dB."""
    away = np.maximum(np.asarray(distance_m, np.float64), 1.0)
    return np.asarray(10 ** (-_WEAK_SHOCK_DB * np.log10(away) / 20))


def stretch(distance_m: float) -> float:
    """By how much the positive phase is longer at a distance, 1 + 0.25 log₁₀ r."""
    return float(1 + _STRETCH * np.log10(max(distance_m, 1.0)))


def rise(distance_m: float) -> float:
    """How long the front of a blast takes to rise, in seconds: 8 µs and 0.15 µs more a metre."""
    return 8e-6 + 1.5e-7 * distance_m


def blast(
    rng: np.random.Generator, level_db: float, positive_s: float, distance_m: float
) -> Vector:
    """A blast in pascal at 1 m, in the shape that it has after `distance_m`.

    Its level varies by 1 dB and its positive phase by a tenth from one to the next.

    Args:
        rng: draws both and the decay.
        level_db: peak at 1 m, dB re 20 µPa.
        positive_s: of the positive phase at 1 m.
        distance_m: to the listener.
    """
    peak = pascal(level_db + rng.normal(0, 1.0))
    length = positive_s * stretch(distance_m) * float(np.clip(rng.normal(1, 0.1), 0.7, 1.3))
    decay, front = rng.uniform(0.8, 1.6), rise(distance_m)
    wave = sample_pressure(lambda since: friedlander(since, length, decay, front), _BLAST_S)
    return normalised(wave, peak)


def muzzle(rng: np.random.Generator, weapon: FirearmSound, distance_m: float) -> Vector:
    """The blast of a discharge in pascal at 1 m and at right angles, shaped by a distance.

    The gas that follows it out of the barrel is a jet, which roars for some milliseconds until the
    barrel is empty (Klingenberg and Heimerl, 1992): the longer the blast, the longer the jet. A
    revolver's has a weaker blast before it, from the gap at the cylinder.
    """
    wave = blast(rng, weapon.level_db, weapon.positive_s, distance_m)
    empties = rng.uniform(*_JET_LASTS) * weapon.positive_s
    jet = burst(rng, _BLAST_S, empties, *_JET_HZ, weapon.positive_s)
    wave += float(np.abs(wave).max()) * 10 ** (rng.uniform(*_JET_DB) / 20) * jet
    if weapon.is_revolver:
        gap = blast(rng, weapon.level_db + rng.uniform(*_GAP_DB), 0.2e-3, distance_m)
        # The gap's is the first, and the event is that of the muzzle.
        early = round(rng.uniform(*_GAP_S) * RATE_HZ)
        wave[: len(wave) - early] += gap[early:]
    return wave
