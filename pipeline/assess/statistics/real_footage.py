"""The headline numbers on real footage alone, beside the same numbers on imitations of it.

Real footage is labelled real and no computer rendered it; an imitation is labelled real and
rendered. Both are set against the same fictional examples, so that only the real side differs:
those that no computer rendered in imitation of a game or a film, because what a detector says of
imitations is no measure of what it says of the world. Those are set against both apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.assess.examples import Examples, origins_shown
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.questions import (
    FALSE_POSITIVE_RATES,
    Question,
    judge,
    judge_auroc,
    judge_share,
    supported,
    tpr_key,
)
from pipeline.numbers import metrics
from pipeline.numbers.metrics import BoolArray, FloatArray, IntArray
from pipeline.store.manifest import REAL_SHOOTING, class_index

GROUPS = ("real", "imitations")
FOUND = tpr_key(FALSE_POSITIVE_RATES[0])
"""Name of the share found at 1 % false alarms."""
_NUM_BINS = 10


@dataclass(frozen=True)
class Ranked:
    """Tells how well one side is ranked above the other."""

    auroc: Measured
    found: Measured
    """The share found at 1 % false alarms."""

    def to_json(self) -> dict[str, Measured]:
        """Both under the names of their metrics."""
        return {"auroc": self.auroc, FOUND: self.found}


@dataclass(frozen=True)
class FootageGroup:
    """Numbers on real footage, or on imitations of it, against what is fictional."""

    num_examples: int
    num_recordings: int
    num_sources: int
    origin: Ranked
    shooting: Ranked
    """Against the group's own other footage too."""
    discharge: Mapping[str, Measured]
    """The `auroc` within the group."""
    false_alarms: Measured
    """Share of the group's other footage that is taken for a real shooting."""
    against: Mapping[str, Measured]
    """The AUROC of the origin by fictional origin."""
    against_rendered: Measured
    """The AUROC of the origin against what is fictional and rendered."""


@dataclass(frozen=True)
class RealFootage:
    """Numbers of both groups, and how far the first lies above the other."""

    real: FootageGroup
    imitations: FootageGroup
    difference: Measured
    """The AUROC of the origin on real footage less that on imitations, in the same resamples."""

    @property
    def groups(self) -> tuple[FootageGroup, FootageGroup]:
        """Both, in the order of `GROUPS`."""
        return self.real, self.imitations


def members(examples: Examples, group: str) -> BoolArray:
    """(N,) whether an example is real footage, or an imitation of it; `group` of `GROUPS`."""
    return np.asarray((examples.origin == "real") & (examples.rendered == (group != "real")), bool)


def measure(examples: Examples, bootstrap: Bootstrap) -> RealFootage:
    """Measure both groups against what is fictional and not rendered."""
    real, imitations = (_group(examples, group, bootstrap) for group in GROUPS)
    return RealFootage(real, imitations, _difference(examples, bootstrap))


def fictional(examples: Examples) -> BoolArray:
    """(N,) whether an example is fictional, and no computer rendered it in imitation."""
    return np.asarray((examples.origin != "real") & ~examples.rendered, bool)


def by_recording(examples: Examples) -> Examples:
    """Join the examples of a recording, source and origin to one, resampled by source.

    As for files, P(real) is a mean and the others are maxima.
    """
    keys = list(
        zip(examples.cluster, examples.source, examples.origin, examples.rendered, strict=True)
    )
    numbers: dict[tuple[Any, ...], int] = {}
    code: IntArray = np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
    size = np.bincount(code)

    def most(values: FloatArray | BoolArray) -> FloatArray:
        highest = np.zeros(size.size)
        np.maximum.at(highest, code, values.astype(np.float64))
        return highest

    p_real, p_discharge = np.bincount(code, examples.p_real) / size, most(examples.p_discharge)
    pairs = zip(p_real >= 0.5, p_discharge >= 0.5, strict=True)
    columns = [np.array(column, object) for column in zip(*numbers, strict=True)]
    return Examples(
        origin=columns[2],
        discharge=most(examples.discharge) > 0,
        source=columns[1],
        cluster=columns[1],
        rendered=columns[3].astype(bool),
        score=most(examples.score),
        p_real=p_real,
        p_discharge=p_discharge,
        predicted=np.array(
            [class_index("real" if real else "game", bool(fires)) for real, fires in pairs],
            np.int64,
        ),
    )


def _group(examples: Examples, group: str, bootstrap: Bootstrap) -> FootageGroup:
    own, unrendered = members(examples, group), fictional(examples)
    rendered: BoolArray = (examples.origin != "real") & examples.rendered
    origin = Question(own, examples.p_real, examples.clusters)
    shooting = Question(own & examples.is_shooting, examples.score, examples.clusters)
    discharge = Question(examples.discharge, examples.p_discharge, examples.clusters)
    others = own & ~examples.is_shooting
    return FootageGroup(
        num_examples=int(own.sum()),
        num_recordings=int(np.unique(examples.clusters[own]).size),
        num_sources=len(set(examples.source[own])),
        origin=_ranked(origin.among(own | unrendered), bootstrap),
        shooting=_ranked(shooting.among(own | unrendered), bootstrap),
        discharge={"auroc": judge_auroc(discharge.among(own), bootstrap)},
        false_alarms=judge_share(
            examples.predicted[others] == REAL_SHOOTING, examples.clusters[others], bootstrap
        ),
        against={
            name: judge_auroc(origin.among(own | unrendered & (examples.origin == name)), bootstrap)
            for name in origins_shown(examples.origin[unrendered])
            if name != "real"
        },
        against_rendered=judge_auroc(origin.among(own | rendered), bootstrap),
    )


def _ranked(question: Question, bootstrap: Bootstrap) -> Ranked:
    if np.unique(question.positive).size < 2:
        nothing = judge_auroc(question, bootstrap)
        return Ranked(nothing, nothing)
    judged = judge(question, bootstrap, _NUM_BINS)
    return Ranked(judged["auroc"], judged[FOUND])


def _difference(examples: Examples, bootstrap: Bootstrap) -> Measured:
    """The AUROC of the origin on real footage less that on imitations."""
    unrendered = fictional(examples)
    groups = [members(examples, group) for group in GROUPS]
    if not unrendered.any() or not all(own.any() for own in groups):
        return Measured.unknown("one of the two is missing")
    rankings = [
        (chosen, metrics.Ranking(own[chosen], examples.p_real[chosen]))
        for own, chosen in ((own, own | unrendered) for own in groups)
    ]

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        first, second = (
            metrics.auroc(ranking.counts(weights[:, chosen])) for chosen, ranking in rankings
        )
        return {"difference": first - second}

    value = float(statistics(np.ones((1, len(examples))))["difference"][0])
    interval = bootstrap.intervals(statistics, examples.clusters)["difference"]
    weakest = min(_questions(examples, groups), key=lambda one: one.num_recordings(True))
    return supported("difference", value, interval, weakest)


def _questions(examples: Examples, groups: list[BoolArray]) -> Iterator[Question]:
    for own in groups:
        chosen = own | fictional(examples)
        yield Question(own, examples.p_real, examples.clusters).among(chosen)
