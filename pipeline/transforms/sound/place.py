"""Puts sound where it is heard: the answer of a room, and wind at the microphone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import signal

from pipeline.engines.acoustics import ambience
from pipeline.engines.acoustics.propagation import late_part
from pipeline.engines.acoustics.room import ROOMS
from pipeline.engines.acoustics.signals import RATE_HZ
from pipeline.store.pcm import samples_of, wave_of
from pipeline.store.sound import SOUND_HZ, Samples
from pipeline.transforms.base import Parameters, amount, pick, seed, uniform
from pipeline.transforms.sound.base import SoundTransform, from_acoustics, over

_INDOORS = ("room", "corridor", "indoor_range", "hall", "stairwell", "car_park")


def _draw_room(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "room": pick(rng, _INDOORS),
        "reverberant_db": amount(rng, strength, -18, 6),
        "seed": seed(rng),
    }


def _room(samples: Samples, p: Mapping[str, Any]) -> Samples:
    """Add the reverberation of a room, `reverberant_db` above what is heard straight."""
    late = late_part(np.random.default_rng(p["seed"]), ROOMS[p["room"]])
    answer = from_acoustics(late, len(late) * SOUND_HZ // RATE_HZ)
    answer /= np.sqrt(np.sum(answer**2))
    wave = wave_of(samples)
    wet = np.asarray(signal.fftconvolve(wave, answer))[: len(wave)]
    gain = 10 ** (p["reverberant_db"] / 20)
    return samples_of((wave + gain * wet) / np.sqrt(1 + gain**2))


def _draw_wind(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "snr_db": amount(rng, strength, 18, -12),
        "speed_m_s": uniform(rng, 2, 14),
        "seed": seed(rng),
    }


def _wind(samples: Samples, p: Mapping[str, Any]) -> Samples:
    """Gusts at the microphone."""
    count = len(samples) * RATE_HZ // SOUND_HZ
    wind = ambience.wind(np.random.default_rng(p["seed"]), count, p["speed_m_s"])
    return over(samples, from_acoustics(wind, len(samples)), p["snr_db"])


TRANSFORMS = (
    SoundTransform("room", _draw_room, _room),
    SoundTransform("wind", _draw_wind, _wind),
)
