"""Curves of one question as arrays, for the DVC plots and for the figures of the report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.questions import Question
from pipeline.numbers import metrics
from pipeline.numbers.metrics import FloatArray, IntArray


@dataclass(frozen=True)
class Reliability:
    """Bins of equal mass: mean probability, share of positives and number of examples, (bins,)."""

    predicted: FloatArray
    observed: FloatArray
    num_examples: IntArray


def receiver_operating(question: Question) -> tuple[FloatArray, FloatArray]:
    """False and true positive rate from (0, 0) to (1, 1), corners only."""
    fp, tp = _corners(question)
    return fp / fp[-1], tp / tp[-1]


def precision_recall(question: Question) -> tuple[FloatArray, FloatArray]:
    """Recall and precision where the curve turns, from recall 0 on."""
    fp, tp = (counts[1:] for counts in _corners(question))
    recall, precision = tp / tp[-1], tp / (tp + fp)
    return np.append(0.0, recall), np.append(precision[0], precision)


def reliability(question: Question, num_bins: int) -> Reliability:
    """Probabilities given against shares of positives, in bins of equal mass."""
    bins = metrics.equal_mass_bins(question.probability, num_bins)
    num_examples = np.bincount(bins)
    return Reliability(
        np.bincount(bins, question.probability) / num_examples,
        np.bincount(bins, question.positive) / num_examples,
        num_examples.astype(np.int64),
    )


def tpr_band(
    question: Question, max_fprs: FloatArray, bootstrap: Bootstrap
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """True positive rate within each of `max_fprs`, and the ends of its pointwise interval."""
    ranking = metrics.Ranking(question.positive, question.probability)

    def found(weights: FloatArray) -> FloatArray:
        counts = ranking.counts(weights)
        return np.stack([metrics.tpr_at_fpr(counts, x) for x in max_fprs], axis=1)

    rates = found(np.ones((1, question.positive.size)))[0]
    low, high = bootstrap.band(found, question.clusters)
    return rates, np.minimum(low, rates), np.maximum(high, rates)


def _corners(question: Question) -> tuple[FloatArray, FloatArray]:
    """False and true positives at each threshold where the curve turns, from (0, 0)."""
    ranking = metrics.Ranking(question.positive, question.probability)
    counts = ranking.counts(np.ones((1, question.positive.size)))
    fp = np.concatenate([[0.0], counts.false_positives[0]])
    tp = np.concatenate([[0.0], counts.true_positives[0]])
    turns = (np.diff(fp, 2) != 0) | (np.diff(tp, 2) != 0)
    keep = np.concatenate([[True], turns, [True]])
    return fp[keep], tp[keep]
