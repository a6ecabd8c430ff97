import numpy as np
import pytest

from pipeline.engines.acoustics.bullet import n_wave, passage, shock
from pipeline.engines.acoustics.signals import level_db
from pipeline.engines.acoustics.weapons import WEAPONS

AIM = np.array([0.0, 1.0, 0.0])
CARBINE = WEAPONS["carbine_556"]


def test_the_shock_beside_a_path_is_that_of_whitham() -> None:
    # 5.56 mm at 5 m: 295 Pa (143 dB) and 157 µs; .308: 364 Pa, 197 µs.
    peak, length = shock(CARBINE, 920, 5.0, 343.0)
    assert peak == pytest.approx(295, rel=0.02)
    assert level_db(peak) == pytest.approx(143.4, abs=0.3)
    assert length == pytest.approx(157e-6, rel=0.02)
    peak, length = shock(WEAPONS["rifle_308"], 830, 5.0, 343.0)
    assert peak == pytest.approx(364, rel=0.02)
    assert length == pytest.approx(197e-6, rel=0.02)


def test_it_comes_before_the_bang_down_range_and_never_behind_the_muzzle() -> None:
    ahead = passage(CARBINE, AIM, np.array([1.0, 100.0, 0.0]), 920, 343.0)
    assert ahead is not None
    assert 100 / 343 - ahead.delay_s == pytest.approx(0.18, abs=0.015)
    assert ahead.miss_m == pytest.approx(1.0)
    assert passage(CARBINE, AIM, np.array([1.0, -5.0, 0.0]), 920, 343.0) is None
    # Beside the muzzle the cone has not opened that far.
    assert passage(CARBINE, AIM, np.array([10.0, 2.0, 0.0]), 920, 343.0) is None


def test_slow_bullets_drag_no_shock() -> None:
    assert passage(WEAPONS["pistol_45"], AIM, np.array([1.0, 50.0, 0.0]), 258, 343.0) is None
    # One that is hardly faster than sound falls below it on its way.
    assert passage(WEAPONS["pistol_9mm"], AIM, np.array([1.0, 5.0, 0.0]), 365, 343.0) is not None
    assert passage(WEAPONS["pistol_9mm"], AIM, np.array([1.0, 50.0, 0.0]), 365, 343.0) is None


def test_an_n_wave_goes_up_at_once_straight_down_and_up_at_once() -> None:
    since = np.arange(-5e-4, 1e-3, 1e-6)
    wave = n_wave(since, 2e-4)
    assert abs(wave[since < -3e-5]).max() < 1e-3
    assert abs(wave[since > 2.3e-4]).max() < 1e-3
    middle = (since > 4e-5) & (since < 1.6e-4)
    assert np.allclose(np.diff(wave[middle]), -0.01, atol=5e-4)
    assert wave.max() == pytest.approx(-wave.min(), rel=0.05)
