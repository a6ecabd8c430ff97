"""Yes/no questions about examples, and every metric of one with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measurement import Measured
from pipeline.numbers import metrics
from pipeline.numbers.intervals import MIN_RECORDINGS, Interval
from pipeline.numbers.metrics import BoolArray, FloatArray, IntArray
from pipeline.numbers.rounding import rounded

FALSE_POSITIVE_RATES = (0.01, 0.001, 0.0001)
PARTIAL_MAX_FPR = 0.1
"""The partial AUROC ends here: lower, it would rest on a handful of the negatives."""
PARTIAL_AUROC = f"partial_auroc_{PARTIAL_MAX_FPR:g}"
CHANCE = 0.5
WORTH_HAVING = 0.6
"""An AUROC below this is of no use to a reviewer, however certain it is, and nothing to lose."""
ACCEPTABLE_DROP = 0.1
"""A fall in AUROC that is larger would change where the detector may be used."""
FEWEST_RECORDINGS = 5
"""A verdict rests on so many of each answer: of two alike with two recordings each, one has the
higher scores throughout in every third draw, with five in one of 126."""


def tpr_key(max_fpr: float) -> str:
    """Name of the metric "true positive rate at `max_fpr`" in `metrics.json`."""
    return f"tpr_at_fpr_{max_fpr:g}"


_MAX_FPRS = {PARTIAL_AUROC: PARTIAL_MAX_FPR, **{tpr_key(x): x for x in FALSE_POSITIVE_RATES}}


@dataclass(frozen=True)
class Question:
    """A yes/no question about examples, and the probability of a yes."""

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


@dataclass(frozen=True)
class MeasuredAbove(Measured):
    """A share of examples that score above a threshold."""

    threshold: float | None = None
    """None where no score is high enough."""

    def to_json(self) -> dict[str, Any]:
        """Return the keys of any measured number, and the threshold where there is a share."""
        found = super().to_json()
        return found if self.value is None else found | {"threshold": self.threshold}


@dataclass(frozen=True)
class JudgedQuestion:
    """The metrics of a question, by name."""

    num_positives: int
    num_negatives: int
    metrics: Mapping[str, Measured]

    def __getitem__(self, name: str) -> Measured:
        return self.metrics[name]

    def to_json(self) -> dict[str, Any]:
        """Counts and metrics side by side."""
        counts = {"num_positives": self.num_positives, "num_negatives": self.num_negatives}
        return {**counts, **self.metrics}


def judge(question: Question, bootstrap: Bootstrap, num_bins: int) -> JudgedQuestion:
    """Measure every metric of one question."""
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
    found = {
        name: supported(name, value, intervals[name], question) for name, value in values.items()
    }
    found["auroc"] = _bounded_auroc(found["auroc"], question, bootstrap.confidence)
    for max_fpr in FALSE_POSITIVE_RATES:
        key = tpr_key(max_fpr)
        # The threshold rests on the negatives.
        enough = question.num_recordings(False) >= MIN_RECORDINGS
        num_recordings = question.num_recordings(True) if enough else 0
        share = found[key].bounded_exactly(num_recordings, bootstrap.confidence)
        threshold = metrics.threshold_at_fpr(ranking, ranking.counts(ones), max_fpr)
        found[key] = MeasuredAbove(
            **vars(share), threshold=None if threshold is None else rounded(threshold)
        )
    return JudgedQuestion(int(question.positive.sum()), int((~question.positive).sum()), found)


def ranked(counts: metrics.Counts) -> dict[str, FloatArray]:
    """(R,) values of every metric that depends on the order of scores alone."""
    return {
        "auroc": metrics.auroc(counts),
        PARTIAL_AUROC: metrics.partial_auroc(counts, PARTIAL_MAX_FPR),
        "average_precision": metrics.average_precision(counts),
        **{tpr_key(x): metrics.tpr_at_fpr(counts, x) for x in FALSE_POSITIVE_RATES},
    }


def supported(name: str, value: float, interval: Interval | None, question: Question) -> Measured:
    """A metric, or a difference of it, with its interval as far as the examples bear it.

    What depends on a false positive rate is withheld where the negatives are too few to show it.
    """
    weakness = _weakness(question, ranks=name not in ("ece", "brier"))
    found = Measured.estimated(value, interval, weakness)
    needed = round(1 / _MAX_FPRS.get(name, 1.0))
    num_negatives = int((~question.positive).sum())
    if found.value is None or num_negatives >= needed:
        return found
    return Measured.unknown(f"needs {needed:,} negatives, has {num_negatives:,}")


def _weakness(question: Question, ranks: bool) -> str | None:
    """Return why an interval by recording would mean nothing; None where it means something."""
    if not ranks:
        few = int(np.unique(question.clusters).size) < MIN_RECORDINGS
        return "all examples are of one recording" if few else None
    for answer, name in ((True, "positive"), (False, "negative")):
        if question.num_recordings(answer) < MIN_RECORDINGS:
            return f"all {name} examples are of one recording"
    return None


def _bounded_auroc(found: Measured, question: Question, confidence: float) -> Measured:
    """Bound an AUROC of 0 or 1.

    Recordings of either answer that are joined in pairs without using one twice are independent
    trials of "the positive outscores the negative", and every one of them went the same way.
    """
    num_pairs = min(
        question.num_recordings(True),
        question.num_recordings(False),
        int(np.unique(question.clusters).size) // 2,
    )
    return found.bounded_exactly(num_pairs, confidence, "pairs of recordings")


def judge_share(values: BoolArray, clusters: IntArray, bootstrap: Bootstrap) -> Measured:
    """Share of true values with its interval; `clusters` are any numbers of recordings."""
    if not values.size:
        return Measured.unknown("no example to count")
    clusters = np.unique(clusters, return_inverse=True)[1].astype(np.int64)
    num_recordings = int(clusters.max()) + 1

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        return {"share": weights @ values / weights.sum(axis=1)}

    interval = bootstrap.intervals(statistics, clusters)["share"]
    weakness = "all examples are of one recording" if num_recordings < MIN_RECORDINGS else None
    found = Measured.estimated(float(values.mean()), interval, weakness)
    return found.bounded_exactly(num_recordings, bootstrap.confidence)


def judge_auroc(question: Question, bootstrap: Bootstrap) -> Measured:
    """AUROC of a question with its interval."""
    if np.unique(question.positive).size < 2:
        return Measured.estimated(np.nan, None, None)
    ranking = metrics.Ranking(question.positive, question.probability)

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        return {"auroc": metrics.auroc(ranking.counts(weights))}

    value = float(statistics(np.ones((1, question.positive.size)))["auroc"][0])
    interval = bootstrap.intervals(statistics, question.clusters)["auroc"]
    found = Measured.estimated(value, interval, _weakness(question, ranks=True))
    return _bounded_auroc(found, question, bootstrap.confidence)
