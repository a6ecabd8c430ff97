"""Intervals by resampling whole recordings.

Clips of one recording share camera, light and people: treating them as independent makes intervals
too narrow. So recordings are drawn with replacement and bring all of their clips (cluster
bootstrap; Davison & Hinkley, 1997, section 3.8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.numbers.intervals import Interval, percentiles
from pipeline.numbers.metrics import FloatArray, IntArray

# Bounds the memory of one pass; a constant, since it decides nothing about the result.
_CELLS_A_PASS = 4_000_000
MOST_CELLS, FEWEST_RESAMPLES = 10_000_000, 100
"""Examples times resamples of an interval, at most, unless fewer than the fewest would be left."""


@dataclass(frozen=True)
class Bootstrap:
    """Draws `num_resamples` resamples from `seed`; intervals hold `confidence` of them."""

    num_resamples: int
    confidence: float
    seed: int

    def intervals(
        self,
        statistics: Callable[[FloatArray], Mapping[str, FloatArray]],
        clusters: IntArray,
    ) -> dict[str, Interval | None]:
        """Intervals of all `statistics`, from the same resamples.

        `statistics` maps (R, N) weights to (R,) values under each name, NaN where undefined.
        None stands for a statistic that no resample defines.
        """
        parts = [statistics(weights) for weights in self.weights(clusters)]
        return {
            name: percentiles(np.concatenate([part[name] for part in parts]), self.confidence)
            for name in (parts[0] if parts else {})
        }

    def band(
        self, columns: Callable[[FloatArray], FloatArray], clusters: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Both ends (K,) of the pointwise intervals of a curve, NaN where no resample has a value.

        `columns` maps (R, N) weights to (R, K) values; see `intervals`.
        """

        def statistics(weights: FloatArray) -> dict[str, FloatArray]:
            return {str(i): column for i, column in enumerate(columns(weights).T)}

        found = self.intervals(statistics, clusters).values()
        low, high = ([getattr(one, end, np.nan) for one in found] for end in ("low", "high"))
        return np.array(low), np.array(high)

    def num_drawn(self, num_examples: int) -> int:
        """Resamples that are drawn of so many examples: fewer of very many, for time's sake."""
        return min(self.num_resamples, max(FEWEST_RESAMPLES, MOST_CELLS // num_examples))

    def weights(self, clusters: IntArray) -> Iterator[FloatArray]:
        """Yield (R, N) counts of each example in a resample; R of all parts is `num_drawn`.

        `clusters` (N,) numbers the recordings 0, 1, ... without gaps.
        """
        num_clusters = int(clusters.max()) + 1
        num_resamples = self.num_drawn(clusters.size)
        draws = _draw(self.seed, num_clusters, num_resamples)
        step = max(1, _CELLS_A_PASS // clusters.size)
        for start in range(0, num_resamples, step):
            yield draws[start : start + step][:, clusters].astype(np.float64)


@lru_cache(maxsize=2)
def _draw(seed: int, num_clusters: int, num_resamples: int) -> NDArray[np.uint16]:
    """(R, C) times that each cluster is drawn; kept, since a report asks for the same again."""
    rng = np.random.default_rng([seed, num_clusters])
    draws = np.empty((num_resamples, num_clusters), np.uint16)
    for row in draws:
        row[:] = np.bincount(rng.integers(0, num_clusters, num_clusters), minlength=num_clusters)
    draws.setflags(write=False)
    return draws
