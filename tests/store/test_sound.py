from __future__ import annotations

import numpy as np
import pytest

from pipeline.store import sound


@pytest.mark.parametrize("num", [1, 4_095, 25_600])
def test_nothing_is_lost_and_equal_samples_give_equal_bytes(num: int) -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, num).astype(np.int16)
    data = sound.encode(samples)
    assert data[:4] == b"fLaC"
    assert data == sound.encode(samples.copy())
    np.testing.assert_array_equal(sound.decode(data), samples)


def test_a_frame_of_the_default_rate_is_1600_samples() -> None:
    assert sound.num_samples(1, 15.0) == 1_600
    assert sound.num_samples(16, 15.0) == 25_600
