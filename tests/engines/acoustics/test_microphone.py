from dataclasses import replace

import numpy as np
import pytest

from pipeline.engines.acoustics import microphone
from pipeline.engines.acoustics.microphone import FAMILIES, Family, draw, record
from pipeline.engines.acoustics.scene import AutomaticGain, Microphone
from pipeline.engines.acoustics.signals import RATE_HZ, Vector, pascal, rms

BARE = Microphone(
    overload_db=120, noise_db=0, high_pass_hz=20, low_pass_hz=20_000, agc=None, gain_db=0
)


def tone(level_db: float, frequency_hz: float = 1000, seconds: float = 1.0) -> Vector:
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return pascal(level_db) * np.sin(2 * np.pi * frequency_hz * time_s)


def heard(pressure: Vector, **changed: object) -> Vector:
    return record(np.random.default_rng(0), replace(BARE, **changed), pressure)  # type: ignore[arg-type]


def test_what_is_too_loud_is_cut_off_before_any_gain() -> None:
    quiet, loud = heard(tone(100)), heard(tone(140))
    assert np.abs(quiet[4800:]).max() == pytest.approx(0.1, rel=0.02)
    # A square of the overload's height, which a smaller gain does not undo.
    assert rms(loud[4800:]) == pytest.approx(1.0, rel=0.1)
    lower = heard(tone(140), gain_db=-20.0)
    assert np.abs(lower[4800:]).max() < 0.13
    assert rms(lower[4800:]) > 0.09
    bent = heard(tone(121), soft=True)
    assert 0.7 < np.abs(bent[4800:]).max() < 0.9


def test_cloth_dulls_and_the_high_pass_takes_the_deep() -> None:
    assert rms(heard(tone(100, 10_000), low_pass_hz=3000)) < 0.35 * rms(heard(tone(100, 10_000)))
    assert rms(heard(tone(100, 40), high_pass_hz=150)) < 0.1 * rms(heard(tone(100, 40)))


def test_its_own_noise_is_a_level_of_sound() -> None:
    silence = heard(np.zeros(RATE_HZ), noise_db=40)
    assert rms(silence) == pytest.approx(10 ** (-80 / 20), rel=0.05)


def test_a_call_and_a_buffer() -> None:
    call = {"band_hz": (300.0, 3400.0)}
    assert rms(heard(tone(100, 6000), **call)) < 0.05 * rms(heard(tone(100, 1000), **call))
    late = heard(tone(100), buffer_s=0.25)
    assert not late[: RATE_HZ // 4].any()
    assert late[RATE_HZ // 4 :].any()


@pytest.mark.parametrize("family", FAMILIES)
def test_microphones_are_drawn_within_their_ranges(family: Family) -> None:
    drawn = [draw(np.random.default_rng(seed), family) for seed in range(60)]
    assert drawn[0] == draw(np.random.default_rng(0), family)
    for one in drawn:
        assert 110 <= one.overload_db <= 140
        assert 1500 <= one.low_pass_hz <= 18_000
        assert one.buffer_s == 0
        if one.agc is not None:
            assert isinstance(one.agc, AutomaticGain)
            assert 1e-3 <= one.agc.attack_s <= 0.125
            assert 15 <= one.agc.most_db <= 40
    with_gain = np.mean([one.agc is not None for one in drawn])
    assert 0.6 < with_gain < 0.9
    assert microphone.FAMILIES == ("body", "phone", "fixed", "camcorder")
