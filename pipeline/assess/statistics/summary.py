"""Reduces examples to `metrics.json`: every metric with its interval, overall and per source.

What the data cannot support is null beside a `reason`, never a number that looks like one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.assess.examples import Examples, origins_shown
from pipeline.assess.statistics import real_footage
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measured import Measured
from pipeline.assess.statistics.questions import (
    JudgedQuestion,
    Question,
    judge,
    judge_auroc,
    judge_share,
    tpr_key,
)
from pipeline.numbers import metrics
from pipeline.numbers.metrics import BoolArray
from pipeline.store.manifest import CLASSES, REAL_SHOOTING

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


def summarize(examples: Examples, bootstrap: Bootstrap, num_bins: int) -> dict[str, Any]:
    """All metrics of one split or collection; `as_json` makes `metrics.json` of them."""
    asked = questions(examples)
    every = np.ones(len(examples), bool)
    sources = examples.largest_sources()
    rendered_real = examples.rendered & (examples.origin == "real")
    return {
        **_sizes(examples),
        **{name: judge(question, bootstrap, num_bins) for name, question in asked.items()},
        "accuracy": _accuracy(examples, every, bootstrap),
        "false_alarms": _false_alarms(examples, every, bootstrap),
        "confusion": _confusion(examples, every),
        "rendered_only": {"auroc": judge_auroc(asked["shooting"].among(rendered_real), bootstrap)},
        "real_footage": real_footage.measure(examples, bootstrap),
        "origin_pairs": _origin_pairs(examples, asked["origin"], bootstrap),
        "sources": {
            source: _summarize_source(
                examples, asked["shooting"], examples.source == source, bootstrap, num_bins
            )
            for source in sources
        },
        "num_sources_left_out": len(set(examples.source)) - len(sources),
    }


def headline(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """The dozen numbers of a summary that are worth comparing between two experiments.

    Few enough to read in `dvc metrics diff`; intervals stand beside those that an alert lives on.
    """
    shooting = metrics["shooting"]
    found: dict[str, float | None] = {}
    for name in ("auroc", tpr_key(0.01), tpr_key(0.001)):
        ends = zip(("value", "low", "high"), shooting[name].row, strict=True)
        found |= {f"{name}.{part}": value for part, value in ends}
    found |= {name: shooting[name].value for name in ("average_precision", "ece", "brier")}
    found |= {name: metrics[name].value for name in ("accuracy", "false_alarms")}
    found |= {f"{name}_auroc": metrics[name]["auroc"].value for name in ("origin", "discharge")}
    found["real_footage_origin_auroc"] = metrics["real_footage"]["real"]["origin"]["auroc"].value
    aurocs = [source["shooting"]["auroc"].value for source in metrics["sources"].values()]
    known = [auroc for auroc in aurocs if auroc is not None]
    return found | {"worst_source_auroc": min(known, default=None)}


def _sizes(examples: Examples) -> dict[str, int]:
    shooting = examples.is_shooting
    return {
        "num_examples": len(examples),
        "num_recordings": int(examples.clusters.max()) + 1,
        "num_shootings": int(shooting.sum()),
        "num_shootings_rendered": int((shooting & examples.rendered).sum()),
        "num_shooting_recordings": int(np.unique(examples.clusters[shooting]).size),
    }


def _summarize_source(
    examples: Examples,
    shooting: Question,
    own: BoolArray,
    bootstrap: Bootstrap,
    num_bins: int,
) -> dict[str, Any]:
    return {
        "origin_label": str(examples.origin[own][0]),
        "rendered": bool(examples.rendered[own].any()),
        "num_examples": int(own.sum()),
        "num_recordings": int(np.unique(examples.clusters[own]).size),
        "shooting": _judge_source(shooting, own, bootstrap, num_bins),
        "accuracy": _accuracy(examples, own, bootstrap),
        "false_alarms": _false_alarms(examples, own, bootstrap),
        "confusion": _confusion(examples, own),
    }


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
) -> dict[str, dict[str, Any]]:
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
    """Share of what is no real shooting that looks most like one."""
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
