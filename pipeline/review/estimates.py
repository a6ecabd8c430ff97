"""Precision and recall of what is deployed, from a random sample whose probabilities are known.

Each video that was drawn stands for as many as the inverse of its probability (Horvitz and
Thompson, 1952). Within a stratum the share of real shootings has the interval of Korn and Graubard
(1998): that of Clopper and Pearson, which holds where none or few were found, for as many videos as
a simple sample of the same variance would have. Strata are drawn from independently, so that the
limits of sums and of the recall follow from their limits (Zou and Donner, 2008), as those of a
ratio do by the method of Fieller.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import fsum

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import beta

from pipeline.assess.deployment_report import Estimate
from pipeline.numbers.intervals import Interval, tails

Floats = NDArray[np.float64]
_EDGE = 1e-9
FEWEST = 5
"""Fewest videos of which what people decided says more than what was assumed before."""
_NOTHING = Estimate(None, Interval(0.0, 1.0))


@dataclass(frozen=True)
class WeightedStratum:
    """Holds what is known of one stratum.

    Attributes:
        size: videos in it.
        chance: (n,) of those that were drawn and decided, the probability that each is a real
            shooting.
        weight: (n,) the inverse of the probability with which each was drawn.
    """

    size: int
    chance: Floats
    weight: Floats


def share(stratum: WeightedStratum, confidence: float) -> Estimate:
    """The share of real shootings in a stratum; bounds alone where next to nothing was decided.

    Those that were drawn and not decided are taken to be like the others. What people are not sure
    of also told how common shootings are, which leaves as much more to chance as it takes away of
    what is known (Louis, 1982).
    """
    return _share(stratum, confidence, is_learned=True)


def _share(stratum: WeightedStratum, confidence: float, *, is_learned: bool) -> Estimate:
    found = _of_decided(stratum, confidence, is_learned) if len(stratum.chance) else _NOTHING
    return found if len(stratum.chance) >= min(FEWEST, stratum.size) else replace(found, value=None)


def _of_decided(stratum: WeightedStratum, confidence: float, is_learned: bool) -> Estimate:
    chance = stratum.chance
    # Those that were not decided are stood for by the others.
    weight = stratum.weight * stratum.size / stratum.weight.sum()
    value = float(np.average(chance, weights=weight))
    # Whatever a video stands for besides itself is left to chance, and so is a video that nobody
    # is sure of. Queues of a few alerts are drawn whole and others in part, so that it is not the
    # share that was drawn of all of them that counts.
    spread = value * (1 - value)
    others = float((weight * np.maximum(weight - 1, 0)).sum())
    doubt = chance * (1 - chance)
    unsure = float((np.square(weight) * doubt).sum()) / spread if spread > _EDGE else 0.0
    if unsure and is_learned:
        known = 1 - float(np.average(doubt, weights=weight)) / spread
        unsure /= max(known, _EDGE)
    left = others + unsure
    if left <= _EDGE * weight.sum():
        return Estimate(value, Interval(value, value))
    num = weight.sum() ** 2 / left
    found = value * num
    below, above = tails(confidence)
    low = beta.ppf(below, found, num - found + 1) if found > _EDGE else 0.0
    high = beta.ppf(above, found + 1, num - found) if num - found > _EDGE else 1.0
    return Estimate(value, _ends(float(low), float(high)))


def _ends(low: float, high: float) -> Interval:
    """An interval that begins at 0 where it begins at the smallest number that there is."""
    return Interval(low if low > _EDGE else 0.0, high)


def total(strata: list[WeightedStratum], confidence: float) -> Estimate:
    """The number of real shootings in some strata; bounds alone where one of them is not known.

    Where shootings are rare, limits that are exact for a binomial hold more than they say, which
    makes up for how common they are being learned from the same decisions.
    """
    each = [_share(one, confidence, is_learned=False).times(one.size) for one in strata]
    known = [(one.value, one.interval) for one in each if one.value is not None]
    unknown = [one.interval for one in each if one.value is None]
    # Python's own sum rounds otherwise from 3.12 on.
    value = fsum(one for one, _ in known)
    below = np.sqrt(fsum((one - ends.low) ** 2 for one, ends in known))
    above = np.sqrt(fsum((ends.high - one) ** 2 for one, ends in known))
    low = value - below + fsum(ends.low for ends in unknown)
    high = value + above + fsum(ends.high for ends in unknown)
    most = sum(one.size for one in strata)
    return Estimate(None if unknown else value, _ends(float(low), float(high)).within(0, most))


def recall(found: Estimate, missed: Estimate) -> Estimate | None:
    """The share of real shootings that were found, of independent estimates of both numbers.

    None where none is known of at all; bounds alone where one of the numbers is not known yet.
    """
    if found.value is None or missed.value is None:
        least, most = found.interval.low, found.interval.high
        low = least / (least + missed.interval.high) if least > _EDGE else 0.0
        high = most / (most + missed.interval.low) if most > _EDGE else 0.0
        return Estimate(None, Interval(low, max(low, high)))
    both = found.value + missed.value
    if both <= _EDGE:
        return None
    numbers = found.value, found.interval, missed.value, missed.interval
    return Estimate(found.value / both, _ends(_least(*numbers), _most(*numbers)))


def _least(found: float, about: Interval, missed: float, around: Interval) -> float:
    """Return where (1 - r) found - r missed, which falls with r, may be zero for the first time."""

    def lower(r: float) -> float:
        apart = (1 - r) * found - r * missed
        ends = found - about.low, around.high - missed
        return float(apart - np.hypot((1 - r) * ends[0], r * ends[1]))

    return _root(lower)


def _most(found: float, about: Interval, missed: float, around: Interval) -> float:
    def upper(r: float) -> float:
        apart = (1 - r) * found - r * missed
        ends = about.high - found, missed - around.low
        return float(apart + np.hypot((1 - r) * ends[0], r * ends[1]))

    return _root(upper)


def _root(function: object) -> float:
    assert callable(function)
    if function(0.0) <= 0:
        return 0.0
    if function(1.0) >= 0:
        return 1.0
    return float(brentq(function, 0.0, 1.0))
