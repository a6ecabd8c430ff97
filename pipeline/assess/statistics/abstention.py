"""Risk against coverage: the gain of leaving the least sure examples to people.

El-Yaniv and Wiener, "On the foundations of noise-free selective classification", 2010. Coverage is
the share of examples that the detector answers itself, the surest first; risk is the share of those
that it gets wrong. Examples of equal confidence are answered together, in no order.
"""

from __future__ import annotations

import numpy as np

from pipeline.numbers import metrics
from pipeline.numbers.metrics import BoolArray, FloatArray, IntArray

MAX_STEPS = 200
"""Confidences are grouped into so many steps of equal mass at most, each a tie."""


class Selective:
    """Examples by falling confidence, summed over recordings once; every array is (N,)."""

    def __init__(self, confidence: FloatArray, wrong: BoolArray, clusters: IntArray) -> None:
        assert confidence.shape == wrong.shape == clusters.shape and confidence.size > 0
        bins = metrics.equal_mass_bins(confidence, MAX_STEPS)
        self._num_steps = int(bins.max()) + 1
        self._num_clusters = int(clusters.max()) + 1
        cell = 2 * self._num_steps * clusters + self._num_steps - 1 - bins
        size = self._num_clusters * 2 * self._num_steps
        sums = np.bincount(cell, minlength=size)
        sums += np.bincount(cell[wrong] + self._num_steps, minlength=size)
        self._sums = sums.reshape(self._num_clusters, 2 * self._num_steps).astype(np.float64)

    def curve(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weight answered, and wrong among it, after each step (R, U); `weights` (R, C)."""
        sums = (weights @ self._sums).reshape(len(weights), 2, self._num_steps)
        answered, wrong = np.moveaxis(np.cumsum(sums, axis=2), 1, 0)
        return answered, wrong

    def statistics(self, weights: FloatArray) -> dict[str, FloatArray]:
        """Compute errors, the area under the curve and the gain of order under `weights` (R, C).

        `aurc` is the area under risk against coverage; `excess_aurc` what it lies above that of
        the best order with as many errors, r + (1 - r) ln(1 - r) (Geifman, Uziel and El-Yaniv,
        "Bias-reduced uncertainty estimation for deep neural classifiers", 2019); `gain` what it
        lies below that of answering in no order, which is the error rate r. Each is (R,).
        """
        answered, wrong = self.curve(weights)
        total = answered[:, -1:]
        width = np.diff(answered, axis=1, prepend=0.0)
        rate = _ratio(np.diff(wrong, axis=1, prepend=0.0), width)
        before, errors = answered - width, wrong - rate * width
        # Within a tie risk is (E + e t) / (W + t), whose integral holds a logarithm.
        growth = np.log(_ratio(answered, before, otherwise=1.0))
        area = ((rate * width + (errors - rate * before) * growth) / total).sum(axis=1)
        error = (wrong[:, -1:] / total)[:, 0]
        kept = 1 - error
        best = error + kept * np.log(np.where(kept > 0, kept, 1.0))
        return {"error": error, "aurc": area, "excess_aurc": area - best, "gain": error - area}

    def values(self) -> dict[str, float]:
        """Return every one of `statistics` under weights of one."""
        found = self.statistics(np.ones((1, self._num_clusters)))
        return {name: float(value[0]) for name, value in found.items()}

    def risk_at(self, coverage: FloatArray) -> FloatArray:
        """Risk at each coverage in (0, 1], as if errors of a tie came evenly."""
        answered, wrong = (
            np.concatenate([[0.0], one[0]]) for one in self.curve(np.ones((1, self._num_clusters)))
        )
        wanted = coverage * answered[-1]
        return np.interp(wanted, answered, wrong) / wanted


def _ratio(part: FloatArray, whole: FloatArray, otherwise: float = 0.0) -> FloatArray:
    return np.divide(part, whole, out=np.full_like(part, otherwise), where=whole > 0)
