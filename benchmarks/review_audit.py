"""What the audit of a simulated year of review says, beside the truth: for `review_year.py`.

A detector sees shootings and other videos with an overlap, and alerts above a limit. People decide
the videos that the audit drew, as many of them as `discern review` asks, and err independently of
each other in a share of their decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from outcome import Cell, Table
from scipy.stats import binomtest, norm

from pipeline.assess.deployment_report import Estimate
from pipeline.config import QueueConfig
from pipeline.review import agreement, drawing, estimates
from pipeline.review.estimates import WeightedStratum

ERROR = 0.05
SHOOTINGS = 0.005
"""Share of the videos that are real shootings."""
APART = 2.5
"""Standard deviations between what the detector sees in shootings and in others."""
FALSE_ALERTS = 0.003
"""Share of other videos with an alert."""
LIMIT = float(norm.isf(FALSE_ALERTS))
SETTINGS = QueueConfig(200, 0.2, 0.1, 0.0, 0, 10.0, 1.0, 0.05, 20.0)
CONFIDENCE = 0.95

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def stream(
    rng: np.random.Generator, num_videos: int, shootings: float
) -> tuple[Bools, Floats, Bools]:
    """Draw videos: which are real shootings, what the detector sees, and where it alerts."""
    is_shooting = rng.random(num_videos) < shootings
    seen = rng.normal(APART * is_shooting, 1)
    return is_shooting, seen, seen >= LIMIT


def votes_of(
    is_shooting: Bools, group: Ints, rng: np.random.Generator, error: float
) -> tuple[Floats, int]:
    """What is known of videos once as many people as needed have looked, and how many looks."""
    found = np.zeros(len(group), np.int64)
    denied = np.zeros(len(group), np.int64)
    is_open = np.ones(len(group), bool)
    chance = np.full(len(group), 0.5)
    num_looks = 0
    for _ in range(agreement.MOST_LOOKS):
        said = is_shooting ^ (rng.random(len(group)) < error)
        found += is_open & said
        denied += is_open & ~said
        num_looks += int(is_open.sum())
        chance = agreement.posteriors(found, denied, group, error)
        is_open &= ~agreement.is_settled(chance)
        if not is_open.any():
            break
    return chance, num_looks


@dataclass(frozen=True)
class Audited:
    """Intervals of a year and its truth, as pairs by what was estimated."""

    precision: tuple[float, Estimate]
    recall: tuple[float, Estimate | None]
    looks_a_video: float
    single: Estimate | None
    """Of the recall, from one look a video taken at its word."""


def audited_year(
    seed: int, num_days: int, num_videos: int, shootings: float = SHOOTINGS
) -> Audited:
    """Draw a year, and decide its audit samples."""
    rng = np.random.default_rng(seed)
    stratum, weight, truth = [], [], []
    sizes = np.zeros(len(drawing.STRATA), np.int64)
    hits = np.zeros(3)
    for _ in range(num_days):
        is_shooting, seen, flagged = stream(rng, num_videos, shootings)
        strata = drawing.strata(seen, flagged)
        drawn, chance = drawing.draw(strata, round(SETTINGS.num * SETTINGS.audit), rng)
        sizes += np.bincount(strata, minlength=len(sizes))
        stratum.append(strata[drawn])
        weight.append(1 / chance[drawn])
        truth.append(is_shooting[drawn])
        hits += [(flagged & is_shooting).sum(), flagged.sum(), is_shooting.sum()]
    group, weights = np.concatenate(stratum), np.concatenate(weight)
    is_shooting = np.concatenate(truth)
    chance, num_looks = votes_of(is_shooting, group, rng, ERROR)
    once = (is_shooting ^ (rng.random(len(group)) < ERROR)).astype(float)
    precision, recall = _estimates(sizes, group, weights, chance)
    _, single = _estimates(sizes, group, weights, once)
    true_precision, true_recall = hits[0] / hits[1], hits[0] / hits[2]
    return Audited(
        (true_precision, precision), (true_recall, recall), num_looks / len(group), single
    )


def _estimates(
    sizes: Ints, group: Ints, weights: Floats, chance: Floats
) -> tuple[Estimate, Estimate | None]:
    strata = [
        WeightedStratum(size, chance[group == number], weights[group == number])
        for number, size in enumerate(sizes.tolist())
    ]
    alerted, *others = strata
    precision = estimates.share(alerted, CONFIDENCE)
    missed = estimates.total(others, CONFIDENCE)
    return precision, estimates.recall(precision.times(alerted.size), missed)


def covers(truth: float, estimate: Estimate | None) -> bool:
    """Whether an interval holds the truth."""
    return estimate is not None and estimate.interval.low <= truth <= estimate.interval.high


def audits(told: Sequence[tuple[float, int, Sequence[Audited]]]) -> Table:
    """How often intervals hold the truth, by the share of shootings and the days of an audit."""
    rows: list[tuple[Cell, ...]] = []
    for place, (shootings, num_days, years) in enumerate(told):
        given: dict[str, list[tuple[float, Estimate | None]]] = {
            "precision": [(year.precision[0], year.precision[1]) for year in years],
            "recall": [year.recall for year in years],
        }
        if not place:
            name = "recall, one look a video taken at its word"
            given[name] = [(year.recall[0], year.single) for year in years]
        for name, pairs in given.items():
            num = sum(covers(*pair) for pair in pairs)
            ends = binomtest(num, len(pairs)).proportion_ci(CONFIDENCE)
            rows.append(
                (
                    name,
                    round(100 * shootings, 2),
                    num_days,
                    len(pairs),
                    f"{100 * num / len(pairs):.1f} ({100 * ends.low:.1f} to {100 * ends.high:.1f})",
                    round(float(np.nanmean([_width(one) for _, one in pairs])), 4),
                    round(float(np.nanmean([_value(one) - truth for truth, one in pairs])), 4),
                )
            )
    return Table(
        f"Intervals of {100 * CONFIDENCE:g} % from the audit sample of some days",
        (
            "estimate",
            "shootings, %",
            "days",
            "times",
            "cover the truth, %",
            "mean width",
            "mean error",
        ),
        rows,
    )


def _width(estimate: Estimate | None) -> float:
    return float("nan") if estimate is None else estimate.interval.high - estimate.interval.low


def _value(estimate: Estimate | None) -> float:
    return float("nan") if estimate is None or estimate.value is None else estimate.value
