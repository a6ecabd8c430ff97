from __future__ import annotations

import numpy as np

from pipeline.design.sound_cues import sound_cues
from pipeline.store.sound import SOUND_HZ

TIMES = np.arange(SOUND_HZ) / SOUND_HZ


def sine(hertz: float, peak: float) -> np.ndarray:
    return np.rint(32768 * peak * np.sin(2 * np.pi * hertz * TIMES)).astype(np.int16)


def test_the_level_and_the_peak_of_a_tone_are_in_decibels_of_full_scale() -> None:
    level, peak, crest, zeros, silent, quiet, loud = sound_cues(sine(1000, 0.1)).loudness
    assert abs(peak + 20) < 0.01
    assert abs(level + 23.01) < 0.01
    assert abs(crest - 3.01) < 0.02
    assert zeros < 0.1
    assert silent == 0
    assert abs(loud - quiet) < 0.1


def test_digital_silence_is_a_share_of_the_clip() -> None:
    sound = sine(997, 0.1)
    sound[: SOUND_HZ // 4] = 0
    *_, zeros, silent, quiet, loud = sound_cues(sound).loudness
    assert 0.25 <= zeros < 0.26
    assert silent == 12 / 50
    assert quiet == -110
    assert loud > -24


def test_the_bandwidth_is_where_the_energy_ends() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(SOUND_HZ)
    spectrum = np.fft.rfft(noise)
    spectrum[3001:] = 0
    low = np.fft.irfft(spectrum)
    half, _, _, most = sound_cues((low / abs(low).max() * 20_000).astype(np.int16)).spectrum[:4]
    assert abs(half - 1.5) < 0.15
    assert abs(most - 3.0) < 0.1
    bands = sound_cues(sine(3000, 0.5)).spectrum[4:]
    assert len(bands) == 11
    assert bands.argmax() == 6, "2 to 4 kHz"
