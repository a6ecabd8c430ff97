"""Calibration errors, the band of chance and the parts of the Brier score."""

import numpy as np
import pytest

from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.calibration_error import Binned, judge_calibration
from pipeline.assess.statistics.questions import Question, judge

BOOTSTRAP = Bootstrap(num_resamples=200, confidence=0.95, seed=1)


def question(
    num_recordings: int, clips: int, seed: int = 0, sharpen: float = 1.0, alike: bool = False
) -> Question:
    """Labels drawn from probabilities, whose logits are then multiplied by `sharpen`.

    `alike`: the clips of a recording share probability and draw.
    """
    rng = np.random.default_rng(seed)
    size = (num_recordings, 1 if alike else clips)
    logits = np.broadcast_to(rng.normal(0, 1.5, size), (num_recordings, clips)).ravel()
    draws = np.broadcast_to(rng.random(size), (num_recordings, clips)).ravel()
    positive = draws < 1 / (1 + np.exp(-logits))
    clusters = np.repeat(np.arange(num_recordings), clips)
    return Question(positive, 1 / (1 + np.exp(-sharpen * logits)), clusters)


def test_error_and_interval_are_those_of_the_metrics():
    asked = question(30, 4)
    found = judge_calibration(asked, 5, BOOTSTRAP)
    judged = judge(asked, BOOTSTRAP, 5)
    for name in ("ece", "brier"):
        for end in ("value", "low", "high"):
            expected = getattr(judged[name], end)
            assert getattr(found.result(name), end) == pytest.approx(expected, abs=2e-6)


def test_parts_of_the_brier_score_add_up_exactly_under_any_weights():
    asked = question(40, 3, seed=5)
    weights = np.random.default_rng(2).integers(0, 4, (7, 40)).astype(float)
    part = Binned(asked, 6).statistics(weights)
    sums = (
        part["reliability"]
        - part["resolution"]
        + part["uncertainty"]
        + part["within_variance"]
        - part["within_covariance"]
    )
    per_example = weights[:, asked.clusters]
    brier = (per_example * (asked.probability - asked.positive) ** 2).sum(1) / per_example.sum(1)
    np.testing.assert_allclose(sums, brier, rtol=0, atol=1e-12)
    np.testing.assert_allclose(part["brier"], brier, rtol=0, atol=1e-12)
    assert (part["resolution"] > 0.01).all()


def test_parts_are_murphys_where_a_bin_holds_one_probability():
    probability = np.repeat([0.1, 0.4, 0.8], 10)
    positive = np.concatenate([np.arange(10) < n for n in (2, 4, 9)])
    asked = Question(positive, probability, np.arange(30))
    found = Binned(asked, 3).values()
    base = 15 / 30
    assert found["reliability"] == pytest.approx((0.1**2 + 0 + 0.1**2) / 3)
    assert found["resolution"] == pytest.approx((0.3**2 + 0.1**2 + 0.4**2) / 3)
    assert found["uncertainty"] == pytest.approx(base * (1 - base))
    assert found["within_variance"] == pytest.approx(0)
    assert found["within_covariance"] == pytest.approx(0)


def test_a_calibrated_detector_lies_within_chance_about_as_often_as_promised():
    within = 0
    for seed in range(60):
        binned = Binned(question(60, 3, seed), 8)
        within += binned.values()["ece"] <= binned.null(BOOTSTRAP).high
    assert within >= 54


def test_clips_that_go_together_do_not_make_a_calibrated_detector_look_wrong():
    within_alike, within_if_independent = 0, 0
    for seed in range(40):
        asked = question(25, 12, seed, alike=True)
        binned = Binned(asked, 8)
        apart = Binned(
            Question(asked.positive, asked.probability, np.arange(asked.positive.size)), 8
        )
        within_alike += binned.values()["ece"] <= binned.null(BOOTSTRAP).high
        within_if_independent += apart.values()["ece"] <= apart.null(BOOTSTRAP).high
    assert within_alike >= 34
    assert within_if_independent <= 10


@pytest.mark.parametrize(("alike", "low", "high"), [(True, 0.7, 1.0), (False, 0.0, 0.1)])
def test_dependence_is_told_from_the_labels(alike, low, high):
    assert low <= Binned(question(400, 5, 3, alike=alike), 8).dependence() <= high


def test_an_overconfident_detector_is_beyond_chance_and_said_to_be_too_extreme():
    found = judge_calibration(question(100, 4, sharpen=4), 10, BOOTSTRAP)
    assert found.null is not None
    assert found.result("ece").low > found.null.high
    assert found.null.p_value < 1e-4
    assert found.leaning > 0
    assert judge_calibration(question(100, 4, sharpen=0.2), 10, BOOTSTRAP).leaning < 0


def test_chance_of_an_error_is_spread_evenly_for_a_calibrated_detector():
    chances = [Binned(question(60, 3, seed), 8).null(BOOTSTRAP).p_value for seed in range(60)]
    assert 0.35 < np.mean(chances) < 0.65
    assert np.mean(np.array(chances) < 0.05) < 0.15


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (Question(np.arange(40) % 2 == 0, np.full(40, 0.5), np.zeros(40, int)), "one recording"),
        (Question(np.zeros(40, bool), np.full(40, 0.5), np.arange(40)), "one answer"),
        (Question(np.arange(9) % 2 == 0, np.full(9, 0.5), np.arange(9)), "needs 20"),
    ],
)
def test_what_cannot_be_told_has_a_reason_and_no_number(asked, reason):
    found = judge_calibration(asked, 10, BOOTSTRAP)
    assert reason in found.reason
    assert found.result("ece").value is None
    assert found.beyond_chance is None
