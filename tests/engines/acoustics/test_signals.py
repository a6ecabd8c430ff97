import numpy as np
import pytest

from pipeline.engines.acoustics import signals
from pipeline.engines.acoustics.signals import LEAD, RATE_HZ


def test_levels_are_re_20_micropascal() -> None:
    assert signals.pascal(94.0) == pytest.approx(1.0, rel=0.01)
    assert signals.level_db(1.0) == pytest.approx(93.98, abs=0.01)


def test_concerns_have_generators_of_their_own() -> None:
    first = [signals.generator((1, 2), *names).random() for names in (("a",), ("b",), ("a", 0))]
    assert len(set(first)) == 3
    assert signals.generator((1, 2), "a").random() == first[0]
    assert signals.generator((1, 3), "a").random() != first[0]
    assert signals.generator((1, 2, 0), "a").random() != first[0]


def test_steep_fronts_are_sampled_without_aliases() -> None:
    """A tone above half the rate vanishes, and one below it stays."""

    def level(frequency_hz: float) -> float:
        wave = signals.sample_pressure(lambda since: np.sin(2 * np.pi * frequency_hz * since), 0.05)
        return signals.rms(wave[200:-200])

    assert level(10_000) == pytest.approx(np.sqrt(0.5), rel=0.01)
    assert level(31_000) < 1e-3
    step = signals.sample_pressure(lambda since: (since >= 0) * 1.0, 0.01)
    assert np.argmax(step > 0.5) == pytest.approx(LEAD, abs=1)


def test_noise_has_the_band_that_it_is_given() -> None:
    wave = signals.shaped_noise(np.random.default_rng(0), RATE_HZ, signals.band(500, 2000))
    power = np.abs(np.fft.rfft(wave)) ** 2
    assert power[500:2000].sum() > 0.6 * power.sum()
    assert power[:100].sum() < 0.01 * power.sum()


def test_a_struck_body_rings_longer_below() -> None:
    wave = signals.struck(np.random.default_rng(0), 1.0, 100, 8000, 0.05)
    assert np.abs(wave).max() == pytest.approx(1)
    assert not wave[: LEAD - 1].any()
    power = [np.abs(np.fft.rfft(part, RATE_HZ)) ** 2 for part in (wave[:4800], wave[9600:])]
    deep = [part[:800].sum() / part.sum() for part in power]
    assert deep[1] > deep[0]


def test_waves_are_added_where_they_fit() -> None:
    total = np.zeros(5)
    signals.add(total, np.ones(3), -1)
    signals.add(total, 2 * np.ones(3), 4)
    signals.add(total, np.ones(3), 9)
    assert total.tolist() == [1, 1, 0, 0, 2]
