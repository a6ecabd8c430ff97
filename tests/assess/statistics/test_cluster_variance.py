"""Estimates with variances summed over recordings."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from pipeline.assess.statistics import cluster_variance
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.questions import Question
from pipeline.numbers import metrics


def question(num_recordings=60, clips=4, seed=0, skill=1.0):
    """Recordings share half of what moves their scores; ties are common."""
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(num_recordings), clips)
    positive = rng.random(num_recordings)[clusters] < 0.4
    shared = rng.normal(0, 1, num_recordings)[clusters]
    score = skill * positive + shared + rng.normal(0, 1, clusters.size)
    return Question(positive, (score / 10 + 0.5).clip(0, 1).round(2), clusters)


def everything(asked):
    return np.ones(asked.positive.size, bool)


def test_auroc_is_that_of_mann_and_whitney():
    asked = question()
    chosen = np.random.default_rng(1).random(asked.positive.size) < 0.6
    found = cluster_variance.auroc(asked, chosen)
    upper = asked.probability[chosen & asked.positive]
    lower = asked.probability[chosen & ~asked.positive]
    expected = mannwhitneyu(upper, lower).statistic / (upper.size * lower.size)
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert found.influence.sum() == pytest.approx(0, abs=1e-12)


def test_error_is_that_of_resampled_recordings_and_not_of_single_clips():
    asked = question(150, 6)
    ranking = metrics.Ranking(asked.positive, asked.probability)
    draws = [
        metrics.auroc(ranking.counts(weights))
        for weights in Bootstrap(1500, 0.95, 3).weights(asked.clusters)
    ]
    resampled = float(np.concatenate(draws).std())
    found = cluster_variance.auroc(asked, everything(asked))
    assert found.error == pytest.approx(resampled, rel=0.1)
    alone = Question(asked.positive, asked.probability, np.arange(asked.positive.size))
    assert cluster_variance.auroc(alone, everything(alone)).error < 0.75 * found.error


def test_error_of_a_difference_knows_recordings_that_both_sides_share():
    asked = question(200, 6, seed=2)
    own = np.arange(asked.positive.size) % 2 == 0
    first, second = cluster_variance.auroc(asked, own), cluster_variance.auroc(asked, ~own)
    apart = np.hypot(first.error, second.error)
    draws = []
    for weights in Bootstrap(1500, 0.95, 3).weights(asked.clusters):
        values = []
        for side in (own, ~own):
            ranking = metrics.Ranking(asked.positive[side], asked.probability[side])
            values.append(metrics.auroc(ranking.counts(weights[:, side])))
        draws.append(values[0] - values[1])
    assert (first - second).error == pytest.approx(float(np.concatenate(draws).std()), rel=0.1)
    assert (first - second).error < 0.8 * apart


def test_intervals_of_a_share_hold_the_truth_as_often_as_promised():
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        clusters = np.repeat(np.arange(30), 4)
        values = rng.random(120) < rng.beta(3, 7, 30)[clusters]
        asked = Question(values, np.zeros(120), clusters)
        found = cluster_variance.share(values, asked, everything(asked)).share_interval(0.95)
        held += found.low <= 0.3 <= found.high
    assert 180 <= held <= 199


def test_none_of_a_few_recordings_is_no_certainty():
    asked = Question(np.zeros(10, bool), np.zeros(10), np.repeat(np.arange(5), 2))
    found = cluster_variance.share(np.zeros(10, bool), asked, everything(asked))
    assert found.value == 0
    assert found.share_interval(0.95).high == pytest.approx(1 - 0.025 ** (1 / 5))
    some = cluster_variance.share(np.arange(10) == 0, asked, everything(asked))
    assert (found - some).chance_of_less() > 0.1
    assert (found - some).error > some.error


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_chances_are_no_smaller_than_they_should_be(rate):
    small = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        values = rng.random(80) < rate
        asked = Question(values, np.zeros(80), np.arange(80))
        own = np.arange(80) < 12
        sides = [cluster_variance.share(values, asked, side) for side in (own, ~own)]
        small += (sides[0] - sides[1]).chance_of_less() < 0.05
    assert small <= 0.07 * 400


def test_one_answer_alone_has_no_auroc_and_nothing_no_share():
    asked = Question(np.ones(4, bool), np.zeros(4), np.arange(4))
    assert cluster_variance.auroc(asked, everything(asked)) is None
    assert cluster_variance.share(np.ones(4, bool), asked, np.zeros(4, bool)) is None
