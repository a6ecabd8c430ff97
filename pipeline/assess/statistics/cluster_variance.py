"""Estimates whose variance is summed over recordings in closed form, and their differences.

Where many subsets are compared, resampling each of them would take minutes. An estimate is written
as a sum of what every recording adds to it; recordings are independent, so the sum of squares is
its variance, also of a difference between two sets of clips that share recordings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t as student

from pipeline.assess.statistics.placements import place
from pipeline.assess.statistics.questions import Question
from pipeline.numbers.intervals import (
    MIN_RECORDINGS,
    Interval,
    exact_of_all_or_none,
    student_t,
    student_t_of_logit,
)
from pipeline.numbers.metrics import BoolArray, FloatArray


@dataclass(frozen=True)
class ClusteredEstimate:
    """A share or an AUROC, or a difference of two."""

    value: float
    influence: FloatArray
    """(C,): what each recording adds to the error; 0 for those that hold no example."""
    num_recordings: int
    """Number of recordings with the rarer answer, which the certainty rests on."""
    hidden: float = 0.0
    """Variance that recordings which all agree cannot show."""

    @property
    def error(self) -> float:
        """Standard error."""
        return float(np.sqrt(np.square(self.influence).sum() + self.hidden))

    def __sub__(self, other: ClusteredEstimate) -> ClusteredEstimate:
        return ClusteredEstimate(
            self.value - other.value,
            self.influence - other.influence,
            min(self.num_recordings, other.num_recordings),
            self.hidden + other.hidden,
        )

    def __neg__(self) -> ClusteredEstimate:
        return replace(self, value=-self.value, influence=-self.influence)

    def interval(self, confidence: float) -> Interval:
        """Interval of a difference that rests on two recordings or more."""
        found = student_t(self.value, self.error, self.num_recordings, confidence)
        return found.within(-1.0, 1.0)

    def share_interval(self, confidence: float) -> Interval | None:
        """Interval within 0 and 1, for a share or an AUROC; None for fewer than two recordings.

        Of none or all it is the exact one, a recording being one trial.
        """
        if self.num_recordings < MIN_RECORDINGS:
            return None
        if not 0 < self.value < 1:
            return exact_of_all_or_none(self.value, self.num_recordings, confidence)
        return student_t_of_logit(self.value, self.error, self.num_recordings, confidence)

    def chance_of_less(self) -> float:
        """Return the one-sided chance of a difference as far below 0, were the truth 0."""
        assert self.num_recordings >= MIN_RECORDINGS
        if self.error == 0:
            return 1.0
        return float(student.cdf(self.value / self.error, self.num_recordings - 1))


def auroc(question: Question, chosen: BoolArray) -> ClusteredEstimate | None:
    """AUROC among `chosen` (N,) examples, ties counting half; None where an answer is missing."""
    answers = question.positive[chosen], question.probability[chosen], question.clusters[chosen]
    placed = place(*answers, int(question.clusters.max()) + 1)
    if placed is None:
        return None
    return _estimate(placed.auroc, placed.influence, placed.num_units)


def share(values: BoolArray, question: Question, chosen: BoolArray) -> ClusteredEstimate | None:
    """Share of true `values` (N,) among `chosen` examples; None where nothing is chosen."""
    if not chosen.any():
        return None
    value = float(values[chosen].mean())
    terms = (values[chosen] - value) / int(chosen.sum())
    influence = np.bincount(question.clusters[chosen], terms, int(question.clusters.max()) + 1)
    num_recordings = np.unique(question.clusters[chosen]).size
    # The share was fitted to the same recordings.
    several = np.sqrt(num_recordings / max(1, num_recordings - 1))
    return _estimate(value, several * influence.astype(np.float64), num_recordings)


def _estimate(value: float, influence: FloatArray, num_recordings: int) -> ClusteredEstimate:
    hidden = 0.0
    if not 0 < value < 1:
        # As if one recording more had gone either way (Laplace's rule of succession).
        odd_one = 1 / (num_recordings + 2)
        hidden = odd_one * (1 - odd_one) / num_recordings
    return ClusteredEstimate(value, influence, num_recordings, hidden)
