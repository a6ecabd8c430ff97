"""Draws the samples of an epoch in order, by the seed and the epoch alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Sampler(Protocol):
    """Draws rows, for all ranks together."""

    epoch: int

    def __len__(self) -> int:
        """Return how many rows every epoch draws."""

    def draw(self) -> NDArray[np.int64]:
        """Return the rows of the current epoch, int64 (D,), in the order in which they are read."""


class InOrder:
    """Gives the same rows (D,) in every epoch, in the order in which they were given."""

    epoch = 0

    def __init__(self, rows: NDArray[np.int64]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def draw(self) -> NDArray[np.int64]:
        """Return all rows, int64 (D,), in their order."""
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
        """Return the rows of the current epoch, int64 (D,), shuffled."""
        rng = np.random.default_rng([self.seed, self.epoch])
        classes = list(self._classes())
        quotas = divide(len(self), np.ones(len(classes)), rng)
        drawn = []
        for (sources, weights), quota in zip(classes, quotas, strict=True):
            for source, share in zip(sources, divide(quota, weights, rng), strict=True):
                group = self.rows[source]
                num_rounds = math.ceil(share / len(group))
                rounds = rng.permuted(np.tile(group, (num_rounds, 1)), axis=1)
                drawn.append(rounds.ravel()[:share])
        return rng.permutation(np.concatenate(drawn))

    def odds(self) -> NDArray[np.float64]:
        """Return how often each of the rows (N,) is drawn on average, as a share of all draws."""
        shares = np.zeros(len(self.rows))
        classes = list(self._classes())
        for sources, weights in classes:
            for source, weight in zip(sources, weights / weights.sum(), strict=True):
                shares[source] = weight / source.sum() / len(classes)
        return shares

    def _classes(self) -> Iterator[tuple[list[NDArray[np.bool_]], NDArray[np.floating]]]:
        """For each class a mask of the rows of each of its sources, and how much these weigh."""
        for label in np.unique(self.labels):
            in_class = self.labels == label
            names, sizes = np.unique(self.sources[in_class], return_counts=True)
            masks = [in_class & (self.sources == name) for name in names]
            yield masks, sizes ** (1 - self.source_balance)


class Bags:
    """Windows of which it is known that some show a discharge, at least one of each bag.

    Args:
        rows: (N,) of the windows, those of a bag together.
        bag: (N,) of which bag each is; equal for those of one.
        most: windows of a bag that are chosen, at most; no more than the largest has.
    """

    def __init__(self, rows: NDArray[np.int64], bag: NDArray[np.int64], most: int) -> None:
        assert len(rows) == len(bag)
        self._starts = np.flatnonzero(np.diff(bag, prepend=-1))
        sizes = np.diff(self._starts, append=len(rows))
        self.rows, self.most = rows, min(most, int(sizes.max(initial=0)))
        self.chosen: NDArray[np.int64] | None = None
        """(B, most): of each bag what it gives; None before any was chosen."""
        self.shares: NDArray[np.float64] | None = None
        """(B, most): how often each of them is drawn, of 1."""

    @property
    def first(self) -> NDArray[np.int64]:
        """(B,): the first row of each bag, which stands for it."""
        return self.rows[self._starts]

    def choose(self, log_odds: NDArray[np.float64]) -> None:
        """Take those with the highest log odds of a discharge, (N,), each as often as its odds.

        Of windows of which one at least shows it, odds tell how likely each is to be the one.
        """
        chosen, shares = [], []
        for part in np.split(np.arange(len(self.rows)), self._starts[1:]):
            best = part[np.argsort(-log_odds[part], kind="stable")[: self.most]]
            odds = np.exp(log_odds[best] - log_odds[best[0]])
            missing = self.most - len(best)
            chosen.append(np.pad(self.rows[best], (0, missing), mode="edge"))
            shares.append(np.pad(odds / odds.sum(), (0, missing)))
        self.chosen, self.shares = np.stack(chosen), np.stack(shares)

    def drawn(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return rows (D,), with a chosen window of its bag in the place of each first one."""
        assert self.chosen is not None and self.shares is not None
        bag = np.searchsorted(self.first, rows)
        is_bag = np.isin(rows, self.first)
        chance = rng.random(len(rows))
        found = rows.copy()
        edges = np.cumsum(self.shares, axis=1)[bag[is_bag]]
        place = np.minimum((edges < chance[is_bag, None]).sum(1), self.most - 1)
        found[is_bag] = self.chosen[bag[is_bag], place]
        return found


class BagSampler:
    """Draws as `BalancedSampler` does, each bag as one sample that shows a discharge.

    Until windows of bags were chosen, it draws as often, and from what has a label alone.

    Args:
        labelled: what draws what has a label.
        everything: what draws that and the first window of each bag.
        bags: with what is chosen in them when an epoch is drawn.
    """

    def __init__(self, labelled: BalancedSampler, everything: BalancedSampler, bags: Bags) -> None:
        assert len(labelled) == len(everything)
        self.labelled, self.everything, self.bags = labelled, everything, bags
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose what is drawn next; Lightning calls it before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.everything)

    def draw(self) -> NDArray[np.int64]:
        """Return the rows of the current epoch, int64 (D,), shuffled."""
        self.labelled.set_epoch(self.epoch)
        self.everything.set_epoch(self.epoch)
        if self.bags.chosen is None:
            return self.labelled.draw()
        rng = np.random.default_rng([self.everything.seed, self.epoch, 1])
        return self.bags.drawn(self.everything.draw(), rng)


def divide(total: int, weights: NDArray[np.floating], rng: np.random.Generator) -> list[int]:
    """Whole shares of `total` in proportion to `weights`, unbiased over `rng`."""
    edges = np.cumsum(weights) / np.sum(weights) * total
    edges[-1] = total
    return [int(n) for n in np.diff(np.floor(edges + rng.random() * (1 - 1e-9)), prepend=0.0)]
