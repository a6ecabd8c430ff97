"""Differences between two checkpoints' metrics on the same examples.

Both are right and wrong about much the same recordings, so the difference is far better known than
either value: two intervals that overlap are no sign of equality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from pipeline.assess.examples import Examples
from pipeline.assess.statistics import questions
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.placements import place
from pipeline.assess.statistics.questions import Question
from pipeline.assess.statistics.summary import questions as asked
from pipeline.errors import UserError
from pipeline.numbers import metrics
from pipeline.numbers.metrics import FloatArray
from pipeline.numbers.rounding import rounded

_LABELS = ("source", "cluster", "origin", "discharge")


@dataclass(frozen=True)
class Difference:
    """A metric of two checkpoints; None where the data cannot support it."""

    first: float | None
    second: float | None
    difference: Measured

    def to_json(self) -> dict[str, Any]:
        """The three side by side."""
        return dict(vars(self))


@dataclass(frozen=True)
class Differences:
    """The differences of every metric of one question."""

    by_metric: Mapping[str, Difference]
    delong_p: float | None
    """Two-sided p-value of equal AUROCs; None where it is undefined."""

    def to_json(self) -> dict[str, Any]:
        """The metrics and the p-value side by side."""
        return {**self.by_metric, "delong_p": self.delong_p}


def compare(first: Examples, second: Examples, bootstrap: Bootstrap) -> dict[str, Differences]:
    """Differences, `second` minus `first`, of every metric of the three questions.

    Args:
        first: what one checkpoint says.
        second: what the other says about the same examples, in the same order.
        bootstrap: resamples recordings; each resample weighs both checkpoints alike.

    Returns:
        By question ("shooting", "origin", "discharge"). The p-value is that of DeLong et al.,
        1988, with recordings as units after Obuchowski, 1997: the classic test where each example
        is a recording of its own.

    Raises:
        UserError: the examples are not the same.
    """
    _check_same(first, second)
    ours, theirs = asked(first), asked(second)
    return {name: _compare(ours[name], theirs[name], bootstrap) for name in ours}


def delong_p(first: Question, second: Question) -> float | None:
    """Two-sided p-value of equal AUROCs on the same examples; None for one class only."""
    num_clusters = int(first.clusters.max()) + 1
    one, other = (
        place(asked.positive, asked.probability, asked.clusters, num_clusters)
        for asked in (first, second)
    )
    if one is None or other is None:
        return None
    difference = other.auroc - one.auroc
    deviation = float(np.sqrt(np.square(other.influence - one.influence).sum()))
    if deviation == 0:
        # Nothing varies: equal rankings, or both perfect.
        return 1.0 if difference == 0 else None
    return float(2 * norm.sf(abs(difference) / deviation))


def _compare(first: Question, second: Question, bootstrap: Bootstrap) -> Differences:
    rankings = [metrics.Ranking(one.positive, one.probability) for one in (first, second)]

    def values(weights: FloatArray) -> list[Mapping[str, FloatArray]]:
        return [
            {
                **questions.ranked(ranking.counts(weights)),
                "brier": metrics.brier(one.positive, one.probability, weights),
            }
            for ranking, one in zip(rankings, (first, second), strict=True)
        ]

    def differences(weights: FloatArray) -> dict[str, FloatArray]:
        one, other = values(weights)
        return {name: other[name] - one[name] for name in one}

    one, other = values(np.ones((1, first.positive.size)))
    intervals = bootstrap.intervals(differences, first.clusters)
    found = {}
    for name, interval in intervals.items():
        before, after = float(one[name][0]), float(other[name][0])
        difference = questions.supported(name, after - before, interval, first)
        known = difference.value is not None
        found[name] = Difference(
            rounded(before) if known else None, rounded(after) if known else None, difference
        )
    p = delong_p(first, second)
    return Differences(found, None if p is None else rounded(p))


def _check_same(first: Examples, second: Examples) -> None:
    if len(first) != len(second):
        raise UserError(
            f"one evaluation judged {len(first)} examples and the other {len(second)}; "
            "score both checkpoints on the same data"
        )
    for label in _LABELS:
        ours, theirs = getattr(first, label), getattr(second, label)
        differing = np.flatnonzero(ours != theirs)
        if differing.size:
            row = int(differing[0])
            raise UserError(
                f"example {row} has the {label} {ours[row]!s} in one evaluation and "
                f"{theirs[row]!s} in the other; score both checkpoints on the same data"
            )
