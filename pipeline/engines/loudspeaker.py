"""What a game sounds like where it is played: its own sound, and what else its player hears."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from pipeline.engines.acoustics import music
from pipeline.engines.acoustics.ambience import hush
from pipeline.engines.take import SOUND_HZ
from pipeline.store.pcm import LARGEST, samples_of, wave_of

_VOLUMES_DB = (-20.0, 0.0)
# The engines have neither music nor the noise of a place, and are digital silence where nothing
# happens: a bang would be whatever is heard at all, and what falls silent would be a game.
_MUSIC, _MUSIC_DBFS, _TEMPOS_BPM = 0.35, (-40.0, -22.0), (70.0, 160.0)
_HUSH_DBFS = (-65.0, -30.0)


def record(
    sound: NDArray[np.int16], rate_hz: int, num_samples: int, rng: np.random.Generator
) -> NDArray[np.int16]:
    """The sound of a take, int16 (N,) mono at `SOUND_HZ`.

    Args:
        sound: int16 (M, 2) of a game, which begins with the pictures. What is longer is cut, and
            after what is shorter the rest of what is heard goes on.
        rate_hz: of it.
        num_samples: N.
        rng: draws the volume, the place's noise, and music for some.
    """
    ratio = Fraction(SOUND_HZ, rate_hz)
    mono = wave_of(sound).mean(axis=1)
    game = signal.resample_poly(mono, ratio.numerator, ratio.denominator)[:num_samples]
    wave = _gain(rng.uniform(*_HUSH_DBFS)) * hush(rng, num_samples)
    wave[: len(game)] += _gain(rng.uniform(*_VOLUMES_DB)) * game
    if rng.random() < _MUSIC:
        bed = music.bed(rng, num_samples / SOUND_HZ, float(rng.uniform(*_TEMPOS_BPM)))
        wave += _gain(rng.uniform(*_MUSIC_DBFS)) * bed[:num_samples]
    return samples_of(LARGEST * np.clip(wave, -1, 1))


def _gain(level_db: float) -> float:
    return float(10 ** (level_db / 20))
