"""Interface of a transform of sound, and helpers that several of them share.

Parameters are drawn by our own generator, a call at a time: audiomentations, which has many of
these effects, draws from the global generators of `random` and numpy, so that what one call gives
hangs on the calls before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import signal

from pipeline.engines.acoustics.signals import RATE_HZ
from pipeline.store.pcm import Wave, samples_of, wave_of
from pipeline.store.sound import SOUND_HZ, Samples
from pipeline.transforms.base import Parameters

# What is laid over sound that is quieter than this is as loud as over this.
_LEAST_RMS = 10 ** (-50 / 20)


@dataclass(frozen=True)
class SoundTransform:
    """One way to change the sound of a clip.

    Attributes:
        name: unique among all transforms, those of pictures too.
        draw: from a generator and a strength in [0, 1] to JSON-able parameters; it sees nothing of
            the clip.
        apply: from int16 (n,) at `SOUND_HZ` and drawn parameters to as many samples; the same
            parameters give the same bytes always.
        hides: whether a discharge that was to be heard may be gone or elsewhere afterwards.
    """

    name: str
    draw: Callable[[np.random.Generator, float], Parameters]
    apply: Callable[[Samples, Mapping[str, Any]], Samples]
    hides: bool = False


def rms(wave: Wave) -> float:
    """Root of the mean square of (N,), at least that of the quietest sound that others follow."""
    return max(_LEAST_RMS, float(np.sqrt(np.mean(np.square(wave)))))


def from_acoustics(wave: Wave, count: int) -> Wave:
    """Sound of `engines.acoustics`, (N,) at its rate, as `count` samples at `SOUND_HZ`."""
    out = np.asarray(signal.resample_poly(wave, SOUND_HZ, RATE_HZ))[:count]
    return np.pad(out, (0, count - len(out)))


def to_acoustics(wave: Wave) -> Wave:
    """Sound (N,) at `SOUND_HZ` resampled to the rate of `engines.acoustics`."""
    return np.asarray(signal.resample_poly(wave, RATE_HZ, SOUND_HZ))


def over(samples: Samples, other: Wave, snr_db: float) -> Samples:
    """Lay another sound (N,) over samples (N,), `snr_db` decibels below their level."""
    wave = wave_of(samples)
    gain = rms(wave) * 10 ** (-snr_db / 20) / max(float(np.sqrt(np.mean(other**2))), 1e-12)
    return samples_of(wave + gain * other)
