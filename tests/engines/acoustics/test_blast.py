import numpy as np
import pytest

from pipeline.engines.acoustics import blast
from pipeline.engines.acoustics.signals import LEAD, RATE_HZ, level_db
from pipeline.engines.acoustics.weapons import WEAPONS


def test_a_blast_is_positive_then_negative_and_over_soon() -> None:
    since = np.arange(-1e-3, 20e-3, 1e-6)
    wave = blast.friedlander(since, 0.5e-3, 1.0, 10e-6)
    assert not wave[since <= 0].any()
    assert 0.8 < wave.max() <= 1
    assert since[wave.argmax()] < 60e-6
    assert np.all(wave[(since > 1e-6) & (since < 0.49e-3)] > 0)
    assert np.all(wave[(since > 0.51e-3) & (since < 3e-3)] < 0)
    assert abs(wave[since > 6e-3]).max() < 1e-3
    # Of b = 1 the two phases cancel: a blast moves air to and fro.
    assert abs(wave.sum()) < 0.04 * np.abs(wave).sum()


def test_it_is_loudest_before_the_muzzle_and_18_db_weaker_behind() -> None:
    front, side, back = 20 * np.log10(blast.directivity(np.array([1.0, 0.0, -1.0])))
    assert front - back == pytest.approx(18)
    assert side == pytest.approx(0)
    assert front > 9


@pytest.mark.parametrize("name", list(WEAPONS))
def test_its_level_is_that_of_the_table(name: str) -> None:
    weapon, rng = WEAPONS[name], np.random.default_rng(0)
    peaks = [level_db(np.abs(blast.muzzle(rng, weapon, 1.0)).max()) for _ in range(40)]
    assert np.mean(peaks) == pytest.approx(weapon.level_db, abs=0.5)
    assert 0.4 < np.std(peaks) < 2.0


def test_it_grows_longer_with_distance_and_loses_more_than_1_over_r() -> None:
    assert blast.stretch(100.0) == pytest.approx(1.5)
    assert 20 * np.log10(blast.weak_shock(100.0)) == pytest.approx(-2.6)
    assert blast.weak_shock(0.5) == 1.0


def test_a_revolver_has_a_weaker_blast_before_its_muzzles() -> None:
    rng = np.random.default_rng(1)
    early = [blast.muzzle(rng, WEAPONS["revolver_38"], 1.0)[: LEAD - 4] for _ in range(20)]
    plain = [blast.muzzle(rng, WEAPONS["pistol_45"], 1.0)[: LEAD - 4] for _ in range(20)]
    share = np.mean([np.abs(one).max() for one in early]) / 1125  # Pa of 155 dB
    assert 0.2 < share < 0.6
    assert np.max(np.abs(plain)) < 0.1 * 1125
    assert RATE_HZ == 48_000


def test_gas_roars_out_of_the_barrel_after_the_blast() -> None:
    rng = np.random.default_rng(3)
    for name in ("pistol_9mm", "rifle_308"):
        weapon = WEAPONS[name]
        after = LEAD + round(8 * weapon.positive_s * RATE_HZ)
        waves = [blast.muzzle(rng, weapon, 1.0) for _ in range(20)]
        shares = [np.abs(wave[after : after + 96]).max() / np.abs(wave).max() for wave in waves]
        assert -45 < 20 * np.log10(np.median(shares)) < -20
