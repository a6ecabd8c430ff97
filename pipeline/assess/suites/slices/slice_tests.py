"""Slices against the rest of a part, many at once, held to one rate of false discoveries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control

from pipeline.assess.clip_scores import Scored
from pipeline.assess.evidence import State
from pipeline.assess.examples import SHOOTING
from pipeline.assess.statistics import cluster_variance
from pipeline.assess.statistics.cluster_variance import Estimate
from pipeline.assess.statistics.summary import questions
from pipeline.assess.suites.slices.notes import Slice

MIN_RECORDINGS = 5
"""Of each answer, in the slice and in the rest: fewer are no ground for a comparison."""
LOSS = 0.1
"""In AUROC or in the share of false alarms: what would change where the detector may be used."""
FALSE_DISCOVERY_RATE = 0.05
FALSE_ALARMS = "false_alarms"
MEASURES = {
    "shooting": "AUROC, real shooting",
    "origin": "AUROC, origin",
    "discharge": "AUROC, discharge",
    FALSE_ALARMS: "False alarms",
}
_WORST_FIRST: tuple[State, ...] = ("red", "amber", "green", "grey")


@dataclass
class Comparison:
    """One measure of one slice against the rest."""

    measure: str
    own: Estimate | None
    rest: Estimate | None
    confidence: float
    worse: bool = False
    """Beyond chance, among all comparisons."""

    @property
    def difference(self) -> Estimate | None:
        """Own less rest; None where either is too small to be compared."""
        if self.own is None or self.rest is None:
            return None
        if min(self.own.num_recordings, self.rest.num_recordings) < MIN_RECORDINGS:
            return None
        return self.own - self.rest

    @property
    def chance(self) -> float | None:
        """One-sided chance of being as much worse."""
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
    """One slice of one part, and its comparisons by measure."""

    part: str
    slice: Slice
    num_clips: int
    num_recordings: int
    comparisons: Mapping[str, Comparison]

    @property
    def state(self) -> State:
        """The worst of its comparisons; grey where it is too small for all of them."""
        states = [one.state for one in self.comparisons.values()]
        return min(states, key=_WORST_FIRST.index)


def judge_slice(part: Scored, one: Slice, confidence: float) -> Judged:
    """Compare a slice with the rest by every measure; `correct` then says what is no chance."""
    examples = part.examples
    asked = questions(examples)
    rest = one.known & ~one.member
    comparisons = {
        name: Comparison(
            name,
            cluster_variance.auroc(question, one.member),
            cluster_variance.auroc(question, rest),
            confidence,
        )
        for name, question in asked.items()
    }
    alarms, others = examples.predicted == SHOOTING, ~examples.is_shooting
    own, remaining = (
        cluster_variance.share(alarms, asked["shooting"], side & others)
        for side in (one.member, rest)
    )
    comparisons[FALSE_ALARMS] = Comparison(FALSE_ALARMS, own, remaining, confidence)
    return Judged(
        part.name,
        one,
        int(one.member.sum()),
        int(np.unique(examples.clusters[one.member]).size),
        comparisons,
    )


def correct(judged: Sequence[Judged]) -> None:
    """Mark the comparisons that are worse beyond chance among all of them, in place."""
    compared = [(one, one.chance) for row in judged for one in row.comparisons.values()]
    tested = [(one, chance) for one, chance in compared if chance is not None]
    if tested:
        adjusted = false_discovery_control([chance for _, chance in tested])
        for (one, _), chance in zip(tested, adjusted, strict=True):
            one.worse = bool(chance <= FALSE_DISCOVERY_RATE)
