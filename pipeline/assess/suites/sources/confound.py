"""Confounding: whether a score follows the class, or the source that the class comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.assess import wording
from pipeline.assess.evidence import Cell, Table, Verdict, text
from pipeline.assess.examples import Examples, Texts
from pipeline.assess.judged_sources import Pool, judged
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.questions import CHANCE
from pipeline.numbers.metrics import FloatArray, IntArray
from pipeline.numbers.rounding import rounded


@dataclass(frozen=True)
class Shares:
    """Shares of the score's variance, all in [0, 1]."""

    by_source: float
    """Between sources among clips of the same class (eta squared; Fisher, 1925)."""
    by_chance: float
    """The share that recordings drawn anew into the same sources give on average."""
    by_class: float
    """Between classes among clips of the same source."""
    p: float
    """Share of such draws that give at least `by_source`; never 0."""


def judge_confound(pool: Pool, bootstrap: Bootstrap) -> tuple[Verdict, Table, dict[str, Any]]:
    """Judge whether the source explains the alert among real footage, where origin is no help.

    Red where no real source shows both answers, so that the source alone tells them, or where the
    alert beats its own AUROC within sources beyond chance while that is not above chance. Amber
    where all shootings are of one source, or the score follows the source more than the class.
    """
    examples, real = pool.examples, pool.examples.origin == "real"
    codes = np.unique(examples.source, return_inverse=True)[1].astype(np.int64)
    pooled, within = pool.place(real), pool.place(real, codes)
    ahead = None
    if pooled is not None and within is not None:
        ahead = pooled.beyond(within, bootstrap.confidence)
    divided = {
        origin: shares(
            examples.among(examples.origin == origin), bootstrap.num_resamples, bootstrap.seed
        )
        for origin in sorted(set(examples.origin))
    }
    results = {
        "pooled_auroc": judged(pooled, bootstrap.confidence),
        "within_source_auroc": judged(within, bootstrap.confidence),
        "pooled_ahead_by": ahead,
        "score_variance": {
            origin: None if one is None else _rounded(one) for origin, one in divided.items()
        },
    }
    rows = [[text(origin), *_share_cells(one)] for origin, one in divided.items()]
    table = Table(
        "What the score follows",
        ["Origin", "Source, at equal class", "By chance", "p", "Class, at equal source"],
        rows,
        caption=(
            "Share of the score's variance between sources among clips of the same class, what "
            "recordings drawn into sources by lot would give, and the share between classes "
            "within the same source."
        ),
    )
    verdict = _verdict(
        examples.source[real & examples.is_shooting],
        bool((real & ~examples.is_shooting).any()),
        results,
        divided.get("real"),
        1 - bootstrap.confidence,
    )
    return verdict, table, results


def _verdict(
    shooting_sources: Texts,
    has_others: bool,
    results: Mapping[str, Any],
    divided: Shares | None,
    significance: float,
) -> Verdict:
    name = "source_confound"
    if not shooting_sources.size:
        return Verdict(name, "grey", "Without a real shooting there is no alert to explain.")
    within, pooled = results["within_source_auroc"], results["pooled_auroc"]
    if within.value is None:
        if not has_others:
            return Verdict(name, "grey", "No real footage without a shooting was judged.")
        shown = "no real source shows both shootings and other footage"
        says = f"The source alone tells the answer here, {shown}: the alert cannot be trusted."
        return Verdict(name, "red", says)
    shown = f"within sources AUROC is {wording.number('auroc', within.value)}"
    if within.interval is None:
        return Verdict(name, "amber", f"Not to be told: {shown}, {within.reason}.")
    shown += (
        f" ({wording.interval('auroc', within)}), over all real footage "
        f"{wording.number('auroc', pooled.value)}"
    )
    above_chance = within.interval.low > CHANCE
    ahead = results["pooled_ahead_by"]
    if not above_chance and ahead.low is not None and ahead.low > 0:
        return Verdict(name, "red", f"The alert follows the source, not the shooting: {shown}.")
    if not above_chance:
        says = f"Within one source the detector is not shown to find shootings: {shown}."
        return Verdict(name, "amber", says)
    sources = sorted(set(shooting_sources))
    if len(sources) == 1:
        says = f"All real shootings are of one source, {sources[0]}; {shown}."
        return Verdict(name, "amber", says)
    if (
        divided is not None
        and divided.p < significance
        and divided.by_source - divided.by_chance > divided.by_class
    ):
        says = (
            f"Among real footage the score follows the source ({divided.by_source:.0%} of its "
            f"variance) more than the class ({divided.by_class:.0%}); {shown}."
        )
        return Verdict(name, "amber", says)
    return Verdict(name, "green", f"The alert holds within sources: {shown}.")


