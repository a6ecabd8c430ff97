from dataclasses import replace

import numpy as np
import pytest

from pipeline.engines.acoustics import dynamics
from pipeline.engines.acoustics.scene import AutomaticGain
from pipeline.engines.acoustics.signals import RATE_HZ, Vector, rms


def noise(seconds: float, level: float) -> Vector:
    return level * np.random.default_rng(0).standard_normal(round(seconds * RATE_HZ))


def test_automatic_gain_hushes_after_a_bang_and_recovers() -> None:
    agc = AutomaticGain(target_dbfs=-20, most_db=30, attack_s=0.002, release_s=0.4)
    wave = noise(4.0, 10 ** (-45 / 20))
    loud = wave.copy()
    loud[RATE_HZ : RATE_HZ + 2400] += noise(0.05, 1.0)
    quiet, found = dynamics.automatic(wave, agc), dynamics.automatic(loud, agc)
    before, after = slice(RATE_HZ // 2, RATE_HZ - 100), slice(RATE_HZ + 4800, RATE_HZ + 9600)
    assert 20 * np.log10(rms(quiet[before])) == pytest.approx(-20, abs=2)
    assert np.allclose(found[: RATE_HZ - 100], quiet[: RATE_HZ - 100])
    assert rms(found[after]) < 0.1 * rms(quiet[after])
    assert rms(found[-RATE_HZ // 2 :]) == pytest.approx(rms(quiet[-RATE_HZ // 2 :]), rel=0.1)


def test_automatic_gain_waits_before_it_recovers_and_has_a_lowest() -> None:
    wave = noise(1.5, 10 ** (-45 / 20))
    wave[RATE_HZ // 2 : RATE_HZ // 2 + 2400] += noise(0.05, 0.5)
    plain = AutomaticGain(target_dbfs=-20, most_db=25, attack_s=0.002, release_s=0.1)
    held = replace(plain, hold_s=0.3)
    gains = [
        dynamics.automatic(wave, agc) / np.where(wave == 0, 1, wave)
        for agc in (plain, held, replace(plain, least_db=-6.0))
    ]
    bang, waits = slice(RATE_HZ // 2 + 1200, RATE_HZ // 2 + 2300), RATE_HZ // 2 + 2400 + 12_000
    assert 20 * np.log10(gains[0][bang].mean()) < -10
    assert 20 * np.log10(gains[2][bang].mean()) == pytest.approx(-6, abs=0.5)
    assert gains[1][waits] == pytest.approx(gains[1][bang].mean(), rel=0.2)
    assert gains[0][waits] > 3 * gains[1][waits]
    assert gains[1][-1000] > 3 * gains[1][waits]


def test_automatic_gain_falls_by_its_attack_however_loud_a_bang_is() -> None:
    agc = AutomaticGain(target_dbfs=-20, most_db=30, attack_s=0.01, release_s=1.0, hold_s=0.1)
    quiet = np.full(RATE_HZ, 1e-4)
    lasting, short = quiet.copy(), quiet.copy()
    lasting[RATE_HZ // 2 :] = 1.0
    short[RATE_HZ // 2 : RATE_HZ // 2 + RATE_HZ // 500] = 1.0
    gains = [dynamics.automatic(wave, agc) / wave for wave in (lasting, short)]
    before, aim = 10 ** (30 / 20), 10 ** (-20 / 20)
    later = RATE_HZ // 2 + RATE_HZ // 100
    assert gains[0][later] == pytest.approx(aim + (before - aim) / np.e, rel=0.1)
    # Two milliseconds at full scale take a fifth of 8.7 dB, and not the 50 dB to the target.
    assert 20 * np.log10(before / gains[1][later]) == pytest.approx(1.74, abs=0.1)


def test_automatic_gain_has_an_end() -> None:
    agc = AutomaticGain(target_dbfs=-20, most_db=20)
    assert 20 * np.log10(rms(dynamics.automatic(noise(1.0, 1e-4), agc))) == pytest.approx(
        -60, abs=1
    )


def test_a_limiter_holds_its_ceiling_without_cutting() -> None:
    time_s = np.arange(RATE_HZ) / RATE_HZ
    tone = np.sin(2 * np.pi * 500 * time_s) * np.where((time_s > 0.3) & (time_s < 0.5), 3.0, 0.2)
    found = dynamics.limit(tone, 0.9)
    assert np.abs(found).max() <= 0.9
    assert np.allclose(found[: RATE_HZ // 4], tone[: RATE_HZ // 4])
    # In the middle it is a tone of 0.9 still, and no square.
    middle = found[round(0.35 * RATE_HZ) : round(0.45 * RATE_HZ)]
    assert rms(middle) == pytest.approx(0.9 / np.sqrt(2), rel=0.05)


def test_compression_brings_loud_and_quiet_together() -> None:
    loud, quiet = (dynamics.compress(noise(1.0, level), 0.01, 4.0, 1e-3, 0.1) for level in (1, 0.1))
    assert 20 * np.log10(rms(loud) / rms(quiet)) == pytest.approx(5, abs=0.5)
    assert np.array_equal(
        dynamics.compress(noise(1.0, 1e-4), 0.01, 4.0, 1e-3, 0.1), noise(1.0, 1e-4)
    )


def test_noise_reduction_takes_what_is_steady_and_leaves_onsets() -> None:
    wave = noise(3.0, 0.01)
    start = 2 * RATE_HZ
    bang = np.exp(-np.arange(4800) / 900) * np.sin(np.arange(4800) * 0.2)
    wave[start : start + 4800] += 0.5 * bang
    found = dynamics.reduce_noise(wave, 15.0)
    assert found.shape == wave.shape
    steady = slice(RATE_HZ, start - 2400)
    assert -16 < 20 * np.log10(rms(found[steady]) / rms(wave[steady])) < -8
    assert rms(found[start : start + 2400]) == pytest.approx(
        rms(wave[start : start + 2400]), rel=0.1
    )
    assert np.array_equal(dynamics.reduce_noise(wave, 0.0), wave)
