"""Building blocks of sounds: levels, noise of a given spectrum, bursts, ringing modes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, signal

Vector = NDArray[np.float64]

RATE_HZ = 48_000
"""Samples a second of all pressure inside this package."""
REFERENCE_PA = 20e-6
LEAD = 32
"""Samples by which the waveform of a sound begins before its event: filters ring before a front."""
OCTAVES_HZ = np.array([125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0])
_OVERSAMPLING = 4


def pascal(level_db: float) -> float:
    """Pressure in pascal of a level in dB re 20 µPa."""
    return float(REFERENCE_PA * 10 ** (level_db / 20))


def level_db(pressure_pa: float) -> float:
    """Level in dB re 20 µPa of a pressure in pascal."""
    return float(20 * np.log10(max(pressure_pa, 1e-12) / REFERENCE_PA))


def rms(pressure: Vector) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(pressure**2))) if len(pressure) else 0.0


def generator(seed: Sequence[int], *names: str | int) -> np.random.Generator:
    """The generator of one concern, independent of all others: what others draw changes nothing."""
    parts = [zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names]
    # Lengths first: numpy takes lists that differ by zeros at their end for the same.
    return np.random.default_rng([len(seed), len(parts), *seed, *parts])


def num_samples(duration_s: float) -> int:
    """Samples of a duration at `RATE_HZ`."""
    return max(1, round(duration_s * RATE_HZ))


def times(duration_s: float) -> Vector:
    """Times in seconds since the event of a waveform's samples, the first at -LEAD / RATE_HZ."""
    return (np.arange(num_samples(duration_s) + LEAD) - LEAD) / RATE_HZ


def sample_pressure(pressure: Callable[[Vector], Vector], duration_s: float) -> Vector:
    """Sample a pressure over time that has steep fronts, without aliases.

    It is computed on four times the rate and low-passed.

    Args:
        pressure: gives pascal at times in seconds since the event; 0 before it.
        duration_s: how much of it is kept, after the lead.
    """
    rate = RATE_HZ * _OVERSAMPLING
    count = (num_samples(duration_s) + LEAD) * _OVERSAMPLING
    fine = pressure(np.arange(count) / rate - LEAD / RATE_HZ)
    return np.asarray(signal.resample_poly(fine, 1, _OVERSAMPLING), np.float64)


def shaped_noise(
    rng: np.random.Generator, count: int, gain: Callable[[Vector], Vector], rate_hz: int = RATE_HZ
) -> Vector:
    """Gaussian noise (count,) whose spectrum has a gain at each frequency in Hz.

    White noise of standard deviation 1 is what `gain` multiplies.
    """
    length = fft.next_fast_len(count, real=True)
    spectrum = fft.rfft(rng.standard_normal(length))
    spectrum *= gain(np.asarray(np.fft.rfftfreq(length, 1 / rate_hz), np.float64))
    return np.asarray(fft.irfft(spectrum, length)[:count])


def band(low_hz: float, high_hz: float) -> Callable[[Vector], Vector]:
    """Gain of a band-pass whose edges fall by 12 dB an octave."""

    def gain(frequency: Vector) -> Vector:
        f = np.maximum(frequency, 1e-3)
        return np.asarray(1 / np.sqrt((1 + (low_hz / f) ** 4) * (1 + (f / high_hz) ** 4)))

    return gain


def normalised(wave: Vector, peak: float) -> Vector:
    """A waveform scaled to a largest absolute value, silence as it is."""
    highest = np.abs(wave).max(initial=0.0)
    return wave * (peak / highest) if highest > 0 else wave


def burst(
    rng: np.random.Generator,
    duration_s: float,
    decay_s: float,
    low_hz: float,
    high_hz: float,
    rise_s: float = 2e-4,
) -> Vector:
    """A burst of noise in a band, of peak 1: it rises, then decays by e in `decay_s`."""
    since = np.maximum(times(duration_s), 0)
    envelope = np.exp(-since / decay_s) * -np.expm1(-since / rise_s)
    return normalised(shaped_noise(rng, len(since), band(low_hz, high_hz)) * envelope, 1.0)


def modes(
    rng: np.random.Generator, duration_s: float, frequency_hz: ArrayLike, decay_s: ArrayLike
) -> Vector:
    """Ringing modes of a struck body, of peak 1, each with a drawn strength and phase.

    Args:
        rng: draws strengths (0.3 to 1) and phases.
        duration_s: of the waveform.
        frequency_hz: of each mode.
        decay_s: time in which each falls by e.
    """
    since = times(duration_s)
    wave = np.zeros(len(since))
    for frequency, decay in zip(
        np.atleast_1d(frequency_hz).tolist(), np.atleast_1d(decay_s).tolist(), strict=True
    ):
        phase = rng.uniform(0, 2 * np.pi)
        decayed = np.exp(-np.maximum(since, 0) / decay)
        wave += rng.uniform(0.3, 1) * np.sin(2 * np.pi * frequency * since + phase) * decayed
    # Struck bodies take a few hundredths of a millisecond to move: no mode starts at full height.
    return normalised(wave * -np.expm1(-np.maximum(since, 0) / 5e-5), 1.0)


def struck(
    rng: np.random.Generator,
    duration_s: float,
    low_hz: float,
    high_hz: float,
    decay_s: float,
    num_modes: int = 24,
) -> Vector:
    """A body that was struck, of peak 1: many modes between two frequencies.

    Args:
        rng: draws the modes, evenly over the logarithm of frequency.
        duration_s: of the waveform.
        low_hz: of the lowest mode.
        high_hz: of the highest.
        decay_s: in which a mode of 1 kHz falls by e; higher ones are damped more, with √f.
        num_modes: how many ring.
    """
    edges = rng.uniform(np.log(low_hz), np.log(high_hz), num_modes)
    frequency = np.exp(np.sort(edges))
    decay = decay_s * (frequency / 1000) ** -0.5 * rng.uniform(0.5, 1.5, num_modes)
    return modes(rng, duration_s, frequency, decay)


def slow_noise(rng: np.random.Generator, count: int, low_hz: float, high_hz: float) -> Vector:
    """Noise of standard deviation 1 that varies between two rates, for what comes and goes."""
    step = max(1, int(RATE_HZ / (high_hz * 16)))
    coarse = shaped_noise(rng, count // step + 2, band(low_hz, high_hz), RATE_HZ // step)
    spread = coarse.std()
    coarse = coarse / spread if spread > 0 else coarse
    return np.interp(np.arange(count), np.arange(len(coarse)) * step, coarse)


def add(total: Vector, wave: Vector, start: int) -> None:
    """Add a waveform to a longer one from a sample on, in place; what is outside is lost."""
    first, last = max(start, 0), min(start + len(wave), len(total))
    if first < last:
        total[first:last] += wave[first - start : last - start]
