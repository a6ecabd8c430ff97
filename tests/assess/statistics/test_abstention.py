"""Risk against coverage."""

import numpy as np
import pytest

from pipeline.assess.statistics.abstention import Selective


def selective(confidence, wrong):
    return Selective(np.array(confidence, float), np.array(wrong, bool), np.arange(len(wrong)))


def statistics(confidence, wrong):
    return selective(confidence, wrong).values()


def test_no_order_gains_nothing():
    found = statistics([0.5] * 10, [1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
    assert found["aurc"] == pytest.approx(0.2)
    assert found["gain"] == pytest.approx(0)


def test_the_best_order_has_no_excess_and_the_worst_is_worse_than_none():
    wrong = np.arange(50) >= 40
    best = statistics(np.linspace(1, 0.3, 50), wrong)
    assert best["excess_aurc"] == pytest.approx(0, abs=1e-12)
    assert best["aurc"] == pytest.approx(0.2 + 0.8 * np.log(0.8))
    worst = statistics(np.linspace(0.3, 1, 50), wrong)
    assert worst["gain"] < -0.2


def test_area_is_the_mean_risk_over_coverages():
    rng = np.random.default_rng(0)
    confidence, wrong = rng.random(2000), rng.random(2000) < 0.3
    order = np.argsort(-confidence)
    mean = np.mean(np.cumsum(wrong[order]) / np.arange(1, 2001))
    assert statistics(confidence, wrong)["aurc"] == pytest.approx(mean, abs=1e-3)


def test_weights_count_as_copies():
    rng = np.random.default_rng(1)
    confidence, wrong = rng.random(12).round(1), rng.random(12) < 0.4
    weights = rng.integers(0, 3, 12)
    weighted = selective(confidence, wrong).statistics(weights[None].astype(float))
    copied = statistics(np.repeat(confidence, weights), np.repeat(wrong, weights))
    assert {name: value[0] for name, value in weighted.items()} == pytest.approx(copied)


def test_everything_wrong_and_nothing_wrong_have_no_excess():
    assert statistics([0.9, 0.5], [1, 1])["excess_aurc"] == pytest.approx(0)
    assert statistics([0.9, 0.5], [0, 0])["aurc"] == 0


def test_risk_at_a_coverage_counts_the_surest():
    found = selective([0.9, 0.8, 0.7, 0.6], [0, 0, 1, 1])
    np.testing.assert_allclose(found.risk_at(np.array([0.5, 0.75, 1.0])), [0, 1 / 3, 0.5])


def test_recordings_bring_all_of_their_clips():
    rng = np.random.default_rng(4)
    confidence, wrong = rng.random(30), rng.random(30) < 0.4
    clusters = np.repeat(np.arange(10), 3)
    weights = rng.integers(0, 3, 10)
    found = Selective(confidence, wrong, clusters).statistics(weights[None].astype(float))
    copies = weights[clusters]
    copied = statistics(np.repeat(confidence, copies), np.repeat(wrong, copies))
    assert {name: value[0] for name, value in found.items()} == pytest.approx(copied)
