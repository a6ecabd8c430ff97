from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm, poisson

from pipeline.numbers import intervals
from pipeline.numbers.intervals import Interval


def test_percentiles_skip_and_count_what_has_no_value() -> None:
    values = np.append(np.arange(101.0), [np.nan, np.nan])
    assert intervals.percentiles(values, 0.5) == Interval(25.0, 75.0, 2)
    assert intervals.percentiles(np.full(3, np.nan), 0.9) is None


def test_reflection_reaches_as_far_on_the_other_side() -> None:
    replicates = np.arange(101.0)
    assert intervals.reflected_percentiles(50.0, replicates, 0.5) == Interval(25.0, 75.0)
    assert intervals.reflected_percentiles(20.0, replicates, 0.5) == Interval(-35.0, 75.0)


def test_an_interval_widens_to_its_estimate_and_keeps_to_what_is_possible() -> None:
    assert Interval(0.2, 0.4, 3).around(0.1) == Interval(0.1, 0.4, 3)
    assert Interval(0.2, 0.4).around(0.3) == Interval(0.2, 0.4)
    assert Interval(-0.2, 1.4, 3).within(0.0, 1.0) == Interval(0.0, 1.0, 3)


def test_students_t_is_normal_for_many_units_and_wider_for_few() -> None:
    many, few = (intervals.student_t(0.5, 0.1, units, 0.95) for units in (100_000, 3))
    assert many.high == pytest.approx(0.5 + 0.1 * norm.ppf(0.975), abs=1e-4)
    assert 0.5 - few.low == pytest.approx(0.1 * 4.302653, abs=1e-6)
    with pytest.raises(AssertionError):
        intervals.student_t(0.5, 0.1, 1, 0.95)


def test_on_the_logit_scale_a_share_stays_within_its_bounds() -> None:
    plain = intervals.student_t(0.95, 0.05, 5, 0.95)
    found = intervals.student_t_of_logit(0.95, 0.05, 5, 0.95)
    assert plain.high > 1
    assert 0 < found.low < 0.95 < found.high < 1
    other = intervals.student_t_of_logit(0.05, 0.05, 5, 0.95)
    assert other.low == pytest.approx(1 - found.high)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_exact_interval_of_all_or_none_leaves_half_of_the_rest(share: float) -> None:
    found = intervals.exact_of_all_or_none(share, 8, 0.9)
    end = found.low if share else found.high
    assert binom.pmf(8 * share, 8, end) == pytest.approx(0.05)
    with pytest.raises(AssertionError):
        intervals.exact_of_all_or_none(0.5, 8, 0.9)


@pytest.mark.parametrize("num_events", [0, 1, 7])
def test_exact_bounds_of_a_count_leave_half_of_the_rest_on_either_side(num_events: int) -> None:
    found = intervals.exact_of_count(num_events, 0.9)
    assert poisson.cdf(num_events, found.high) == pytest.approx(0.05)
    assert num_events == 0 or poisson.sf(num_events - 1, found.low) == pytest.approx(0.05)
