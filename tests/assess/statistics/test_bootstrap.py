from __future__ import annotations

import numpy as np
import pytest

from pipeline.assess.statistics.bootstrap import Bootstrap

BOOTSTRAP = Bootstrap(num_resamples=400, confidence=0.9, seed=1)


def mean_of(values: np.ndarray):
    return lambda weights: {"mean": weights @ values / weights.sum(axis=1)}


def test_each_recording_brings_all_of_its_examples_or_none() -> None:
    clusters = np.array([0, 0, 0, 1, 2, 2])
    weights = np.concatenate(list(BOOTSTRAP.weights(clusters)))
    assert weights.shape == (400, 6)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 4] == weights[:, 5]).all()
    assert (weights[:, [0, 3, 4]].sum(axis=1) == 3).all()


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(0).normal(0, 1, 900)
    interval = BOOTSTRAP.intervals(mean_of(values), np.arange(900))["mean"]
    half_width = 1.645 * values.std() / 30
    assert interval.low == pytest.approx(values.mean() - half_width, abs=0.015)
    assert interval.high == pytest.approx(values.mean() + half_width, abs=0.015)


def test_copies_within_a_recording_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(0).normal(0, 1, 40)
    once = BOOTSTRAP.intervals(mean_of(values), np.arange(40))["mean"]
    copied = np.repeat(values, 10)
    by_recording = BOOTSTRAP.intervals(mean_of(copied), np.repeat(np.arange(40), 10))["mean"]
    as_if_independent = BOOTSTRAP.intervals(mean_of(copied), np.arange(400))["mean"]
    assert by_recording.low == pytest.approx(once.low)
    assert by_recording.high == pytest.approx(once.high)
    width = by_recording.high - by_recording.low
    assert width > 2.5 * (as_if_independent.high - as_if_independent.low)


def test_resamples_without_a_value_are_left_out_and_counted() -> None:
    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "one": np.where(weights[:, 0] > 0, weights[:, 0], np.nan),
            "none": weights[:, 0] * np.nan,
        }

    intervals = BOOTSTRAP.intervals(statistic, np.arange(3))
    # The first of three recordings is absent from (2/3)^3 of all resamples.
    assert intervals["one"].num_skipped / 400 == pytest.approx((2 / 3) ** 3, abs=0.07)
    assert intervals["one"].low >= 1
    assert intervals["none"] is None


def test_equal_seeds_give_equal_intervals_and_others_do_not() -> None:
    values, clusters = np.random.default_rng(0).normal(0, 1, 50), np.arange(50)
    again = Bootstrap(400, 0.9, 1).intervals(mean_of(values), clusters)
    other = Bootstrap(400, 0.9, 2).intervals(mean_of(values), clusters)
    assert BOOTSTRAP.intervals(mean_of(values), clusters) == again != other


def test_a_band_holds_the_interval_of_each_point_and_no_number_where_none_is_known() -> None:
    values = np.random.default_rng(0).normal(0, 1, (60, 2))

    def columns(weights: np.ndarray) -> np.ndarray:
        means = weights @ values / weights.sum(axis=1, keepdims=True)
        return np.column_stack([means, np.full(len(weights), np.nan)])

    low, high = BOOTSTRAP.band(columns, np.arange(60))
    alone = BOOTSTRAP.intervals(mean_of(values[:, 1]), np.arange(60))["mean"]
    assert (low[1], high[1]) == pytest.approx((alone.low, alone.high))
    assert np.isnan([low[2], high[2]]).all()
