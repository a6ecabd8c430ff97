"""Reduces examples to `metrics.json`: every metric with its interval, overall and per source.

What the data cannot support is null beside a `reason`, never a number that looks like one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.assess.examples import Examples, origins_shown
from pipeline.assess.statistics import real_footage
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measurement import Measured, named_fields
from pipeline.assess.statistics.questions import (
    JudgedQuestion,
    Question,
    judge,
    judge_auroc,
    judge_share,
    tpr_key,
)
from pipeline.assess.statistics.real_footage import RealFootage
from pipeline.numbers import metrics
from pipeline.numbers.metrics import BoolArray
from pipeline.store.manifest import CLASSES, REAL_SHOOTING

Confusion = Mapping[str, Mapping[str, int]]
"""Counts of examples by actual, then predicted class; actual classes that occur."""
_ORIGIN_PAIRS = (
    (("real",), ("game",)),
    (("film",), ("game",)),
    (("real",), ("film",)),
    (("real",), ("generated",)),
    (("real", "film"), ("game",)),
)


def questions(examples: Examples) -> dict[str, Question]:
    """The alert itself and its two marginals."""
    clusters = examples.clusters
    return {
        "shooting": Question(examples.is_shooting, examples.score, clusters),
        "origin": Question(examples.origin == "real", examples.p_real, clusters),
        "discharge": Question(examples.discharge, examples.p_discharge, clusters),
    }


@dataclass(frozen=True)
class SourceSummary:
    """The metrics of one source."""

    origin_label: str
    rendered: bool
    num_examples: int
    num_recordings: int
    shooting: JudgedQuestion
    accuracy: Measured
    false_alarms: Measured
    confusion: Confusion


@dataclass(frozen=True)
class Summary:
    """All metrics of one split or collection; `as_json` makes its part of `metrics.json`."""

    num_examples: int
    num_recordings: int
    num_shootings: int
    num_shootings_rendered: int
    num_shooting_recordings: int
    shooting: JudgedQuestion
    origin: JudgedQuestion
    discharge: JudgedQuestion
    accuracy: Measured
    """Share of examples that are taken for the right class."""
    false_alarms: Measured
    """Share of what is no real shooting that is taken for one."""
    confusion: Confusion
    rendered_only: Mapping[str, Measured]
    """The `auroc` of the alert among what is labelled real and rendered."""
    real_footage: RealFootage
    origin_pairs: Mapping[str, Mapping[str, Measured]]
    """The `auroc` of P(real) by pair of groups of origins."""
    sources: Mapping[str, SourceSummary]
    num_sources_left_out: int
    num_rejected: int | None = None
    """Files that could not be judged; None where clips are judged."""
    learned_from: Sequence[str] | None = ()
    """Paths of judged files that the weights were made by; None where that could not be told."""

    @property
    def questions(self) -> dict[str, JudgedQuestion]:
        """Return what was found on each of `questions`."""
        return {
            "shooting": self.shooting,
            "origin": self.origin,
            "discharge": self.discharge,
        }

    def to_json(self) -> dict[str, Any]:
        """Return its fields; those on files only where files are judged."""
        found = named_fields(self)
        if self.num_rejected is None:
            del found["num_rejected"], found["learned_from"]
        return found


def summarize(examples: Examples, bootstrap: Bootstrap, num_bins: int) -> Summary:
    """Measure one split or collection."""
    asked = questions(examples)
    every = np.ones(len(examples), bool)
    sources = examples.largest_sources()
    is_shooting = examples.is_shooting
    rendered_real = examples.rendered & (examples.origin == "real")
    return Summary(
        num_examples=len(examples),
        num_recordings=int(examples.clusters.max()) + 1,
        num_shootings=int(is_shooting.sum()),
        num_shootings_rendered=int((is_shooting & examples.rendered).sum()),
        num_shooting_recordings=int(np.unique(examples.clusters[is_shooting]).size),
        shooting=judge(asked["shooting"], bootstrap, num_bins),
        origin=judge(asked["origin"], bootstrap, num_bins),
        discharge=judge(asked["discharge"], bootstrap, num_bins),
        accuracy=_accuracy(examples, every, bootstrap),
        false_alarms=_false_alarms(examples, every, bootstrap),
        confusion=_confusion(examples, every),
        rendered_only={"auroc": judge_auroc(asked["shooting"].among(rendered_real), bootstrap)},
        real_footage=real_footage.measure(examples, bootstrap),
        origin_pairs=_origin_pairs(examples, asked["origin"], bootstrap),
        sources={
            source: _summarize_source(
                examples, asked["shooting"], examples.source == source, bootstrap, num_bins
            )
            for source in sources
        },
        num_sources_left_out=len(set(examples.source)) - len(sources),
    )


def headline(found: Summary) -> dict[str, float | None]:
    """The dozen numbers of a summary that are worth comparing between two experiments.

    Few enough to read in `dvc metrics diff`; intervals stand beside those that an alert lives on.
    """
    shooting = found.shooting
    told: dict[str, float | None] = {}
    for name in ("auroc", tpr_key(0.01), tpr_key(0.001)):
        ends = zip(("value", "low", "high"), shooting[name].row, strict=True)
        told |= {f"{name}.{end}": value for end, value in ends}
    told |= {name: shooting[name].value for name in ("average_precision", "ece", "brier")}
    told |= {"accuracy": found.accuracy.value, "false_alarms": found.false_alarms.value}
    marginals = {"origin": found.origin, "discharge": found.discharge}
    told |= {f"{name}_auroc": judged["auroc"].value for name, judged in marginals.items()}
    told["real_footage_origin_auroc"] = found.real_footage.real.origin.auroc.value
    aurocs = [source.shooting["auroc"].value for source in found.sources.values()]
    known = [auroc for auroc in aurocs if auroc is not None]
    return told | {"worst_source_auroc": min(known, default=None)}


def _summarize_source(
    examples: Examples,
    shooting: Question,
    own: BoolArray,
    bootstrap: Bootstrap,
    num_bins: int,
) -> SourceSummary:
    return SourceSummary(
        origin_label=str(examples.origin[own][0]),
        rendered=bool(examples.rendered[own].any()),
        num_examples=int(own.sum()),
        num_recordings=int(np.unique(examples.clusters[own]).size),
        shooting=_judge_source(shooting, own, bootstrap, num_bins),
        accuracy=_accuracy(examples, own, bootstrap),
        false_alarms=_false_alarms(examples, own, bootstrap),
        confusion=_confusion(examples, own),
    )


def _judge_source(
    question: Question, own: BoolArray, bootstrap: Bootstrap, num_bins: int
) -> JudgedQuestion:
    """Judge a source; one that knows a single answer is set against all others of the other.

    A game holds no real shooting: what matters is how far its clips lie below all real ones.
    Calibration, which depends on how frequent an answer is, stays within the source.
    """
    compared = _compared(question, own)
    judged = judge(question.among(compared), bootstrap, num_bins)
    if compared.sum() > own.sum():
        within = judge(question.among(own), bootstrap, num_bins)
        own_alone = {name: within[name] for name in ("ece", "brier")}
        judged = replace(judged, metrics={**judged.metrics, **own_alone})
    return judged


def _compared(question: Question, own: BoolArray) -> BoolArray:
    """A source's examples, and those it is set against where it knows a single answer."""
    answers = np.unique(question.positive[own])
    return own if answers.size == 2 else own | (question.positive != answers[0])


