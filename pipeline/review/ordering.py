"""Orders videos by expected cost, and chooses by k-center those that teach most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

Floats = NDArray[np.float64]
_CANDIDATES = 10
"""Different videos are taken of the most uncertain ones, so many times as many as are wanted."""
_EDGE = 1e-6


def value(
    score: Floats,
    flagged: NDArray[np.bool_],
    num_copies: NDArray[np.int64],
    review_s: Floats,
    missed_cost: float,
    false_cost: float,
    copy_cost: float,
) -> Floats:
    """Expected cost of not looking at each of C videos, a minute of review.

    A real shooting that nobody looks at costs `missed_cost`, whether the detector raised an alert
    or not, since people decide; an alert on something else that nobody takes back costs
    `false_cost`. One look settles all copies. Of queues of equal minutes, one by these costs finds
    most of the sum of different shootings and `copy_cost` times their other copies.

    Args:
        score: (C,), P(real_shooting) from 0 to 1.
        flagged: (C,), whether there is an alert.
        num_copies: (C,), videos in the cluster.
        review_s: (C,), how long looking takes.
        missed_cost, false_cost: in any unit.
        copy_cost: what each copy but one costs besides, as a share of these.
    """
    cost = missed_cost * score + false_cost * np.where(flagged, 1 - score, 0)
    return cost * (1 + copy_cost * (num_copies - 1)) * 60 / review_s


def by_value(values: Floats) -> NDArray[np.int64]:
    """Videos (C,) by falling value; of equals the first one is first."""
    return np.lexsort((np.arange(len(values)), -values))


def uncertain(score: Floats, threshold: float, num: int) -> NDArray[np.int64]:
    """Those whose score is nearest to the threshold on the scale of log odds, the nearest first."""
    edges = (_EDGE, 1 - _EDGE)
    margin = np.abs(logit(np.clip(score, *edges)) - logit(np.clip(threshold, *edges)))
    return np.lexsort((np.arange(len(score)), margin))[: _CANDIDATES * num]


def spread(embeddings: Floats, known: Floats, num: int) -> NDArray[np.int64]:
    """Choose of K videos those that are farthest from each other and from what is known.

    Greedy k-center (Gonzalez, 1985), as Sener and Savarese choose what to label (2018), by the
    angle between features. Those without features come last, in their order.

    Args:
        embeddings: (K, D), a row of NaN where there is none; the first ones are preferred among
            equals, and where nothing is known the first one is first.
        known: (L, D), of what is looked at anyway.
        num: to choose, at most.

    Returns:
        Places in the K, in the order in which they were chosen.
    """
    has = np.isfinite(embeddings).all(axis=1) & (np.abs(embeddings).sum(axis=1) > 0)
    points, known = _unit(embeddings[has]), _unit(known[np.isfinite(known).all(axis=1)])
    places = np.flatnonzero(has)
    nearest = np.full(len(points), np.inf)
    for one in known:
        nearest = np.minimum(nearest, 1 - points @ one)
    chosen: list[int] = []
    while len(chosen) < min(num, len(points)):
        here = int(nearest.argmax())
        chosen.append(here)
        nearest = np.minimum(nearest, 1 - points @ points[here])
        nearest[chosen] = -np.inf
    found = np.concatenate([places[chosen], np.flatnonzero(~has)]).astype(np.int64)
    return found[:num]


def _unit(rows: Floats) -> Floats:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
