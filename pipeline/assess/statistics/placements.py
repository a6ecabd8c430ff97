"""AUROCs with the influence of every recording on them, from midranks in O(N log N).

An AUROC is a mean over pairs; what one recording adds to it follows from where its scores lie
among the others, its placements (DeLong, DeLong & Clarke-Pearson, 1988; by midranks: Sun & Xu,
2014; by cluster: Obuchowski, 1997). Resamples of recordings then cost one product of matrices for
any number of AUROCs, where the bootstrap itself would rank all examples for each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import rankdata

from pipeline.assess.statistics.measurement import Measured
from pipeline.numbers.intervals import MIN_RECORDINGS, student_t
from pipeline.numbers.metrics import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class PlacementAuroc:
    """An AUROC, and how it moves with the weight of each recording."""

    auroc: float
    num_units: int
    """Recordings with a part in it, of the answer that has fewer."""
    num_pairs: int
    """Number of pairs of recordings that can be compared without using one twice."""
    influence: FloatArray
    """(C,): with weights w of recordings (1 each in the data) the AUROC is, to first order,
    `auroc + influence @ (w - 1)`; 0 for recordings without a part in it."""

    @property
    def variance(self) -> float:
        """Variance of the AUROC over draws of recordings; DeLong's if each example is one."""
        return float(np.square(self.influence).sum())

    def judged(self, confidence: float) -> Measured:
        """The AUROC with its interval by Student's t, or an exact one where it is 0 or 1."""
        found = _measured(self.auroc, self.variance, self.num_units, confidence)
        if found.interval is None:
            return found.bounded_exactly(self.num_pairs, confidence, "pairs of recordings")
        return replace(found, interval=found.interval.within(0.0, 1.0))

    def beyond(self, other: PlacementAuroc, confidence: float, unit: str = "recording") -> Measured:
        """Measure how far this AUROC lies above another of the same C units."""
        variance = float(np.square(self.influence - other.influence).sum())
        num_units = min(self.num_units, other.num_units)
        return _measured(self.auroc - other.auroc, variance, num_units, confidence, unit)


def _measured(
    value: float, variance: float, num_units: int, confidence: float, unit: str = "recording"
) -> Measured:
    """An estimate that rests on `num_units`, with an interval or the reason why it has none."""
    if num_units < MIN_RECORDINGS or variance == 0:
        reason = (
            f"all examples of one answer are of one {unit}"
            if num_units < MIN_RECORDINGS
            else "too few mistakes to measure the uncertainty"
        )
        return Measured(value, reason=reason)
    return Measured(value, student_t(value, float(np.sqrt(variance)), num_units, confidence))


def place(
    positive: BoolArray,
    score: FloatArray,
    clusters: IntArray,
    num_clusters: int,
    strata: IntArray | None = None,
) -> PlacementAuroc | None:
    """AUROC over the pairs of a positive and a negative, ties counting half.

    Args:
        positive: (N,).
        score: (N,).
        clusters: (N,) recordings, in [0, `num_clusters`).
        num_clusters: C.
        strata: (N,) numbers from 0; only pairs within a stratum count. None: all pairs do.

    Returns:
        None where there is no pair.
    """
    strata = np.zeros(score.size, np.int64) if strata is None else strata
    num_strata = int(strata.max(initial=0)) + 1
    num_positives, num_negatives = (
        np.bincount(strata[side], minlength=num_strata).astype(np.float64)
        for side in (positive, ~positive)
    )
    num_pairs = float(num_positives @ num_negatives)
    if num_pairs == 0:
        return None
    # One ranking serves all strata: those of a stratum lie above all of the stratum before.
    distinct = np.unique(score, return_inverse=True)[1]
    key = strata * (int(distinct.max()) + 1) + distinct
    among_all, among_own = rankdata(key), np.empty(score.size)
    for side in (positive, ~positive):
        among_own[side] = rankdata(key[side])
    others_below = among_all - among_own
    wins = np.where(
        positive,
        others_below - (np.cumsum(num_negatives) - num_negatives)[strata],
        np.cumsum(num_positives)[strata] - others_below,
    )
    auroc = float(wins[positive].sum() / num_pairs)
    others = np.where(positive, num_negatives[strata], num_positives[strata])
    influence, taking_part = np.zeros(num_clusters), []
    for side in (positive, ~positive):
        # Examples of strata without a pair have no part, and no weight in the correction.
        own = side & (others > 0)
        moved = (wins[own] - auroc * others[own]) / num_pairs
        units = np.unique(clusters[own]).size
        taking_part.append(int(units))
        correction = np.sqrt(units / (units - 1)) if units > 1 else 1.0
        influence += correction * np.bincount(clusters[own], moved, num_clusters)
    return PlacementAuroc(
        auroc, min(taking_part), _num_pairs(positive, clusters, strata, num_clusters), influence
    )


def _num_pairs(positive: BoolArray, clusters: IntArray, strata: IntArray, num_clusters: int) -> int:
    num_strata = int(strata.max()) + 1

    def recordings(chosen: BoolArray) -> IntArray:
        kept = np.unique(strata[chosen] * num_clusters + clusters[chosen]) // num_clusters
        return np.bincount(kept, minlength=num_strata)

    either = np.ones(positive.size, bool)
    by_stratum = np.minimum.reduce(
        [recordings(positive), recordings(~positive), recordings(either) // 2]
    )
    return int(min(by_stratum.sum(), np.unique(clusters).size // 2))
