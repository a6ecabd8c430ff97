"""Changes how loud sound is: gain, automatic gain, clipping, and a track that is muted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.engines.acoustics import dynamics
from pipeline.engines.acoustics.scene import AutomaticGain
from pipeline.store.pcm import FULL_SCALE, samples_of, wave_of
from pipeline.store.sound import SOUND_HZ, Samples
from pipeline.transforms.base import Parameters, amount, signed_amount, uniform
from pipeline.transforms.sound.base import SoundTransform, from_acoustics, to_acoustics

_FADE_S = 0.005
_LEAST_PEAK = 1 / FULL_SCALE


def _draw_gain(rng: np.random.Generator, strength: float) -> Parameters:
    return {"gain_db": signed_amount(rng, strength, 26)}


def _gain(samples: Samples, p: Mapping[str, Any]) -> Samples:
    """Raise or lower the level; what passes full scale is cut off."""
    return samples_of(wave_of(samples) * 10 ** (p["gain_db"] / 20))


def _draw_agc(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "most_db": amount(rng, strength, 6, 40),
        "target_dbfs": amount(rng, strength, -34, -12),
        "attack_s": uniform(rng, 0.002, 0.03),
        "release_s": uniform(rng, 0.1, 0.8),
    }


def _agc(samples: Samples, p: Mapping[str, Any]) -> Samples:
    """Automatic gain of a recorder: raises what is quiet; what is loud it lowers by its attack."""
    agc = AutomaticGain(
        target_dbfs=p["target_dbfs"],
        most_db=p["most_db"],
        attack_s=p["attack_s"],
        release_s=p["release_s"],
    )
    wave = dynamics.automatic(to_acoustics(wave_of(samples)), agc)
    return samples_of(from_acoustics(wave, len(samples)))


def _draw_clipping(rng: np.random.Generator, strength: float) -> Parameters:
    return {"over_db": amount(rng, strength, 2, 30)}


def _clipping(samples: Samples, p: Mapping[str, Any]) -> Samples:
    """Cut off all that is louder than the peak less `over_db`, and raise it to the peak again."""
    wave = wave_of(samples)
    peak = max(float(np.abs(wave).max()), _LEAST_PEAK)
    top = peak * 10 ** (-p["over_db"] / 20)
    return samples_of(np.clip(wave, -top, top) * (peak / top))


def _draw_mute(rng: np.random.Generator, strength: float) -> Parameters:
    return {"share": amount(rng, strength, 0.1, 1), "at": uniform(rng, 0, 1)}


def _mute(samples: Samples, p: Mapping[str, Any]) -> Samples:
    """Silence a share of the track, all of it from 0.95 on."""
    if p["share"] >= 0.95:
        return np.zeros_like(samples)
    length = round(p["share"] * len(samples))
    start = round(p["at"] * (len(samples) - length))
    loud = np.ones(len(samples))
    loud[start : start + length] = 0
    fade = round(_FADE_S * SOUND_HZ)
    loud = np.convolve(np.pad(loud, fade, mode="edge"), np.ones(2 * fade + 1), "valid")
    return samples_of(wave_of(samples) * loud / (2 * fade + 1))


TRANSFORMS = (
    SoundTransform("gain", _draw_gain, _gain),
    SoundTransform("automatic_gain", _draw_agc, _agc),
    SoundTransform("clipping", _draw_clipping, _clipping),
    SoundTransform("mute", _draw_mute, _mute, hides=True),
)
