"""Estimators of intervals, each from what an estimate is known by.

Resamples of recordings give percentiles, a variance over recordings gives Student's t, and counts
give exact intervals. `measured` says when an interval means anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import binomtest, chi2
from scipy.stats import t as student

from pipeline.numbers.metrics import FloatArray

MIN_RECORDINGS = 2
"""An interval over recordings needs so many: from one, nothing is known of how they differ."""


@dataclass(frozen=True)
class Interval:
    """The ends of an interval; `num_skipped` resamples had no value (one class only)."""

    low: float
    high: float
    num_skipped: int = 0

    def around(self, value: float) -> Interval:
        """Return this interval, widened to hold the estimate itself.

        Resampling inflates distances such as a calibration error, so that percentiles can miss it.
        """
        return Interval(min(self.low, value), max(self.high, value), self.num_skipped)

    def within(self, least: float, most: float) -> Interval:
        """Return this interval, cut to what is possible."""
        low, high = (min(max(end, least), most) for end in (self.low, self.high))
        return Interval(low, high, self.num_skipped)


def tails(confidence: float) -> tuple[float, float]:
    """The two quantiles that leave equally much on either side."""
    tail = (1 - confidence) / 2
    return tail, 1 - tail


def percentiles(replicates: FloatArray, confidence: float) -> Interval | None:
    """The percentile interval of replicates (R,), of which NaN are skipped; None if all are NaN."""
    defined = replicates[~np.isnan(replicates)]
    if defined.size == 0:
        return None
    low, high = np.quantile(defined, tails(confidence))
    return Interval(float(low), float(high), replicates.size - defined.size)


def reflected_percentiles(value: float, replicates: FloatArray, confidence: float) -> Interval:
    """The percentile interval of replicates (R,) and its reflection, whichever reaches further.

    Resampling inflates a mean of distances, so that percentiles alone would lie too high for a
    floor and too low for a margin; reflected they err to the other side (Davison & Hinkley, 1997,
    section 5.2).
    """
    low, high = np.quantile(replicates, tails(confidence))
    return Interval(float(min(low, 2 * value - high)), float(max(high, 2 * value - low)))


def student_t(value: float, error: float, num_units: int, confidence: float) -> Interval:
    """Student's t for an estimate with a standard error that rests on two units or more."""
    reach = _reach(error, num_units, confidence)
    return Interval(float(value - reach), float(value + reach))


def student_t_of_logit(value: float, error: float, num_units: int, confidence: float) -> Interval:
    """Student's t on the logit scale, for a share in (0, 1); it stays within 0 and 1."""
    odds = np.log(value / (1 - value))
    reach = _reach(error, num_units, confidence) / (value * (1 - value))
    low, high = expit([odds - reach, odds + reach])
    return Interval(float(low), float(high))


def exact_of_all_or_none(share: float, num_trials: int, confidence: float) -> Interval:
    """The exact binomial interval where all trials went one way (Clopper and Pearson, 1934).

    Args:
        share: 0 or 1, which no resample can vary.
        num_trials: independent ones, such as recordings.
        confidence: of the interval.
    """
    assert share in (0.0, 1.0)
    exact = binomtest(round(share) * num_trials, num_trials).proportion_ci(confidence)
    return Interval(float(exact.low), float(exact.high))


def exact_of_count(num_events: int, confidence: float) -> Interval:
    """Two-sided exact bounds of the mean of a Poisson count (Garwood, 1936)."""
    below, above = tails(confidence)
    low = chi2.ppf(below, 2 * num_events) / 2 if num_events else 0.0
    return Interval(float(low), float(chi2.ppf(above, 2 * num_events + 2) / 2))


def _reach(error: float, num_units: int, confidence: float) -> float:
    assert num_units >= MIN_RECORDINGS
    return float(student.ppf((1 + confidence) / 2, num_units - 1)) * error
