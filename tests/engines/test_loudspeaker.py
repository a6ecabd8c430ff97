from __future__ import annotations

import numpy as np
import pytest

from pipeline.engines import loudspeaker
from pipeline.engines.take import SOUND_HZ

RATE_HZ = 22_050


def clicking(at_s: float, seconds: float = 2.0) -> np.ndarray:
    sound = np.zeros((round(seconds * RATE_HZ), 2), np.int16)
    sound[round(at_s * RATE_HZ)] = 30_000
    return sound


def recorded(sound: np.ndarray, number: int, num_samples: int = 2 * SOUND_HZ) -> np.ndarray:
    return loudspeaker.record(sound, RATE_HZ, num_samples, np.random.default_rng(number))


@pytest.mark.parametrize("at_s", [0.25, 1.5])
def test_a_click_stays_where_it_is_at_any_volume(at_s: float) -> None:
    for number in range(8):
        alone = recorded(np.zeros_like(clicking(at_s)), number).astype(np.float64)
        added = recorded(clicking(at_s), number) - alone
        assert np.argmax(np.abs(added)) / SOUND_HZ == pytest.approx(at_s, abs=1e-3)


def test_no_recording_is_digital_silence_and_levels_differ() -> None:
    levels = []
    for number in range(20):
        heard = recorded(clicking(0.5) * 0, number) / 32768
        assert heard.dtype == np.float64
        levels.append(20 * np.log10(np.sqrt(np.mean(heard**2))))
    assert min(levels) > -68
    assert np.ptp(levels) > 25


def test_a_recording_has_its_length_and_its_bytes() -> None:
    for num_samples in (SOUND_HZ, 3 * SOUND_HZ):
        heard = recorded(clicking(0.5), 3, num_samples)
        assert heard.shape == (num_samples,)
        np.testing.assert_array_equal(heard, recorded(clicking(0.5), 3, num_samples))
    longer = recorded(clicking(0.5), 3, 3 * SOUND_HZ)
    assert np.abs(longer[2 * SOUND_HZ :].astype(int)).max() > 0
