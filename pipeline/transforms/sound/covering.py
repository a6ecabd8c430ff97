"""Lays over a track, or puts in its place, what people do: music, speech, another track."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from pipeline.engines.acoustics import ambience, music
from pipeline.engines.acoustics.signals import RATE_HZ
from pipeline.engines.acoustics.sources import voice
from pipeline.store.pcm import Wave, samples_of, wave_of
from pipeline.store.sound import SOUND_HZ, Samples
from pipeline.transforms.base import Parameters, amount, pick, seed, uniform
from pipeline.transforms.sound.base import SoundTransform, from_acoustics, over

_OTHERS = ("music", "voices", "street")
_LEVEL_DBFS = -22.0


# Sections of an evaluation lay the same over the same clips; one of a second takes 140 kB.
@lru_cache(maxsize=128)
def _made(kind: str, seed: int, count: int) -> Wave:
    """Sound of our own, float64 (count,) at `SOUND_HZ`, of RMS 1."""
    rng = np.random.default_rng(seed)
    duration_s = count / SOUND_HZ
    if kind == "music":
        wave = music.bed(rng, duration_s, float(rng.uniform(70, 150)))
    elif kind == "voices":
        wave = voice.babble(rng, duration_s)
    else:
        num_samples = count * RATE_HZ // SOUND_HZ
        wave = ambience.hush(rng, num_samples) + 0.3 * ambience.hum(rng, num_samples)
    out = from_acoustics(wave, count)
    out = out / max(float(np.sqrt(np.mean(out**2))), 1e-12)
    out.flags.writeable = False
    return out


def _draw_over(rng: np.random.Generator, strength: float) -> Parameters:
    return {"snr_db": amount(rng, strength, 18, -12), "seed": seed(rng)}


def _music(samples: Samples, p: Mapping[str, Any]) -> Samples:
    """Music over the track."""
    return over(samples, _made("music", p["seed"], len(samples)), p["snr_db"])


def _speech(samples: Samples, p: Mapping[str, Any]) -> Samples:
    """People who speak over the track."""
    return over(samples, _made("voices", p["seed"], len(samples)), p["snr_db"])


def _draw_swapped(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "share": amount(rng, strength, 0.2, 1.2),
        "kind": pick(rng, _OTHERS),
        "level_db": uniform(rng, -6, 6),
        "seed": seed(rng),
    }


def _swapped(samples: Samples, p: Mapping[str, Any]) -> Samples:
    """Another track instead of the last `share` of this one; all of it from 1 on."""
    other = _made(p["kind"], p["seed"], len(samples)) * 10 ** ((_LEVEL_DBFS + p["level_db"]) / 20)
    stays = round(max(0.0, 1 - p["share"]) * len(samples))
    return samples_of(np.concatenate([wave_of(samples)[:stays], other[stays:]]))


TRANSFORMS = (
    SoundTransform("music", _draw_over, _music),
    SoundTransform("speech", _draw_over, _speech),
    SoundTransform("swapped", _draw_swapped, _swapped, hides=True),
)
