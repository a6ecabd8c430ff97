"""Which samples an epoch draws, in which order: a function of the seed and the epoch alone."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Sampler(Protocol):
    """Draws rows, for all ranks together."""

    epoch: int

    def __len__(self) -> int:
        """How many rows every epoch draws."""

    def draw(self) -> NDArray[np.int64]:
        """The rows of the current epoch, in order."""


class InOrder:
    """The same rows in every epoch, as they stand."""

    epoch = 0

    def __init__(self, rows: NDArray[np.int64]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def draw(self) -> NDArray[np.int64]:
        """All rows."""
        return self.rows


class BalancedSampler:
    """Draws every class equally often, spread over its sources, in an order set by the epoch.

    An epoch draws as many samples as there are, or `least` where there are fewer. Within a class,
    a source of n samples is drawn in proportion to n ** (1 - source_balance).
    No sample comes twice before all others of its class and source came once.
    """

    def __init__(
        self,
        rows: NDArray[np.int64],
        labels: NDArray[np.int64],
        sources: NDArray[Any],
        *,
        source_balance: float,
        seed: int,
        least: int = 0,
    ) -> None:
        assert len(rows) == len(labels) == len(sources) > 0
        self.rows, self.labels = rows, labels
        # Numbers in the order of the names: names are slow to compare in every epoch.
        self.sources = np.unique(sources, return_inverse=True)[1]
        self.source_balance, self.seed, self.epoch = source_balance, seed, 0
        self.num_draws = max(len(rows), least)

    def set_epoch(self, epoch: int) -> None:
        """Choose what is drawn next; Lightning calls it before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_draws

    def draw(self) -> NDArray[np.int64]:
        """The rows of the current epoch, shuffled."""
        rng = np.random.default_rng([self.seed, self.epoch])
        classes = np.unique(self.labels)
        drawn = []
        for label, quota in zip(
            classes, divide(len(self), np.ones(len(classes)), rng), strict=True
        ):
            in_class = self.labels == label
            names, sizes = np.unique(self.sources[in_class], return_counts=True)
            shares = divide(quota, sizes ** (1 - self.source_balance), rng)
            for name, share in zip(names, shares, strict=True):
                group = self.rows[in_class & (self.sources == name)]
                num_rounds = math.ceil(share / len(group))
                rounds = rng.permuted(np.tile(group, (num_rounds, 1)), axis=1)
                drawn.append(rounds.ravel()[:share])
        return rng.permutation(np.concatenate(drawn))

    def odds(self) -> NDArray[np.float64]:
        """How often each row is drawn on average, as a share of all draws."""
        shares = np.zeros(len(self.rows))
        classes = np.unique(self.labels)
        for label in classes:
            in_class = self.labels == label
            names, sizes = np.unique(self.sources[in_class], return_counts=True)
            weights = sizes ** (1 - self.source_balance)
            for name, size, weight in zip(names, sizes, weights / weights.sum(), strict=True):
                shares[in_class & (self.sources == name)] = weight / size / len(classes)
        return shares


def divide(total: int, weights: NDArray[np.floating], rng: np.random.Generator) -> list[int]:
    """Whole shares of `total` in proportion to `weights`, unbiased over `rng`."""
    edges = np.cumsum(weights) / np.sum(weights) * total
    edges[-1] = total
    return [int(n) for n in np.diff(np.floor(edges + rng.random() * (1 - 1e-9)), prepend=0.0)]
