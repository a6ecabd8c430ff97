"""Calibration error, and how large chance alone would make it.

Everything here is a ratio of sums over recordings and bins, so that a resample of recordings costs
one row of a matrix product, whatever the number of examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import gamma

from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.questions import Question
from pipeline.numbers import metrics
from pipeline.numbers.intervals import MIN_RECORDINGS, Interval, percentiles, tails
from pipeline.numbers.metrics import FloatArray, IntArray

NUM_NULL = 400
"""Draws behind the null band: its ends then stray by about a tenth of its width."""
MIN_EXAMPLES_A_BIN = 2
_CELLS_A_PASS = 4_000_000
_COUNT, _SAID, _WAS, _SAID2, _SAID_WAS = range(5)


@dataclass(frozen=True)
class Null:
    """The calibration error that a perfectly calibrated detector with these probabilities shows.

    `low`, `high` and `mean` are of its calibration error; `bins_low` and `bins_high` (bins,) of
    the share of positives in each bin (consistency bars; Bröcker and Smith, 2007).
    """

    low: float
    high: float
    mean: float
    p_value: float
    """Chance of a calibration error as large as the one found."""
    dependence: float
    """0 to 1: how often clips of a recording share one draw of the labels."""
    bins_low: FloatArray
    bins_high: FloatArray


class Binned:
    """The examples of a question in bins of equal mass of their probabilities."""

    def __init__(self, question: Question, num_bins: int) -> None:
        self._question = question
        self.bins: IntArray = metrics.equal_mass_bins(question.probability, num_bins)
        self.num_bins = int(self.bins.max()) + 1
        self._num_clusters = int(question.clusters.max()) + 1
        said, was = question.probability, question.positive.astype(np.float64)
        cell = question.clusters * self.num_bins + self.bins
        size = self._num_clusters * self.num_bins
        terms = (np.ones_like(said), said, was, said**2, said * was)
        sums = np.array([np.bincount(cell, term, size) for term in terms], np.float64)
        by_recording = sums.reshape(5, self._num_clusters, self.num_bins).swapaxes(0, 1)
        # (C, 5 * bins), so that resamples of recordings are a product.
        self._sums: FloatArray = by_recording.reshape((self._num_clusters, 5 * self.num_bins))

    @cached_property
    def totals(self) -> FloatArray:
        """(5, bins): number, sum of probabilities p, of positives y, of p² and of p·y."""
        return self._sums.sum(axis=0).reshape(5, self.num_bins)

    def statistics(self, weights: FloatArray) -> dict[str, FloatArray]:
        """Calibration error, Brier score and its parts under `weights` (R, C) of recordings.

        `brier` = `reliability` - `resolution` + `uncertainty` + `within_variance` -
        `within_covariance`: Murphy, "A new vector partition of the probability score", 1973, and
        for what varies within bins Stephenson, Coelho and Jolliffe, "Two extra components in the
        Brier score decomposition", 2008. `was_0`, `was_1`, ... are the shares of positives of the
        bins, NaN for one that holds nothing. Each is (R,).
        """
        count, said, was, said2, said_was = np.moveaxis(
            (weights @ self._sums).reshape(len(weights), 5, self.num_bins), 1, 0
        )
        total = count.sum(axis=1)
        filled = np.maximum(count, 1)
        shares = np.where(count > 0, was / filled, np.nan)
        base = was.sum(axis=1) / total
        gap, above = (said - was) / filled, was / filled - base[:, None]
        return {
            "ece": np.abs(said - was).sum(axis=1) / total,
            "brier": (said2 - 2 * said_was + was).sum(axis=1) / total,
            "reliability": (count * gap**2).sum(axis=1) / total,
            "resolution": (count * above**2).sum(axis=1) / total,
            "uncertainty": base * (1 - base),
            "within_variance": (said2 - said**2 / filled).sum(axis=1) / total,
            "within_covariance": 2 * (said_was - said * was / filled).sum(axis=1) / total,
            **{_share_of(k): shares[:, k] for k in range(self.num_bins)},
        }

    def values(self) -> dict[str, float]:
        """Return every one of `statistics` under weights of one."""
        found = self.statistics(np.ones((1, self._num_clusters)))
        return {name: float(value[0]) for name, value in found.items()}

    def intervals(self, bootstrap: Bootstrap) -> dict[str, Interval | None]:
        """Intervals of `statistics` over recordings, from the resamples of `questions.judge`."""
        return bootstrap.intervals(self.statistics, np.arange(self._num_clusters))

    def leaning(self) -> float:
        """Above 0 where probabilities are too extreme, below 0 where they are too cautious."""
        count, said, was = self.totals[_COUNT], self.totals[_SAID], self.totals[_WAS]
        base = was.sum() / count.sum()
        return float(((said - was) * (said / count - base)).sum() / count.sum())

    def dependence(self) -> float:
        """Estimate how much labels of one recording go together, beyond what the probabilities say.

        Within a recording, labels either come from one draw (with this probability) or each from
        its own; the share is the one whose products of residuals sum to those found. A bias that
        clips share counts too, so that a mis-calibrated detector gets the wider band.
        """
        said, clusters = self._question.probability, self._question.clusters
        residual = self._question.positive - said
        alone = np.bincount(clusters, residual) ** 2 - np.bincount(clusters, residual**2)
        order = np.lexsort((said, clusters))
        size = np.bincount(clusters)
        ends = np.cumsum(size)
        later = np.repeat(ends, size) - 1 - np.arange(said.size)
        # Of two labels from one draw, E[y y'] is the lesser of their probabilities.
        together = 2 * float(said[order] @ later)
        product = np.bincount(clusters, said) ** 2 - np.bincount(clusters, said**2)
        most = together - float(product.sum())
        return float(np.clip(alone.sum() / most, 0, 1)) if most > 0 else 0.0

    def null(self, bootstrap: Bootstrap) -> Null:
        """Draw labels from the probabilities themselves, `NUM_NULL` times."""
        said, clusters = self._question.probability, self._question.clusters
        order = np.argsort(self.bins, kind="stable")
        starts = np.searchsorted(self.bins[order], np.arange(self.num_bins))
        said, clusters = said[order].astype(np.float32), clusters[order]
        rng = np.random.default_rng([bootstrap.seed, said.size])
        shared = self.dependence()
        positives = []
        step = max(1, _CELLS_A_PASS // said.size)
        for start in range(0, NUM_NULL, step):
            rounds = min(step, NUM_NULL - start)
            draws = rng.random((rounds, said.size), np.float32)
            if shared > 0:
                common = rng.random((rounds, self._num_clusters), np.float32)
                apart = rng.random((rounds, self._num_clusters)) >= shared
                common[apart] = np.nan
                common = common[:, clusters]
                np.copyto(draws, common, where=~np.isnan(common))
            hits = (draws < said).astype(np.int32)
            positives.append(np.add.reduceat(hits, starts, axis=1))
        drawn = np.concatenate(positives).astype(np.float64)
        count, sums = self.totals[_COUNT], self.totals[_SAID]
        errors = np.abs(drawn - sums).sum(axis=1) / count.sum()
        band = percentiles(errors, bootstrap.confidence)
        assert band is not None
        bins_low, bins_high = np.quantile(drawn / count, tails(bootstrap.confidence), axis=0)
        return Null(
            band.low,
            band.high,
            float(errors.mean()),
            _tail_of_gamma(self.values()["ece"], errors),
            shared,
            bins_low,
            bins_high,
        )


@dataclass(frozen=True)
class QuestionCalibration:
    """The calibration of one question about some examples.

    Where `reason` is given it cannot be told, and what stands below `reason` is empty.
    """

    num_examples: int
    num_recordings: int
    said: float
    """Mean probability."""
    was: float
    """Share of positives."""
    reason: str | None
    results: Mapping[str, Measured]
    """The `Binned.statistics` that are of no single bin."""
    null: Null | None
    leaning: float
    bins: Mapping[str, FloatArray]
    """(bins,) each: `num_examples`, `said`, `was` and the ends `was_low`, `was_high`, `null_low`
    and `null_high`."""

    def result(self, name: str) -> Measured:
        """Return one of `results`, or no number with the reason."""
        return self.results.get(name, Measured.unknown(self.reason))

    @property
    def beyond_chance(self) -> float | None:
        """Calibration error less the mean that chance gives; 0 where it is no larger."""
        if self.null is None:
            return None
        return max(0.0, self.result("ece").known - self.null.mean)


def judge_calibration(
    question: Question, num_bins: int, bootstrap: Bootstrap
) -> QuestionCalibration:
    """Set the probabilities of at least one example against what was so."""
    size, num_recordings = int(question.positive.size), int(question.clusters.max()) + 1
    said, was = float(question.probability.mean()), float(question.positive.mean())
    reason = None
    if num_recordings < MIN_RECORDINGS:
        reason = "all examples are of one recording"
    elif was in (0.0, 1.0):
        reason = "only one answer is present"
    elif size < MIN_EXAMPLES_A_BIN * num_bins:
        reason = f"needs {MIN_EXAMPLES_A_BIN * num_bins} examples, has {size}"
    if reason is not None:
        return QuestionCalibration(size, num_recordings, said, was, reason, {}, None, 0.0, {})
    binned = Binned(question, num_bins)
    intervals, null = binned.intervals(bootstrap), binned.null(bootstrap)
    results = {name: _result(x, intervals[name]) for name, x in binned.values().items()}
    shares = [results.pop(_share_of(k)) for k in range(binned.num_bins)]
    counts = binned.totals[_COUNT]
    bins = {
        "num_examples": counts,
        "said": binned.totals[_SAID] / counts,
        "was": np.array([one.known for one in shares]),
        "was_low": np.array([one.ends.low for one in shares]),
        "was_high": np.array([one.ends.high for one in shares]),
        "null_low": null.bins_low,
        "null_high": null.bins_high,
    }
    return QuestionCalibration(
        size, num_recordings, said, was, None, results, null, binned.leaning(), bins
    )


def _share_of(number: int) -> str:
    return f"was_{number}"


def _result(value: float, interval: Interval | None) -> Measured:
    assert interval is not None
    return Measured(value, interval.around(value))


def _tail_of_gamma(value: float, drawn: FloatArray) -> float:
    """Chance of `value` or more under a gamma distribution with the mean and variance of draws.

    Few draws cannot count chances as small as a comparison of many groups needs.
    """
    mean, variance = float(drawn.mean()), float(drawn.var())
    if variance == 0:
        return 1.0 if value <= mean + 1e-12 else 0.0
    return float(gamma.sf(value, mean**2 / variance, scale=variance / mean))
