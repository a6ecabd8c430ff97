"""Sound as films are mixed: stems brought to the levels of a mix, layered, compressed, limited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import signal

from pipeline.engines.acoustics.dynamics import BLOCK, compress, envelope, limit
from pipeline.engines.acoustics.music import bed
from pipeline.engines.acoustics.scene import FilmMix
from pipeline.engines.acoustics.signals import (
    LEAD,
    RATE_HZ,
    Vector,
    add,
    band,
    generator,
    normalised,
    pascal,
    rms,
    shaped_noise,
    times,
)

_THRESHOLD_DB, _FULL_DB = 88.0, 112.0
"""Levels of sound at which compression begins, and that are full scale once compressed."""
_MUSIC_DBFS, _DUCK_DBFS = -27.0, -26.0
_LAYERS_DBFS = -6.0
_MUSIC_SHARE = 0.15
_TOP_HZ = 2_500.0, 18_000.0


def mix(
    scene_seed: Sequence[int], film: FilmMix, pressure_pa: Vector, arrivals_s: Sequence[float]
) -> Vector:
    """A mono mix in [-1, 1] at `RATE_HZ`, (N,).

    Args:
        scene_seed: of all that is drawn.
        film: how it is mixed.
        pressure_pa: of everything in the scene, as a microphone without limits would hear it.
        arrivals_s: when discharges are heard.
    """
    wave = compress(pressure_pa, pascal(_THRESHOLD_DB - film.gain_db), film.ratio, 0.4e-3, 0.09)
    wave = wave / pascal(_FULL_DB - film.gain_db)
    if film.layers:
        for number, time_s in enumerate(arrivals_s):
            rng = generator(scene_seed, "layers", number)
            layer = 10 ** (_LAYERS_DBFS / 20) * layers(rng)
            add(wave, layer, round(time_s * RATE_HZ) - LEAD)
    if film.music_db is not None:
        rng = generator(scene_seed, "music")
        music = bed(rng, len(wave) / RATE_HZ, film.tempo_bpm)[: len(wave)]
        wave = wave + 10 ** ((_MUSIC_DBFS + film.music_db) / 20) * ducked(music, wave)
    glue = compress(wave, 10 ** (-18 / 20), 2.0, 0.01, 0.25)
    low, high = film.band_hz
    below = signal.butter(2, low, "highpass", fs=RATE_HZ, output="sos")
    above = signal.butter(1, high, "lowpass", fs=RATE_HZ, output="sos")
    banded = np.asarray(signal.sosfilt(np.concatenate([below, above]), glue))
    return limit(banded, 10 ** (film.peak_dbfs / 20))


def draw(rng: np.random.Generator, family: Literal["film", "game"]) -> FilmMix:
    """A mix of a family: films lay more under a discharge, and games leave more of the levels."""
    film = family == "film"
    return FilmMix(
        layers=bool(rng.random() < (0.6 if film else 0.25)),
        ratio=rng.uniform(4, 12) if film else rng.uniform(2, 6),
        music_db=rng.uniform(-12, 4) if rng.random() < _MUSIC_SHARE else None,
        tempo_bpm=rng.uniform(60, 150),
        peak_dbfs=rng.uniform(-3, -0.3),
        gain_db=rng.uniform(-2, 24),
        # As wide as the bands of microphones are, or the band would tell a mix from a camera.
        band_hz=(rng.uniform(40, 180), float(np.exp(rng.uniform(*np.log(_TOP_HZ))))),
    )


def ducked(music: Vector, effects: Vector) -> Vector:
    """Music that makes room for what is louder, as mixers let it, and comes back in half a second.

    Args:
        music: of RMS 1, (N,).
        effects: in full scale, (N,); from -26 dBFS on the music gives way.
    """
    level = envelope(effects, 0.005, 0.5)
    gain = 1 / (1 + np.maximum(level / 10 ** (_DUCK_DBFS / 20) - 1, 0))
    return music * np.interp(np.arange(len(music)), np.arange(len(gain)) * BLOCK, gain)


def layers(rng: np.random.Generator) -> Vector:
    """What designers lay under a discharge, of peak 1: thump, crack and tail."""
    since = np.maximum(times(1.4), 0)
    sweep = 2 * np.pi * np.cumsum(38 + rng.uniform(60, 130) * np.exp(-since / 0.035)) / RATE_HZ
    thump = np.sin(sweep) * np.exp(-since / rng.uniform(0.09, 0.2))
    crack = shaped_noise(rng, len(since), band(900, 9000)) * np.exp(-since / 0.012)
    body = shaped_noise(rng, len(since), band(150, 1800)) * np.exp(-since / 0.06)
    tail = shaped_noise(rng, len(since), band(120, 3000)) * np.exp(-since / rng.uniform(0.2, 0.45))
    starts = np.clip(since / 3e-4, 0, 1)
    weights = rng.uniform([0.15, 0.3, 0.3, 0.07], [0.8, 0.45, 0.45, 0.12])
    parts = (thump, crack / rms(crack) * 0.2, body / rms(body) * 0.2, tail / rms(tail) * 0.2)
    driven = np.tanh(1.8 * sum(w * part for w, part in zip(weights, parts, strict=True)))
    return normalised(np.asarray(driven * starts), 1.0)
