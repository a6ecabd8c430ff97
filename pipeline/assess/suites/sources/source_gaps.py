"""Gaps in P(real) between two sources of the same origin, with chance and uncertainty.

Pairs of clips are only compared where both show a discharge or neither does, so that a source with
more discharges is no source that can be told apart. R resamples, C recordings, P pairs of sources.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.assess.judged_sources import Pool
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.placements import PlacementAuroc, place
from pipeline.assess.statistics.questions import (
    CHANCE,
    FEWEST_RECORDINGS,
)
from pipeline.footage.collection import ORIGINS
from pipeline.numbers.intervals import Interval, reflected_percentiles, tails
from pipeline.numbers.metrics import FloatArray, IntArray
from pipeline.numbers.rounding import rounded


@dataclass(frozen=True)
class MeasuredFloor(Measured):
    """A floor, beside what chance makes of it."""

    by_chance: float = CHANCE
    p: float = 1.0
    num_pairs: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the keys of any measured number, and what chance makes of it."""
        more = {"by_chance": self.by_chance, "p": self.p, "num_pairs": self.num_pairs}
        return super().to_json() | more


@dataclass(frozen=True)
class Source:
    """A source that is large enough to be compared."""

    name: str
    rows: IntArray
    """Numbers of its examples."""
    recordings: IntArray
    """(C,) numbers of its recordings."""
    own: IntArray
    """Position of the recording of each of `rows` in `recordings`."""


@dataclass(frozen=True)
class SourcePair:
    """Two sources of one origin, and how often the first has the higher P(real)."""

    origin: str
    first: Source
    second: Source
    placed: PlacementAuroc
    """AUROC with the influence of the recordings of the first, then of the second."""


@dataclass(frozen=True)
class Floor:
    """The mean distance between sources of the same origin, and what resampling makes of it."""

    value: float
    replicates: FloatArray
    """(R,) the floor in each resample of recordings."""
    chance: FloatArray
    """(R,) the floor if sources differed by nothing but the recordings drawn."""
    num_pairs: int

    @classmethod
    def of(cls, aurocs: FloatArray, moved: FloatArray) -> Floor | None:
        """Make a floor of P AUROCs, and by how much each of R resamples moves them, (R, P)."""
        if not aurocs.size:
            return None
        apart = aurocs - CHANCE
        return cls(
            CHANCE + float(np.abs(apart).mean()),
            CHANCE + np.abs(apart + moved).mean(axis=1),
            CHANCE + np.abs(moved).mean(axis=1),
            aurocs.size,
        )

    @property
    def p(self) -> float:
        """Share of resamples in which chance alone gives a floor as high; never 0."""
        return float((1 + (self.chance >= self.value).sum()) / (1 + self.chance.size))

    def measured(self, confidence: float) -> MeasuredFloor:
        """The floor with its interval, and what chance makes of it."""
        interval = reflected_percentiles(self.value, self.replicates, confidence)
        # No interval of distances finds its way to 0; whether it belongs in is a test's to say.
        is_by_chance = self.p >= tails(confidence)[0]
        return MeasuredFloor(
            self.value,
            Interval(
                CHANCE if is_by_chance else max(interval.low, CHANCE), min(interval.high, 1.0)
            ),
            by_chance=rounded(self.chance.mean()),
            p=rounded(self.p),
            num_pairs=self.num_pairs,
        )


def large_sources(pool: Pool) -> tuple[list[Source], int, int]:
    """Sources of `FEWEST_RECORDINGS` and more.

    Returns:
        Those of `Examples.largest_sources`, how many sources have fewer recordings, and how many
        others were left out.
    """
    names, codes = np.unique(pool.examples.source.astype(str), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    largest = set(pool.examples.largest_sources())
    found, num_small = [], 0
    by_source = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    for name, rows in zip(names, by_source, strict=True):
        recordings, own = np.unique(pool.examples.clusters[rows], return_inverse=True)
        if recordings.size < FEWEST_RECORDINGS:
            num_small += 1
        elif str(name) in largest:
            found.append(Source(str(name), rows, recordings, own))
    return found, num_small, names.size - num_small - len(found)


def pairs(pool: Pool, sources: Sequence[Source]) -> list[SourcePair]:
    """Pair every two sources of the same origin that have clips to compare."""
    examples = pool.examples
    discharge = examples.discharge.astype(np.int64)
    found = []
    for origin in ORIGINS:
        alike = [one for one in sources if (examples.origin[one.rows] == origin).all()]
        for first, second in itertools.combinations(alike, 2):
            rows = np.concatenate([first.rows, second.rows])
            placed = place(
                np.arange(rows.size) < first.rows.size,
                examples.p_real[rows],
                np.concatenate([first.own, second.own + first.recordings.size]),
                first.recordings.size + second.recordings.size,
                discharge[rows],
            )
            if placed is not None:
                found.append(SourcePair(origin, first, second, placed))
    return found


def claim(pool: Pool, origin: str) -> PlacementAuroc | None:
    """Rank real footage above that of another origin by P(real)."""
    examples = pool.examples
    chosen = np.isin(examples.origin, ("real", origin))
    return place(
        examples.origin[chosen] == "real",
        examples.p_real[chosen],
        examples.clusters[chosen],
        int(examples.clusters.max()) + 1,
        examples.discharge[chosen].astype(np.int64),
    )


def resample(
    pool: Pool,
    pairs: Sequence[SourcePair],
    claims: Mapping[str, PlacementAuroc | None],
    bootstrap: Bootstrap,
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Move the AUROC of pairs (R, P) and of claims by each of R resamples of recordings."""
    moved_by: dict[str, tuple[Source, list[int], list[FloatArray]]] = {}
    for number, pair in enumerate(pairs):
        halves = np.split(pair.placed.influence, [pair.first.recordings.size])
        for source, influence in zip((pair.first, pair.second), halves, strict=True):
            _, numbers, influences = moved_by.setdefault(source.name, (source, [], []))
            numbers.append(number)
            influences.append(influence)
    moved, claims_moved = [], []
    num_recordings = int(pool.examples.clusters.max()) + 1
    known = {origin: one.influence for origin, one in claims.items() if one is not None}
    for weights in bootstrap.weights(np.arange(num_recordings)):
        more = weights - 1
        part = np.zeros((len(more), len(pairs)))
        for source, numbers, influences in moved_by.values():
            part[:, numbers] += more[:, source.recordings] @ np.column_stack(influences)
        moved.append(part)
        claims_moved.append({origin: more @ influence for origin, influence in known.items()})
    return np.concatenate(moved), {
        origin: np.concatenate([part[origin] for part in claims_moved]) for origin in known
    }
