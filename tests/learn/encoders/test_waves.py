from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy import signal

from pipeline.errors import UserError
from pipeline.learn.encoders.waves import Resampler, check_every, features_of_sounds
from pipeline.learn.encoders.yamnet import Yamnet


@pytest.mark.parametrize("rate_hz", [16_000, 48_000, 32_000, 22_050])
@pytest.mark.parametrize("num_samples", [1600, 1601, 25_600])
def test_it_resamples_as_scipy_does(rate_hz: int, num_samples: int) -> None:
    waves = np.random.default_rng(0).normal(0, 0.3, (2, num_samples))
    ratio = Fraction(rate_hz, 24_000)
    expected = signal.resample_poly(waves, ratio.numerator, ratio.denominator, axis=1)
    found = Resampler(rate_hz)(torch.from_numpy(waves))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_a_rate_that_is_the_same_changes_nothing() -> None:
    waves = torch.randn(2, 100)
    assert Resampler(24_000)(waves) is waves


def test_features_are_those_of_the_wave_at_the_rate_of_the_encoder() -> None:
    sounds = np.random.default_rng(1).integers(-9000, 9000, (2, 25_600)).astype(np.int16)
    encoder = Yamnet.published()
    expected = encoder(
        torch.from_numpy(signal.resample_poly(sounds / 2.0**15, 2, 3, axis=1).astype(np.float32))
    )
    found = features_of_sounds(encoder, Resampler(16_000), torch.from_numpy(sounds))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)


def test_hearings_that_do_not_end_with_a_clip_are_refused() -> None:
    check_every(4, 16)
    with pytest.raises(UserError, match=r"sound\.every_frames=5 does not divide the 16 .* 1, 2, 4"):
        check_every(5, 16)
