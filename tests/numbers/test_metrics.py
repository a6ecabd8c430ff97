from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu
from sklearn import metrics as reference
from torchmetrics.functional import classification as torchmetrics

from pipeline.numbers import metrics


@pytest.fixture(params=["continuous", "tied"])
def binary(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores and integer weights; `tied` has many equal scores."""
    rng = np.random.default_rng(5)
    positive = rng.random(400) < 0.2
    score = 1 / (1 + np.exp(-(rng.normal(0, 1, 400) + 1.5 * positive - 1)))
    if request.param == "tied":
        score = np.round(score, 1)
    return positive, score, rng.integers(0, 4, 400).astype(float)


def exactly(value: float):
    return pytest.approx(value, rel=0, abs=1e-9)


def test_ranking_metrics_are_those_of_scikit_learn_under_any_weights(binary) -> None:
    positive, score, weights = binary
    ranking = metrics.Ranking(positive, score)
    counts = ranking.counts(np.stack([np.ones(400), weights]))
    for row, sample_weight in enumerate([None, weights]):
        assert metrics.auroc(counts)[row] == exactly(
            reference.roc_auc_score(positive, score, sample_weight=sample_weight)
        )
        assert metrics.average_precision(counts)[row] == exactly(
            reference.average_precision_score(positive, score, sample_weight=sample_weight)
        )
        for max_fpr in (0.001, 0.05, 0.1, 0.5, 0.999):
            assert metrics.partial_auroc(counts, max_fpr)[row] == exactly(
                reference.roc_auc_score(
                    positive, score, sample_weight=sample_weight, max_fpr=max_fpr
                )
            )


@pytest.fixture
def in_float64():
    """torchmetrics counts in torch's default type, whatever the scores are in."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("in_float64")
def test_ranking_metrics_are_those_of_torchmetrics(binary) -> None:
    positive, score, _ = binary
    counts = metrics.Ranking(positive, score).counts(np.ones((1, 400)))
    given = torch.from_numpy(score), torch.from_numpy(positive.astype(np.int64))
    assert metrics.auroc(counts)[0] == exactly(torchmetrics.binary_auroc(*given).item())
    assert metrics.partial_auroc(counts, 0.1)[0] == exactly(
        torchmetrics.binary_auroc(*given, max_fpr=0.1).item()
    )
    assert metrics.average_precision(counts)[0] == exactly(
        torchmetrics.binary_average_precision(*given).item()
    )


def test_the_auroc_is_the_mann_whitney_statistic_of_scipy(binary) -> None:
    positive, score, _ = binary
    counts = metrics.Ranking(positive, score).counts(np.ones((1, 400)))
    wins = mannwhitneyu(score[positive], score[~positive]).statistic
    assert metrics.auroc(counts)[0] == exactly(wins / (positive.sum() * (~positive).sum()))


def test_the_partial_auroc_of_chance_is_a_half_and_of_perfection_one() -> None:
    positive = np.arange(10) < 5
    for score, expected in ((np.full(10, 0.3), 0.5), (positive * 0.5, 1.0)):
        counts = metrics.Ranking(positive, score).counts(np.ones((1, 10)))
        assert metrics.partial_auroc(counts, 0.1)[0] == exactly(expected)


@pytest.mark.parametrize("max_fpr", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_tpr_at_fpr_is_the_best_point_of_the_roc_curve_within_the_limit(binary, max_fpr) -> None:
    positive, score, weights = binary
    counts = metrics.Ranking(positive, score).counts(weights[None])
    fpr, tpr, _ = reference.roc_curve(
        positive, score, sample_weight=weights, drop_intermediate=False
    )
    assert metrics.tpr_at_fpr(counts, max_fpr)[0] == pytest.approx(
        tpr[fpr <= max_fpr + 1e-12].max()
    )


def test_the_threshold_flags_no_more_negatives_than_allowed_and_the_next_would(binary) -> None:
    positive, score, _ = binary
    ranking = metrics.Ranking(positive, score)
    counts = ranking.counts(np.ones((1, 400)))
    threshold = metrics.threshold_at_fpr(ranking, counts, 0.1)
    assert (score[~positive] >= threshold).mean() <= 0.1
    below = score[score < threshold].max()
    assert (score[~positive] >= below).mean() > 0.1


def test_no_threshold_exists_where_all_scores_are_equal() -> None:
    positive = np.array([True, False, False])
    ranking = metrics.Ranking(positive, np.full(3, 0.4))
    counts = ranking.counts(np.ones((1, 3)))
    assert metrics.threshold_at_fpr(ranking, counts, 0.01) is None
    assert metrics.tpr_at_fpr(counts, 0.01)[0] == 0.0
    assert metrics.auroc(counts)[0] == 0.5


def test_an_exact_share_of_negatives_is_within_the_limit() -> None:
    positive = np.array([False] * 1000 + [True])
    score = np.concatenate([np.linspace(0, 0.9, 990), np.full(10, 0.99), [0.95]])
    counts = metrics.Ranking(positive, score).counts(np.ones((1, 1001)))
    assert metrics.tpr_at_fpr(counts, 0.01)[0] == 1.0


def test_one_class_gives_nan_and_no_warning() -> None:
    score = np.array([0.1, 0.7])
    for positive in (np.array([True, True]), np.array([False, False])):
        counts = metrics.Ranking(positive, score).counts(np.ones((1, 2)))
        assert np.isnan(metrics.auroc(counts)[0])
        assert np.isnan(metrics.partial_auroc(counts, 0.1)[0])
        assert np.isnan(metrics.average_precision(counts)[0])
        assert np.isnan(metrics.tpr_at_fpr(counts, 0.5)[0])


def test_brier_is_that_of_scikit_learn(binary) -> None:
    positive, score, weights = binary
    assert metrics.brier(positive, score, weights[None])[0] == exactly(
        reference.brier_score_loss(positive, score, sample_weight=weights)
    )


def test_calibration_error_by_hand() -> None:
    score = np.array([0.1, 0.2, 0.8, 0.9])
    positive = np.array([False, True, True, True])
    # Two bins of two: |0.15 - 0.5| and |0.85 - 1|, half the weight each.
    error = metrics.calibration_error(positive, score, np.ones((1, 4)), num_bins=2)
    assert error[0] == pytest.approx((0.35 + 0.15) / 2)


def test_bins_hold_equal_mass_and_never_divide_equal_scores() -> None:
    rng = np.random.default_rng(0)
    assert np.bincount(metrics.equal_mass_bins(rng.random(1000), 10)).tolist() == [100] * 10
    tied = np.repeat([0.1, 0.2, 0.9], [50, 3, 1])
    bins = metrics.equal_mass_bins(tied, 10)
    assert [np.unique(bins[tied == value]).size for value in (0.1, 0.2, 0.9)] == [1, 1, 1]


def test_a_perfectly_calibrated_score_has_a_small_error() -> None:
    rng = np.random.default_rng(0)
    score = rng.random(20_000)
    error = metrics.calibration_error(rng.random(20_000) < score, score, np.ones((1, 20_000)), 10)
    assert error[0] < 0.02


def test_confusion_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    actual, predicted = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    expected = reference.confusion_matrix(actual, predicted, labels=range(4))
    assert metrics.confusion(actual, predicted, 4).tolist() == expected.tolist()


@pytest.mark.parametrize(("num_negatives", "num_above"), [(99, 0), (100, 1), (1000, 10)])
def test_a_hundredth_of_negatives_at_most_exceed_their_score(
    num_negatives: int, num_above: int
) -> None:
    negatives = np.random.default_rng(0).permutation(num_negatives) / num_negatives
    limit = metrics.score_at_fpr(negatives, 0.01)
    assert limit is not None
    assert (negatives > limit).sum() == num_above
    assert (negatives >= limit).sum() == num_above + 1
    assert metrics.score_at_fpr(np.zeros(0), 0.01) is None
