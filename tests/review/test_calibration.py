from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from pipeline.review.calibration import PlattCalibration, fit


def test_what_was_decided_says_what_a_score_means() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(-1, 2, 4000)
    is_shooting = rng.random(4000) < expit(-3 + 0.8 * odds)
    said = is_shooting ^ (rng.random(4000) < 0.05)
    found = fit(expit(odds), said.astype(float), (~said).astype(float), 0.05)
    assert (found.shift, found.slope) == pytest.approx((-3, 0.8), abs=0.35)
    assert found.num_votes == 4000
    low, high = found.probability(np.array([0.1, 0.9]))
    # A twentieth of wrong decisions does not make anything as likely as a twentieth.
    assert low < 0.02 < high < 0.4


def test_where_nothing_was_decided_a_score_is_what_it_says() -> None:
    nothing = np.zeros(0)
    assert fit(nothing, nothing, nothing, 0.05) == PlattCalibration()
    assert PlattCalibration().probability(np.array([0.2, 0.97])) == pytest.approx([0.2, 0.97])
    # One decision moves it, and not to the end.
    one = fit(np.array([0.9]), np.zeros(1), np.ones(1), 0.05)
    assert 0.1 < one.probability(np.array([0.9]))[0] < 0.8
