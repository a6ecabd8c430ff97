"""Precision and recall of what is deployed, from a random sample whose probabilities are known.

Each video that was drawn stands for as many as the inverse of its probability (Horvitz and
Thompson, 1952). Within a stratum the share of real shootings has the interval of Korn and Graubard
(1998): that of Clopper and Pearson, which holds where none or few were found, for as many videos as
a simple sample of the same variance would have. Strata are drawn from independently, so that the
limits of sums and of the recall follow from their limits (Zou and Donner, 2008), as those of a
ratio do by the method of Fieller.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import beta

from pipeline.numbers.intervals import Interval, tails

Floats = NDArray[np.float64]
_EDGE = 1e-9


@dataclass(frozen=True)
class Estimate:
    """A number with its interval."""

    value: float
    interval: Interval

    def times(self, factor: float) -> Estimate:
        """The same of so many."""
        ends = factor * self.interval.low, factor * self.interval.high
        return Estimate(factor * self.value, Interval(*ends))


@dataclass(frozen=True)
class Stratum:
    """What is known of one stratum.

    Attributes:
        size: videos in it.
        chance: (n,) of those that were drawn and decided, the probability that each is a real
            shooting.
        weight: (n,) the inverse of the probability with which each was drawn.
    """

    size: int
    chance: Floats
    weight: Floats


def share(stratum: Stratum, confidence: float) -> Estimate:
    """The share of real shootings in a stratum; anything from 0 to 1 where nothing was decided.

    Those that were drawn and not decided are taken to be like the others.
    """
    if not len(stratum.chance):
        return Estimate(0.5, Interval(0.0, 1.0))
    weight, chance = stratum.weight, stratum.chance
    value = float(np.average(chance, weights=weight))
    drawn = min(1.0, len(weight) / stratum.size)
    # What all are drawn of is left to chance as far as nobody is sure of those.
    spread = value * (1 - value)
    unsure = float(np.average(chance * (1 - chance), weights=weight))
    left = 1 - drawn + drawn * (unsure / spread if spread > _EDGE else 0.0)
    if left <= _EDGE:
        return Estimate(value, Interval(value, value))
    num = weight.sum() ** 2 / np.square(weight).sum() / left
    found = value * num
    below, above = tails(confidence)
    low = beta.ppf(below, found, num - found + 1) if found > _EDGE else 0.0
    high = beta.ppf(above, found + 1, num - found) if num - found > _EDGE else 1.0
    return Estimate(value, Interval(float(low), float(high)))


def total(strata: list[Stratum], confidence: float) -> Estimate:
    """The number of real shootings in some strata."""
    each = [share(one, confidence).times(one.size) for one in strata]
    value = sum(one.value for one in each)
    below = np.sqrt(sum((one.value - one.interval.low) ** 2 for one in each))
    above = np.sqrt(sum((one.interval.high - one.value) ** 2 for one in each))
    most = sum(one.size for one in strata)
    return Estimate(value, Interval(value - below, value + above).within(0, most))


def recall(found: Estimate, missed: Estimate) -> Estimate | None:
    """The share of real shootings that were found, of independent estimates of both numbers.

    None where none is known of at all.
    """
    both = found.value + missed.value
    if both <= _EDGE:
        return None
    return Estimate(found.value / both, Interval(_least(found, missed), _most(found, missed)))


def _least(found: Estimate, missed: Estimate) -> float:
    """Where (1 - r) found - r missed, which falls with r, may be zero for the first time."""

    def lower(r: float) -> float:
        apart = (1 - r) * found.value - r * missed.value
        ends = found.value - found.interval.low, missed.interval.high - missed.value
        return float(apart - np.hypot((1 - r) * ends[0], r * ends[1]))

    return _root(lower)


def _most(found: Estimate, missed: Estimate) -> float:
    def upper(r: float) -> float:
        apart = (1 - r) * found.value - r * missed.value
        ends = found.interval.high - found.value, missed.value - missed.interval.low
        return float(apart + np.hypot((1 - r) * ends[0], r * ends[1]))

    return _root(upper)


def _root(function: object) -> float:
    assert callable(function)
    if function(0.0) <= 0:
        return 0.0
    if function(1.0) >= 0:
        return 1.0
    return float(brentq(function, 0.0, 1.0))
