import numpy as np
import pytest

from pipeline.engines.acoustics.air import Air


@pytest.mark.parametrize(
    ("frequency_hz", "db_km"),
    # ISO 9613-1, table 1: 20 °C, 50 %, 101.325 kPa.
    [(125, 0.445), (1000, 4.66), (4000, 29.7), (8000, 105)],
)
def test_air_takes_what_the_tables_of_the_standard_say(frequency_hz: float, db_km: float) -> None:
    assert Air().loss_db_m(frequency_hz) * 1000 == pytest.approx(db_km, rel=0.03)


def test_sound_is_faster_in_warm_air() -> None:
    assert Air(20.0).speed_m_s == pytest.approx(343.2, abs=0.3)
    assert Air(-10.0).speed_m_s == pytest.approx(325.2, abs=0.5)


def test_far_sound_is_dull() -> None:
    near, far = (Air().gain(np.array([500.0, 8000.0]), distance) for distance in (1.0, 300.0))
    assert near == pytest.approx([1, 1], abs=0.02)
    assert far[0] > 0.85
    assert far[1] < 0.05