def _origin_pairs(
    examples: Examples, question: Question, bootstrap: Bootstrap
) -> dict[str, dict[str, Measured]]:
    """Measure how well P(real) ranks the first group of origins above the second."""
    pairs = {}
    shown = origins_shown(examples.origin)
    for upper, lower in _ORIGIN_PAIRS:
        if not set(lower) <= set(shown):
            continue
        in_upper = np.isin(examples.origin, upper)
        chosen = in_upper | np.isin(examples.origin, lower)
        pair = Question(in_upper, question.probability, question.clusters)
        pairs[f"{'_'.join(upper)}_vs_{'_'.join(lower)}"] = {
            "auroc": judge_auroc(pair.among(chosen), bootstrap)
        }
    return pairs


def _accuracy(examples: Examples, own: BoolArray, bootstrap: Bootstrap) -> Measured:
    right = examples.predicted[own] == examples.actual[own]
    return judge_share(right, examples.clusters[own], bootstrap)


def _false_alarms(examples: Examples, own: BoolArray, bootstrap: Bootstrap) -> Measured:
    others = own & ~examples.is_shooting
    alarms = examples.predicted[others] == REAL_SHOOTING
    return judge_share(alarms, examples.clusters[others], bootstrap)


def _confusion(examples: Examples, own: BoolArray) -> dict[str, dict[str, int]]:
    table = metrics.confusion(examples.actual[own], examples.predicted[own], len(CLASSES))
    return {
        actual: {predicted: int(table[i, j]) for j, predicted in enumerate(CLASSES)}
        for i, actual in enumerate(CLASSES)
        if table[i].any()
    }
