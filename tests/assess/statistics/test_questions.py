from __future__ import annotations

import numpy as np
import pytest

from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.questions import (
    PARTIAL_AUROC,
    Question,
    judge,
    judge_auroc,
    judge_share,
    tpr_key,
)

BOOTSTRAP = Bootstrap(num_resamples=60, confidence=0.95, seed=0)


def question(num_positive: int, num_negative: int, *, gap: float, clips: int = 1) -> Question:
    """Scores of which positives lie `gap` higher; `clips` examples a recording."""
    rng = np.random.default_rng(0)
    positive = np.repeat([True, False], [num_positive, num_negative])
    score = np.clip(rng.normal(0.3, 0.1, positive.size) + gap * positive, 0, 1)
    return Question(positive, score, np.arange(positive.size) // clips)


@pytest.mark.parametrize(("num_negative", "max_fpr"), [(99, 0.01), (999, 0.001), (999, 0.0001)])
def test_a_rate_that_too_few_negatives_cannot_show_is_withheld(num_negative, max_fpr) -> None:
    found = judge(question(50, num_negative, gap=0.2), BOOTSTRAP, 10)[tpr_key(max_fpr)]
    assert found.value is found.low is found.high is None
    assert found.reason == f"needs {round(1 / max_fpr):,} negatives, has {num_negative}"


@pytest.mark.parametrize(("num_negative", "max_fpr"), [(100, 0.01), (1000, 0.001)])
def test_a_rate_with_just_enough_negatives_is_given_with_its_threshold(num_negative, max_fpr):
    asked = question(50, num_negative, gap=0.2)
    found = judge(asked, BOOTSTRAP, 10)[tpr_key(max_fpr)]
    assert found.low <= found.value <= found.high
    flagged = asked.probability >= found.threshold
    assert flagged[~asked.positive].mean() <= max_fpr
    assert flagged[asked.positive].mean() == pytest.approx(found.value, abs=1e-6)


def test_perfect_detection_keeps_an_interval_that_the_number_of_recordings_allows() -> None:
    found = judge(question(100, 200, gap=0.7, clips=10), BOOTSTRAP, 10)
    rate = found[tpr_key(0.01)]
    assert (rate.value, rate.high) == (1.0, 1.0)
    # Clopper-Pearson for 10 of 10 recordings, not 100 of 100 clips.
    assert rate.low == pytest.approx(0.025 ** (1 / 10), abs=1e-5)
    # Ten pairs of recordings, each a trial that the shooting won.
    assert found["auroc"].low == pytest.approx(0.025 ** (1 / 10), abs=1e-5)
    assert found["auroc"].note == "exact binomial interval over 10 pairs of recordings"
    assert found["average_precision"] == Measured(
        1.0, reason="every resample agrees: too few mistakes to measure the uncertainty"
    )


def test_no_recording_stands_in_two_pairs_behind_a_perfect_auroc() -> None:
    asked = question(30, 30, gap=0.7)
    mixed = Question(asked.positive, asked.probability, np.arange(60) % 6)
    found = judge_auroc(mixed, BOOTSTRAP)
    assert found.value == 1.0
    # Six recordings that hold both answers are three pairs, not six.
    assert found.low == pytest.approx(0.025 ** (1 / 3), abs=1e-5)


@pytest.mark.parametrize(("num_negative", "given"), [(9, False), (10, True)])
def test_the_partial_auroc_needs_a_negative_within_its_limit(num_negative, given) -> None:
    found = judge(question(50, num_negative, gap=0.1), BOOTSTRAP, 5)[PARTIAL_AUROC]
    assert (found.value is not None) == given
    assert (found.reason is None) == given


def test_a_class_of_one_recording_has_no_interval() -> None:
    asked = question(10, 10, gap=0.1, clips=10)
    auroc = judge(asked, BOOTSTRAP, 10)["auroc"]
    assert auroc.value is not None
    assert auroc.low is None
    assert auroc.reason == "all positive examples are of one recording"


def test_one_class_has_calibration_but_no_ranking() -> None:
    found = judge(question(0, 30, gap=0.0), BOOTSTRAP, 10)
    assert found["auroc"].value is None
    assert found["auroc"].reason == "only one class is present"
    assert found["brier"].low <= found["brier"].value <= found["brier"].high


def test_an_interval_always_holds_its_estimate() -> None:
    found = judge(question(60, 300, gap=0.15, clips=5), BOOTSTRAP, 10)
    for name in ("auroc", PARTIAL_AUROC, "average_precision", tpr_key(0.01), "ece", "brier"):
        assert found[name].low <= found[name].value <= found[name].high, name


def test_a_share_of_none_is_bounded_by_the_number_of_recordings() -> None:
    share = judge_share(np.zeros(40, bool), np.arange(40) // 8, BOOTSTRAP)
    assert (share.value, share.low) == (0.0, 0.0)
    assert share.high == pytest.approx(1 - 0.025 ** (1 / 5), abs=1e-5)
    assert judge_share(np.zeros(0, bool), np.zeros(0, int), BOOTSTRAP).value is None


def test_a_rate_over_negatives_of_one_recording_has_no_interval() -> None:
    positive = np.repeat([True, False], [20, 150])
    clusters = np.concatenate([np.arange(20), np.full(150, 20)])
    question = Question(positive, positive.astype(float), clusters)
    result = judge(question, Bootstrap(50, 0.95, 0), 5)["tpr_at_fpr_0.01"]
    assert result.value == 1.0
    assert result.low is None
