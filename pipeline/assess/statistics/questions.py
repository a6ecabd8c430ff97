"""Judges one yes/no question: every metric with its interval, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from pipeline.assess.statistics import metrics
from pipeline.assess.statistics.bootstrap import Bootstrap, Interval
from pipeline.assess.statistics.metrics import BoolArray, FloatArray, IntArray

FALSE_POSITIVE_RATES = (0.01, 0.001, 0.0001)
PARTIAL_MAX_FPR = 0.1
"""The partial AUROC ends here: lower, it would rest on a handful of the negatives."""
PARTIAL_AUROC = f"partial_auroc_{PARTIAL_MAX_FPR:g}"
MIN_RECORDINGS = 2
CHANCE = 0.5
WORTH_HAVING = 0.6
"""An AUROC below this is of no use to a reviewer, however certain it is."""
_DECIMALS = 6


def tpr_key(max_fpr: float) -> str:
    """Name of the metric "true positive rate at `max_fpr`" in `metrics.json`."""
    return f"tpr_at_fpr_{max_fpr:g}"


_MAX_FPRS = {PARTIAL_AUROC: PARTIAL_MAX_FPR, **{tpr_key(x): x for x in FALSE_POSITIVE_RATES}}


@dataclass(frozen=True)
class Question:
    """One yes/no question about examples, and the probability of a yes."""

    positive: BoolArray
    probability: FloatArray
    clusters: IntArray

    def among(self, chosen: BoolArray) -> Question:
        """The same question about some of the examples."""
        clusters = np.unique(self.clusters[chosen], return_inverse=True)[1].astype(np.int64)
        return Question(self.positive[chosen], self.probability[chosen], clusters)

    def num_recordings(self, answer: bool) -> int:
        """Recordings that hold an example with this answer."""
        return int(np.unique(self.clusters[self.positive == answer]).size)


def judge(question: Question, bootstrap: Bootstrap, num_bins: int) -> dict[str, Any]:
    """Every metric of one question, each with its interval or the reason why there is none."""
    ranking = metrics.Ranking(question.positive, question.probability)

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        return {
            **ranked(ranking.counts(weights)),
            "ece": metrics.calibration_error(
                question.positive, question.probability, weights, num_bins
            ),
            "brier": metrics.brier(question.positive, question.probability, weights),
        }

    ones = np.ones((1, question.positive.size))
    values = {name: float(value[0]) for name, value in statistics(ones).items()}
    intervals = bootstrap.intervals(statistics, question.clusters)
    result: dict[str, Any] = {
        "num_positives": int(question.positive.sum()),
        "num_negatives": int((~question.positive).sum()),
    }
    for name, value in values.items():
        result[name] = supported(name, value, intervals[name], question)
    result["auroc"] = _bounded_auroc(result["auroc"], question, bootstrap.confidence)
    for max_fpr in FALSE_POSITIVE_RATES:
        key = tpr_key(max_fpr)
        # The threshold rests on the negatives.
        enough = question.num_recordings(False) >= MIN_RECORDINGS
        num_recordings = question.num_recordings(True) if enough else 0
        result[key] = bounded_exactly(result[key], num_recordings, bootstrap.confidence)
        if result[key]["value"] is not None:
            threshold = metrics.threshold_at_fpr(ranking, ranking.counts(ones), max_fpr)
            result[key]["threshold"] = None if threshold is None else round(threshold, _DECIMALS)
    return result


def ranked(counts: metrics.Counts) -> dict[str, FloatArray]:
    """(R,) values of every metric that depends on the order of scores alone."""
    return {
        "auroc": metrics.auroc(counts),
        PARTIAL_AUROC: metrics.partial_auroc(counts, PARTIAL_MAX_FPR),
        "average_precision": metrics.average_precision(counts),
        **{tpr_key(x): metrics.tpr_at_fpr(counts, x) for x in FALSE_POSITIVE_RATES},
    }


def supported(
    name: str, value: float, interval: Interval | None, question: Question
) -> dict[str, Any]:
    """A metric, or a difference of it, with its interval as far as the examples bear it.

    What depends on a false positive rate is withheld where the negatives are too few to show it.
    """
    weakness = _weakness(question, ranks=name not in ("ece", "brier"))
    result = _with_interval(value, interval, weakness)
    needed = round(1 / _MAX_FPRS.get(name, 1.0))
    num_negatives = int((~question.positive).sum())
    if result["value"] is None or num_negatives >= needed:
        return result
    return _nothing(f"needs {needed:,} negatives, has {num_negatives:,}")


def _weakness(question: Question, ranks: bool) -> str | None:
    """Why an interval by recording would mean nothing; None where it means something."""
    if not ranks:
        few = int(np.unique(question.clusters).size) < MIN_RECORDINGS
        return "all examples are of one recording" if few else None
    for answer, name in ((True, "positive"), (False, "negative")):
        if question.num_recordings(answer) < MIN_RECORDINGS:
            return f"all {name} examples are of one recording"
    return None


def _nothing(reason: str) -> dict[str, Any]:
    return {"value": None, "low": None, "high": None, "reason": reason}


def _with_interval(value: float, interval: Interval | None, weakness: str | None) -> dict[str, Any]:
    if np.isnan(value):
        return _nothing("only one class is present")
    rounded = round(value, _DECIMALS)
    if weakness is None and interval is not None and interval.low == interval.high:
        weakness = "every resample agrees: too few mistakes to measure the uncertainty"
    if weakness is not None or interval is None:
        return {"value": rounded, "low": None, "high": None, "reason": weakness}
    # Resampling inflates the calibration error, so its percentiles can miss the estimate itself.
    result: dict[str, Any] = {
        "value": rounded,
        "low": round(min(interval.low, value), _DECIMALS),
        "high": round(max(interval.high, value), _DECIMALS),
    }
    if interval.num_skipped:
        result["num_resamples_skipped"] = interval.num_skipped
    return result


def bounded_exactly(
    result: dict[str, Any], num_trials: int, confidence: float, unit: str = "recordings"
) -> dict[str, Any]:
    """Bound a share of none or all, which no resample can vary (Clopper & Pearson, 1934).

    Each recording is then one trial that went the same way.
    """
    value = result["value"]
    if result["low"] is not None or value not in (0.0, 1.0) or num_trials < MIN_RECORDINGS:
        return result
    exact = binomtest(int(value) * num_trials, num_trials).proportion_ci(confidence)
    return {
        "value": value,
        "low": round(float(exact.low), _DECIMALS),
        "high": round(float(exact.high), _DECIMALS),
        "note": f"exact binomial interval over {num_trials} {unit}",
    }


def _bounded_auroc(result: dict[str, Any], question: Question, confidence: float) -> dict[str, Any]:
    """Bound an AUROC of 0 or 1.

    Recordings of either answer that are joined in pairs without using one twice are independent
    trials of "the positive outscores the negative", and every one of them went the same way.
    """
    num_pairs = min(
        question.num_recordings(True),
        question.num_recordings(False),
        int(np.unique(question.clusters).size) // 2,
    )
    return bounded_exactly(result, num_pairs, confidence, "pairs of recordings")


def judge_share(values: BoolArray, clusters: IntArray, bootstrap: Bootstrap) -> dict[str, Any]:
    """Share of true values with its interval; `clusters` are any numbers of recordings."""
    if not values.size:
        return _nothing("no example to count")
    clusters = np.unique(clusters, return_inverse=True)[1].astype(np.int64)
    num_recordings = int(clusters.max()) + 1

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        return {"share": weights @ values / weights.sum(axis=1)}

    interval = bootstrap.intervals(statistics, clusters)["share"]
    weakness = "all examples are of one recording" if num_recordings < MIN_RECORDINGS else None
    result = _with_interval(float(values.mean()), interval, weakness)
    return bounded_exactly(result, num_recordings, bootstrap.confidence)


def judge_auroc(question: Question, bootstrap: Bootstrap) -> dict[str, Any]:
    """AUROC of a question with its interval."""
    if np.unique(question.positive).size < 2:
        return _with_interval(np.nan, None, None)
    ranking = metrics.Ranking(question.positive, question.probability)

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        return {"auroc": metrics.auroc(ranking.counts(weights))}

    value = float(statistics(np.ones((1, question.positive.size)))["auroc"][0])
    interval = bootstrap.intervals(statistics, question.clusters)["auroc"]
    result = _with_interval(value, interval, _weakness(question, ranks=True))
    return _bounded_auroc(result, question, bootstrap.confidence)
