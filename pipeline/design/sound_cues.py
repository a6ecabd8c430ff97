"""Measures what the probes of sound see of a clip: level and spectrum, and not what is heard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.store.pcm import wave_of
from pipeline.store.sound import SOUND_HZ, Samples

Features = NDArray[np.float64]
_BLOCK = SOUND_HZ // 50
_FLOOR_DB = -110.0
_EDGES_HZ = np.array([0, 60, 125, 250, 500, 1000, 2000, 4000, 6000, 8000, 10_000, 12_000])
_SHARES = (0.5, 0.85, 0.95, 0.99)


@dataclass(frozen=True)
class SoundCues:
    """Features of the sound of one clip: float64 vectors of a fixed length each."""

    loudness: Features
    """(7,): level, peak and their difference in dB of full scale, share of zeros, share of blocks
    of 20 ms without any sound, and the quietest and the loudest tenth of the blocks."""
    spectrum: Features
    """(15,): frequencies below which 50, 85, 95 and 99 % of the energy lie, in kHz, and the share
    of energy in eleven bands, in dB."""


def sound_cues(sound: Samples) -> SoundCues:
    """Reduce the sound of a clip, int16 (S,) at `SOUND_HZ`, to what each probe may hear of it."""
    wave = wave_of(sound)
    blocks = wave[: len(wave) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    levels = _db(np.sqrt((blocks**2).mean(axis=1)))
    level, peak = _db(np.sqrt((wave**2).mean())), _db(np.abs(wave).max())
    quiet, loud = np.percentile(levels, [10, 90])
    is_zero = (sound == 0).mean()
    silent = (levels <= _FLOOR_DB).mean()
    return SoundCues(
        np.array([level, peak, peak - level, is_zero, silent, quiet, loud], np.float64),
        _spectrum(wave),
    )


def _spectrum(wave: Features) -> Features:
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    frequencies = np.fft.rfftfreq(len(wave), 1 / SOUND_HZ)
    total = max(float(power.sum()), 1e-20)
    reached = np.searchsorted(np.cumsum(power) / total, _SHARES).clip(0, len(power) - 1)
    band = np.searchsorted(_EDGES_HZ, frequencies, side="right").clip(1, len(_EDGES_HZ) - 1) - 1
    shares = np.bincount(band, power, minlength=len(_EDGES_HZ) - 1) / total
    return np.concatenate([frequencies[reached] / 1000, _db(np.sqrt(shares))])


def _db(amplitude: Features | np.floating) -> Features:
    return np.asarray(20 * np.log10(np.maximum(amplitude, 10 ** (_FLOOR_DB / 20))))
