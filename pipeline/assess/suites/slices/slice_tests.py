"""Slices against the rest of a part, many at once, held to one rate of false discoveries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.assess.evidence import State, gravest_told
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.statistics import cluster_variance
from pipeline.assess.statistics.cluster_variance import ClusteredEstimate
from pipeline.assess.statistics.false_discoveries import beyond_chance
from pipeline.assess.statistics.questions import FEWEST_RECORDINGS
from pipeline.assess.statistics.summary import questions
from pipeline.assess.suites.slices.notes import Slice
from pipeline.store.manifest import REAL_SHOOTING

LOSS = 0.1
"""A loss in AUROC or in false alarms that would change where the detector may be used."""
FALSE_ALARMS = "false_alarms"
MEASURES = {
    "shooting": "AUROC, real shooting",
    "origin": "AUROC, origin",
    "discharge": "AUROC, discharge",
    FALSE_ALARMS: "False alarms",
}


@dataclass
class SliceComparison:
    """A measure of a slice against the rest."""

    measure: str
    own: ClusteredEstimate | None
    rest: ClusteredEstimate | None
    confidence: float
    worse: bool = False
    """Beyond chance, among all comparisons."""

    @property
    def difference(self) -> ClusteredEstimate | None:
        """Own less rest; None where either is too small to be compared."""
        if self.own is None or self.rest is None:
            return None
        if min(self.own.num_recordings, self.rest.num_recordings) < FEWEST_RECORDINGS:
            return None
        return self.own - self.rest

    @property
    def chance(self) -> float | None:
        """Return the one-sided chance of being as much worse."""
        difference = self.difference
        if difference is None:
            return None
        return (-difference if self.measure == FALSE_ALARMS else difference).chance_of_less()

    @property
    def state(self) -> State:
        """Red where worse; green where a loss of `LOSS` would show; grey where too small."""
        difference = self.difference
        if difference is None:
            return "grey"
        if self.worse:
            return "red"
        ends = difference.interval(self.confidence)
        loss = ends.high if self.measure == FALSE_ALARMS else -ends.low
        return "green" if loss < LOSS else "amber"


@dataclass(frozen=True)
class Judged:
    """A slice of a part, and its comparisons by measure."""

    part: str
    slice: Slice
    num_clips: int
    num_recordings: int
    comparisons: Mapping[str, SliceComparison]

    @property
    def state(self) -> State:
        """The worst of its comparisons; grey where it is too small for all of them."""
        return gravest_told(one.state for one in self.comparisons.values())


def judge_slice(part: JudgedSet, one: Slice, confidence: float) -> Judged:
    """Compare a slice with the rest by every measure; `correct` then says what is no chance."""
    examples = part.examples
    asked = questions(examples)
    rest = one.known & ~one.member
    comparisons = {
        name: SliceComparison(
            name,
            cluster_variance.auroc(question, one.member),
            cluster_variance.auroc(question, rest),
            confidence,
        )
        for name, question in asked.items()
    }
    alarms, others = examples.predicted == REAL_SHOOTING, ~examples.is_shooting
    own, remaining = (
        cluster_variance.share(alarms, asked["shooting"], side & others)
        for side in (one.member, rest)
    )
    comparisons[FALSE_ALARMS] = SliceComparison(FALSE_ALARMS, own, remaining, confidence)
    return Judged(
        part.name,
        one,
        int(one.member.sum()),
        int(np.unique(examples.clusters[one.member]).size),
        comparisons,
    )


def correct(judged: Sequence[Judged]) -> None:
    """Mark the comparisons that are worse beyond chance among all of them, in place."""
    compared = [one for row in judged for one in row.comparisons.values()]
    worse = beyond_chance([one.chance for one in compared])
    for one, is_worse in zip(compared, worse, strict=True):
        one.worse = is_worse