def _rounded(shares: Shares) -> dict[str, float]:
    return {name: rounded(value) for name, value in asdict(shares).items()}


def _share_cells(shares: Shares | None) -> list[Cell]:
    if shares is None:
        return [text(wording.DASH)] * 4
    return [
        Cell(wording.percent(shares.by_source), sort=shares.by_source),
        Cell(wording.percent(shares.by_chance), sort=shares.by_chance),
        Cell(f"{shares.p:.3f}", sort=shares.p),
        Cell(wording.percent(shares.by_class), sort=shares.by_class),
    ]


def shares(examples: Examples, num_permutations: int, seed: int) -> Shares | None:
    """Variance shares of the score, with recordings permuted among the sources of their class.

    Returns:
        None where no class has two sources, or the score never varies within a class.
    """
    score = examples.score
    class_ = np.unique(examples.actual, return_inverse=True)[1].astype(np.int64)
    source = np.unique(examples.source, return_inverse=True)[1].astype(np.int64)
    num_sources, num_classes = int(source.max()) + 1, int(class_.max()) + 1
    group = class_ * num_sources + source
    if np.unique(group).size == num_classes:
        return None
    within_class = _within(score, class_)
    if within_class == 0:
        return None
    by_source = 1 - _within(score, group) / within_class
    within_source = _within(score, source)
    by_class = 1 - _within(score, group) / within_source if within_source > 0 else 0.0

    # A recording's clips of one class move together.
    unit_of = class_ * (int(examples.clusters.max()) + 1) + examples.clusters
    _, first, unit = np.unique(unit_of, return_index=True, return_inverse=True)
    class_of_unit, source_of_unit = class_[first], source[first]
    counts, sums = _sums(unit), _sums(unit, score)
    by_mean = _explained(sums, counts, class_of_unit)
    rng = np.random.default_rng([seed, first.size])
    drawn = np.empty(num_permutations)
    for number in range(num_permutations):
        # Units are sorted by class, so sorting random numbers within classes permutes each class.
        order = np.lexsort((rng.random(first.size), class_of_unit))
        moved = class_of_unit * num_sources + source_of_unit[order]
        drawn[number] = (_explained(sums, counts, moved) - by_mean) / within_class
    at_least = int((drawn >= by_source - 1e-12).sum())
    return Shares(by_source, float(drawn.mean()), by_class, (1 + at_least) / (1 + num_permutations))


def _within(score: FloatArray, group: IntArray) -> float:
    """Sum of squared distances from the means of the groups."""
    means = _sums(group, score) * _inverse(_sums(group))
    return float(np.square(score - means[group]).sum())


def _explained(sums: FloatArray, counts: FloatArray, group: IntArray) -> float:
    """Sum of squares of the groups' means over all clips."""
    return float(np.square(_sums(group, sums)) @ _inverse(_sums(group, counts)))


def _sums(group: IntArray, values: FloatArray | None = None) -> FloatArray:
    """Sum of `values` in each group; how many there are without values."""
    return np.bincount(group, values).astype(np.float64)


def _inverse(counts: FloatArray) -> FloatArray:
    return np.divide(1.0, counts, out=np.zeros_like(counts), where=counts > 0)
