"""AUROCs with the influence of every recording on them, from midranks in O(N log N).

An AUROC is a mean over pairs; what one recording adds to it follows from where its scores lie
among the others, its placements (DeLong, DeLong & Clarke-Pearson, 1988; by midranks: Sun & Xu,
2014; by cluster: Obuchowski, 1997). Resamples of recordings then cost one product of matrices for
any number of AUROCs, where the bootstrap itself would rank all examples for each of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from pipeline.assess.metrics import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Placed:
    """One AUROC, and how it moves with the weight of each recording."""

    auroc: float
    influence: FloatArray
    """(C,): with weights w of recordings (1 each in the data) the AUROC is, to first order,
    `auroc + influence @ (w - 1)`; 0 for recordings without a part in it."""

    @property
    def variance(self) -> float:
        """Of the AUROC over draws of recordings; DeLong's where every example is a recording."""
        return float(np.square(self.influence).sum())


def place(
    positive: BoolArray,
    score: FloatArray,
    clusters: IntArray,
    num_clusters: int,
    strata: IntArray | None = None,
) -> Placed | None:
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
    influence = np.zeros(num_clusters)
    for side in (positive, ~positive):
        # Examples of strata without a pair have no part, and no weight in the correction.
        own = side & (others > 0)
        moved = (wins[own] - auroc * others[own]) / num_pairs
        taking_part = np.unique(clusters[own]).size
        correction = np.sqrt(taking_part / (taking_part - 1)) if taking_part > 1 else 1.0
        influence += correction * np.bincount(clusters[own], moved, num_clusters)
    return Placed(auroc, influence)
