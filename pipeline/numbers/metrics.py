"""Metrics of one yes/no question under many weightings at once, and the confusion matrix.

A weighting says how often each example counts: ones give the estimate itself, the counts of a
bootstrap resample give one replicate. `R` is the number of weightings, `N` of examples and `U` of
distinct scores. Under ones the values are those of scikit-learn's functions of the same name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
# Keeps 10 of 1,000 negatives within 1 % whatever 0.01 * 1,000 rounds to.
_SLACK = 1e-9


@dataclass(frozen=True)
class Counts:
    """Positives and negatives at or above each threshold, highest threshold first.

    `true_positives` and `false_positives` are (R, U) and never decrease along U.
    """

    true_positives: FloatArray
    false_positives: FloatArray

    @property
    def num_positives(self) -> FloatArray:
        """(R,) weight of all positives."""
        return self.true_positives[:, -1]

    @property
    def num_negatives(self) -> FloatArray:
        """(R,) weight of all negatives."""
        return self.false_positives[:, -1]


class Ranking:
    """Examples sorted by score once, so that each weighting costs one cumulative sum.

    Equal scores share a threshold: an alert cannot tell them apart.
    """

    def __init__(self, positive: BoolArray, score: FloatArray) -> None:
        assert positive.shape == score.shape and score.ndim == 1 and score.size > 0
        assert np.isfinite(score).all()
        self._order = np.argsort(-score, kind="stable")
        self._positive = positive[self._order]
        ordered = score[self._order]
        self._last_of_tie = np.append(np.flatnonzero(np.diff(ordered)), ordered.size - 1)
        self.thresholds: FloatArray = ordered[self._last_of_tie]

    def counts(self, weights: FloatArray) -> Counts:
        """Count positives and negatives above each threshold; `weights` is (R, N)."""
        ordered = weights[:, self._order]
        above = np.cumsum(ordered, axis=1)[:, self._last_of_tie]
        hits = np.cumsum(ordered * self._positive, axis=1)[:, self._last_of_tie]
        return Counts(hits, above - hits)


def auroc(counts: Counts) -> FloatArray:
    """(R,) probability that a positive outscores a negative, ties counting half.

    NaN where a weighting holds one class only.
    """
    steps = np.diff(counts.false_positives, axis=1, prepend=0.0)
    heights = counts.true_positives - np.diff(counts.true_positives, axis=1, prepend=0.0) / 2
    return _ratio((steps * heights).sum(axis=1), counts.num_positives * counts.num_negatives)


def average_precision(counts: Counts) -> FloatArray:
    """(R,) precision averaged over the recall gained, without interpolation.

    NaN where a weighting holds one class only: precision without negatives says nothing.
    """
    flagged = counts.true_positives + counts.false_positives
    precision = np.divide(
        counts.true_positives, flagged, out=np.zeros_like(flagged), where=flagged > 0
    )
    gained = np.diff(counts.true_positives, axis=1, prepend=0.0)
    total = np.where(counts.num_negatives > 0, counts.num_positives, 0.0)
    return _ratio((precision * gained).sum(axis=1), total)


def partial_auroc(counts: Counts, max_fpr: float) -> FloatArray:
    """(R,) area under the ROC curve up to `max_fpr`, scaled so that chance is 0.5 and 1 is perfect.

    McClish, "Analyzing a portion of the ROC curve", 1989. Between two thresholds the curve is a
    straight line, cut at `max_fpr`. NaN where a weighting holds one class only.
    """
    assert 0 < max_fpr < 1
    total = np.where(counts.num_positives > 0, counts.num_negatives, 0.0)
    allowed = max_fpr * total
    reached = (counts.false_positives < allowed[:, None]).sum(axis=1).max()
    # What lies beyond the limit in every weighting adds no area.
    found, alarms = (
        np.pad(side[:, : reached + 1], ((0, 0), (1, 0)))
        for side in (counts.true_positives, counts.false_positives)
    )
    steps = np.diff(alarms, axis=1)
    kept = np.diff(np.minimum(alarms, allowed[:, None]), axis=1)
    share = np.divide(kept, steps, out=np.zeros_like(steps), where=steps > 0)
    heights = found[:, :-1] + np.diff(found, axis=1) * share / 2
    area = _ratio((kept * heights).sum(axis=1), total * counts.num_positives)
    least, most = max_fpr**2 / 2, max_fpr
    return 0.5 * (1 + (area - least) / (most - least))


def tpr_at_fpr(counts: Counts, max_fpr: float) -> FloatArray:
    """(R,) largest share of positives found while at most `max_fpr` of negatives are flagged.

    A step function: no interpolation to a threshold that no score has. NaN for one class only.
    """
    found, _ = _strictest_threshold(counts, max_fpr)
    total = np.where(counts.num_negatives > 0, counts.num_positives, 0.0)
    return _ratio(found, total)


def threshold_at_fpr(ranking: Ranking, counts: Counts, max_fpr: float) -> float | None:
    """The score to alert at so that at most `max_fpr` of negatives are flagged.

    Taken from the first weighting; None where even the highest score flags too many.
    """
    _, index = _strictest_threshold(counts, max_fpr)
    return None if index[0] < 0 else float(ranking.thresholds[index[0]])


def score_at_fpr(negatives: FloatArray, max_fpr: float) -> float | None:
    """The score of negatives (N,) that at most `max_fpr` of them exceed; None of none.

    A clip counts as flagged above it, whatever scores positives have, while `threshold_at_fpr` is
    a score that some example has and at which it is flagged already.
    """
    if not negatives.size:
        return None
    return float(np.sort(negatives)[::-1][int(max_fpr * negatives.size + _SLACK)])


def brier(positive: BoolArray, score: FloatArray, weights: FloatArray) -> FloatArray:
    """(R,) mean squared distance between probability and outcome; 0 is perfect (Brier, 1950)."""
    return _ratio(weights @ np.square(score - positive), weights.sum(axis=1))


def equal_mass_bins(score: FloatArray, num_bins: int) -> IntArray:
    """(N,) bin of each score, in bins that hold equally many examples.

    Equal scores share a bin, so there may be fewer than `num_bins` of them.
    """
    upper_ends = -(-np.arange(1, num_bins) * score.size // num_bins) - 1
    edges = np.unique(np.sort(score)[upper_ends])
    return np.unique(np.searchsorted(edges, score, side="left"), return_inverse=True)[1].astype(
        np.int64
    )


def calibration_error(
    positive: BoolArray, score: FloatArray, weights: FloatArray, num_bins: int
) -> FloatArray:
    """(R,) expected calibration error over bins of equal mass.

    |mean score - share of positives| averaged over bins by their weight (Naeini et al., 2015; equal
    mass after Nixon et al., 2019). The bins are those of the unweighted scores, so that resamples
    are compared on the same bins.
    """
    bins = equal_mass_bins(score, num_bins)
    member = bins[:, None] == np.arange(bins.max() + 1)[None, :]
    excess = (weights * (score - positive)) @ member
    return _ratio(np.abs(excess).sum(axis=1), weights.sum(axis=1))


def confusion(actual: IntArray, predicted: IntArray, num_classes: int) -> IntArray:
    """(num_classes, num_classes) counts, rows actual, columns predicted."""
    table = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(table, (actual, predicted), 1)
    return table


def _strictest_threshold(counts: Counts, max_fpr: float) -> tuple[FloatArray, IntArray]:
    allowed = max_fpr * counts.num_negatives + _SLACK
    index = (counts.false_positives <= allowed[:, None]).sum(axis=1) - 1
    found = np.take_along_axis(counts.true_positives, np.maximum(index, 0)[:, None], axis=1)[:, 0]
    return np.where(index < 0, 0.0, found), index


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
