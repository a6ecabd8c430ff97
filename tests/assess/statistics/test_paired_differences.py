from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest, norm
from sklearn.metrics import roc_auc_score

from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measurement import as_json
from pipeline.assess.statistics.paired_differences import compare, delong_p
from pipeline.assess.statistics.questions import PARTIAL_AUROC, Question
from pipeline.errors import UserError
from tests.assess import toy

BOOTSTRAP = Bootstrap(num_resamples=200, confidence=0.95, seed=0)
SOURCES = (toy.Source("bodycam", "real", 30, 30), toy.Source("doom", "game", 30, 30))


def by_definition(positive: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """DeLong's test from all pairs, as the paper writes it."""
    aurocs, of_positives, of_negatives = [], [], []
    for score in (one, other):
        wins = np.sign(score[positive][:, None] - score[~positive][None, :]) / 2 + 0.5
        aurocs.append(wins.mean())
        of_positives.append(wins.mean(axis=1))
        of_negatives.append(wins.mean(axis=0))
    covariance = np.cov(of_positives) / positive.sum() + np.cov(of_negatives) / (~positive).sum()
    contrast = np.array([1.0, -1.0])
    z = (contrast @ aurocs) / np.sqrt(contrast @ covariance @ contrast)
    return float(2 * norm.sf(abs(z)))


@pytest.mark.parametrize("decimals", [1, 8])
def test_the_p_value_is_delongs_where_examples_are_recordings(decimals: int) -> None:
    rng = np.random.default_rng(1)
    positive = rng.random(200) < 0.4
    shared = rng.normal(0, 1, 200) + positive
    one, other = (np.round(shared + rng.normal(0, s, 200), decimals) for s in (0.5, 1.5))
    asked = [Question(positive, score, np.arange(200)) for score in (one, other)]
    found = delong_p(*asked)
    assert 1e-6 < found < 0.5
    assert found == pytest.approx(by_definition(positive, one, other), rel=1e-9)


def test_equal_detectors_give_uniform_p_values_also_within_recordings() -> None:
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(60), 5)
    positive = clusters % 2 == 0
    p_values = []
    for _ in range(300):
        shared = rng.normal(0, 1, 60)[clusters] + positive
        asked = [
            Question(positive, shared + 1.5 * rng.normal(0, 1, 60)[clusters], clusters)
            for _ in range(2)
        ]
        p_values.append(delong_p(*asked))
    assert kstest(p_values, "uniform").pvalue > 0.01
    assert np.mean(np.array(p_values) < 0.05) < 0.1


def test_a_better_checkpoint_has_a_positive_difference_with_an_interval_above_zero() -> None:
    weak, strong = (toy.examples(SOURCES, skill=skill, seed=1) for skill in (0.4, 2.0))
    found = compare(weak, strong, BOOTSTRAP)
    shooting = found["shooting"]
    assert shooting.by_metric["auroc"].first == pytest.approx(
        roc_auc_score(weak.is_shooting, weak.score), abs=1e-6
    )
    for name in ("auroc", PARTIAL_AUROC, "average_precision"):
        gained = shooting.by_metric[name].difference
        assert gained.value == pytest.approx(
            shooting.by_metric[name].second - shooting.by_metric[name].first, abs=2e-6
        )
        assert 0 < gained.low < gained.value < gained.high
    assert shooting.by_metric["brier"].difference.high < 0
    assert shooting.delong_p < 1e-3
    assert set(found) == {"shooting", "origin", "discharge"}
    json.dumps(as_json(found), allow_nan=False)


def test_pairing_narrows_the_interval_of_checkpoints_that_err_alike() -> None:
    first = toy.examples(SOURCES, skill=0.8, seed=1)
    rng = np.random.default_rng(0)
    second = replace(first, score=first.score + 0.02 * rng.normal(size=len(first)))
    paired = compare(first, second, BOOTSTRAP)["shooting"].by_metric["auroc"].difference
    other = toy.examples(SOURCES, skill=0.8, seed=2)
    unpaired = compare(first, other, BOOTSTRAP)["shooting"].by_metric["auroc"].difference
    assert 3 * (paired.high - paired.low) < unpaired.high - unpaired.low


def test_a_checkpoint_does_not_differ_from_itself() -> None:
    examples = toy.examples(SOURCES)
    shooting = compare(examples, examples, BOOTSTRAP)["shooting"]
    assert shooting.by_metric["auroc"].difference.value == 0
    assert shooting.delong_p == 1.0


def test_rates_that_the_negatives_cannot_show_have_no_difference() -> None:
    few = toy.examples(toy.SOURCES)
    rate = compare(few, toy.examples(toy.SOURCES, seed=4), BOOTSTRAP)["shooting"].by_metric
    assert rate["tpr_at_fpr_0.001"].first is None
    assert rate["tpr_at_fpr_0.001"].difference.reason.startswith("needs 1,000 negatives")


def test_other_clips_are_a_mistake_that_names_what_differs() -> None:
    examples = toy.examples()
    with pytest.raises(UserError, match="100 examples and the other 90"):
        compare(examples, toy.examples(toy.SOURCES[:3]), BOOTSTRAP)
    renamed = examples.source.copy()
    renamed[3] = "elsewhere"
    with pytest.raises(UserError, match=r"example 3 has the source bodycam .* elsewhere"):
        compare(examples, replace(examples, source=renamed), BOOTSTRAP)
