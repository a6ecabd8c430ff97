from __future__ import annotations

import numpy as np

from pipeline.store.pcm import LARGEST, samples_of, wave_of


def test_every_sample_is_a_wave_within_full_scale_and_comes_back() -> None:
    samples = np.arange(-32768, 32768).astype(np.int16)
    wave = wave_of(samples)
    assert wave.dtype == np.float64
    assert (wave[0], wave[-1], wave[16384]) == (-1.0, LARGEST, -0.5)
    np.testing.assert_array_equal(samples_of(wave), samples)


def test_a_wave_is_rounded_to_the_nearest_sample_and_cut_off_beyond_full_scale() -> None:
    wave = np.array([[0.6, -0.6, 1.4]]) / 32768
    np.testing.assert_array_equal(samples_of(wave), np.array([[1, -1, 1]], np.int16))
    loud = np.array([-2.0, -1.0, 1.0, 2.0])
    np.testing.assert_array_equal(samples_of(loud), [-32768, -32768, 32767, 32767])
    np.testing.assert_array_equal(samples_of(loud[1:3] * LARGEST), [-32767, 32767])
