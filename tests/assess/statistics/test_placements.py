from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.placements import place
from pipeline.numbers.metrics import Ranking, auroc


@pytest.fixture
def scored() -> tuple[np.ndarray, np.ndarray]:
    """300 labels and scores with ties."""
    rng = np.random.default_rng(2)
    positive = rng.random(300) < 0.3
    return positive, np.round(rng.normal(0, 1, 300) + positive, 1)


def test_the_auroc_is_that_of_scikit_learn_with_ties(scored) -> None:
    positive, score = scored
    found = place(positive, score, np.arange(300), 300)
    assert found.auroc == pytest.approx(roc_auc_score(positive, score), abs=1e-12)


def test_the_variance_of_single_examples_is_delongs_own_definition(scored) -> None:
    positive, score = scored
    wins = np.sign(score[positive][:, None] - score[~positive][None, :]) / 2 + 0.5
    expected = (
        wins.mean(axis=1).var(ddof=1) / positive.sum()
        + wins.mean(axis=0).var(ddof=1) / (~positive).sum()
    )
    found = place(positive, score, np.arange(300), 300)
    assert found.variance == pytest.approx(expected, rel=1e-12)


def test_strata_count_only_the_pairs_within_them(scored) -> None:
    positive, score = scored
    strata = np.random.default_rng(0).integers(0, 5, 300)
    strata[strata == 3] = 4  # A stratum without an example,
    positive = positive | (strata == 2)  # and one without a negative.
    wins = pairs = 0.0
    for stratum in range(5):
        own = strata == stratum
        both = (score[own & positive][:, None], score[own & ~positive][None, :])
        wins += (np.sign(both[0] - both[1]) / 2 + 0.5).sum()
        pairs += both[0].size * both[1].size
    found = place(positive, score, np.arange(300), 300, strata)
    assert found.auroc == pytest.approx(wins / pairs, abs=1e-12)
    assert not found.influence[strata == 2].any()


def test_the_influence_is_the_derivative_by_the_weight_of_a_recording(scored) -> None:
    positive, score = scored
    clusters = np.arange(300) // 5
    found = place(positive, score, clusters, 60)
    step = 1e-6
    weights = np.where(clusters == 7, 1 + step, 1.0)[None]
    moved = auroc(Ranking(positive, score).counts(weights))[0]
    # The correction for few recordings is at most sqrt(60 / 59) here.
    assert (moved - found.auroc) / step == pytest.approx(found.influence[7], rel=0.02)


def test_the_deviation_is_that_of_the_bootstrap_by_recording() -> None:
    rng = np.random.default_rng(4)
    clusters = np.repeat(np.arange(150), 4)
    positive = clusters % 3 == 0
    score = rng.normal(0, 1, 600) + 2 * rng.normal(0, 1, 150)[clusters] + positive
    found = place(positive, score, clusters, 150)
    ranking = Ranking(positive, score)
    resampled = np.concatenate(
        [auroc(ranking.counts(w)) for w in Bootstrap(800, 0.9, 0).weights(clusters)]
    )
    assert np.sqrt(found.variance) == pytest.approx(resampled.std(), rel=0.08)
    alone = place(positive, score, np.arange(600), 600)
    assert found.variance > 2 * alone.variance


def test_without_a_pair_there_is_no_auroc() -> None:
    clusters = np.arange(4)
    assert place(np.ones(4, bool), np.arange(4.0), clusters, 4) is None
    apart = np.array([0, 0, 1, 1])
    assert place(apart == 0, np.arange(4.0), clusters, 4, strata=apart) is None
