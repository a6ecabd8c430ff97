"""Mistakes worth looking at: the surest ones, one a recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.assess.examples import Examples
from pipeline.numbers.metrics import BoolArray, FloatArray
from pipeline.store.manifest import REAL_SHOOTING


@dataclass(frozen=True)
class HardestMistakes:
    """Mistakes of one kind, the hardest first; `rows` number the examples."""

    title: str
    rows: tuple[int, ...]
    num_mistakes: int
    """Number of all mistakes of the kind."""


def hardest(examples: Examples, num_mistakes: int) -> list[HardestMistakes]:
    """Missed shootings, false alarms and other mix-ups, at most `num_mistakes` of each."""
    said = examples.predicted == REAL_SHOOTING
    p_origin = np.where(examples.origin == "real", examples.p_real, 1 - examples.p_real)
    p_discharge = np.where(examples.discharge, examples.p_discharge, 1 - examples.p_discharge)
    other = (examples.predicted != examples.actual) & ~said & ~examples.is_shooting
    kinds = (
        ("Missed shootings", examples.is_shooting & ~said, examples.score),
        ("False alarms", ~examples.is_shooting & said, -examples.score),
        ("Other mix-ups", other, p_origin * p_discharge),
    )
    return [
        HardestMistakes(
            title, _first_of_recordings(examples, wrong, order, num_mistakes), int(wrong.sum())
        )
        for title, wrong, order in kinds
    ]


def _first_of_recordings(
    examples: Examples, wrong: BoolArray, order: FloatArray, num_mistakes: int
) -> tuple[int, ...]:
    rows = np.flatnonzero(wrong)
    rows = rows[np.argsort(order[rows], kind="stable")]
    _, first = np.unique(examples.clusters[rows], return_index=True)
    return tuple(int(row) for row in rows[np.sort(first)][:num_mistakes])
