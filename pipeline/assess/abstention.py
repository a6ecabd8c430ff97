"""What is gained by leaving the least sure examples to people: risk against coverage.

El-Yaniv and Wiener, "On the foundations of noise-free selective classification", 2010. Coverage is
the share of examples that the detector answers itself, the surest first; risk is the share of those
that it gets wrong. Examples of equal confidence are answered together, in no order.
"""

from __future__ import annotations

import numpy as np

from pipeline.assess.metrics import BoolArray, FloatArray


class Selective:
    """Examples sorted by falling confidence once."""

    def __init__(self, confidence: FloatArray, wrong: BoolArray) -> None:
        assert confidence.shape == wrong.shape and confidence.size > 0
        self._order = np.argsort(-confidence, kind="stable")
        self._wrong = wrong[self._order]
        self._last_of_tie = np.append(
            np.flatnonzero(np.diff(confidence[self._order])), confidence.size - 1
        )

    def curve(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weight answered and weight wrong among it after each confidence, (R, U) each."""
        ordered = weights[:, self._order]
        answered = np.cumsum(ordered, axis=1)[:, self._last_of_tie]
        return answered, np.cumsum(ordered * self._wrong, axis=1)[:, self._last_of_tie]

    def statistics(self, weights: FloatArray) -> dict[str, FloatArray]:
        """Of `weights` (R, N): error rate, area under the curve and what order gains, (R,) each.

        `aurc` is the area under risk against coverage; `excess_aurc` what it lies above that of
        the best order with as many errors, r + (1 - r) ln(1 - r) (Geifman, Uziel and El-Yaniv,
        "Bias-reduced uncertainty estimation for deep neural classifiers", 2019); `gain` what it
        lies below that of answering in no order, which is the error rate r.
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

    def risk_at(self, coverage: FloatArray) -> FloatArray:
        """Risk at each coverage in (0, 1], as if errors of a tie came evenly."""
        answered, wrong = (
            np.concatenate([[0.0], one[0]])
            for one in self.curve(np.ones((1, self._wrong.size), np.float64))
        )
        wanted = coverage * answered[-1]
        return np.interp(wanted, answered, wrong) / wanted


def _ratio(part: FloatArray, whole: FloatArray, otherwise: float = 0.0) -> FloatArray:
    return np.divide(part, whole, out=np.full_like(part, otherwise), where=whole > 0)
