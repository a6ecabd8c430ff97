"""Discrimination: how well the detector tells apart the alert and the two answers behind it.

A verdict is green where the AUROC's interval lies above chance, red where that is not so and the
interval leaves out any AUROC worth having, and amber where the recordings are too few to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.assess import wording
from pipeline.assess.evidence import Cell, Csv, Evidence, Section, Table, Verdict, count, measured
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.statistics.measurement import as_json
from pipeline.assess.statistics.questions import CHANCE, WORTH_HAVING, JudgedQuestion
from pipeline.assess.statistics.summary import Confusion, Summary
from pipeline.store.manifest import CLASSES

TITLE = "Discrimination"

_SUBJECTS = {
    "shooting": "real shootings from everything else",
    "origin": "real from fictional footage",
    "discharge": "footage with a discharge from footage without",
}
assert tuple(_SUBJECTS) == tuple(wording.QUESTION_NAMES)


def run(evidence: Evidence) -> Section:
    """Judge the metrics of the three questions, a part at a time; no clip is read."""
    found = {name: summary.questions for name, summary in evidence.summaries.items()}
    return Section(
        lead=(
            "Three questions, each asked of every example: is it a real shooting, is it real, is "
            "a firearm discharged. The AUROC says how often the right one of two examples gets "
            "the higher score: 0.5 is a coin, 1 is perfect. Rates at few false alarms say what an "
            "alert would be worth. Intervals are over recordings."
        ),
        verdicts=[
            _verdict(name, part, found[part.name][name], first=part is evidence.judged_sets[0])
            for part in evidence.judged_sets
            for name in _SUBJECTS
        ],
        panels=[_table(name, evidence.judged_sets, found) for name in _SUBJECTS],
        metrics=as_json(
            {
                name: {**summary.questions, "confusion": _confusion(summary)}
                for name, summary in evidence.summaries.items()
            }
        ),
        plots={"aurocs.csv": _plot(found)},
    )


def _verdict(name: str, part: JudgedSet, result: JudgedQuestion, first: bool) -> Verdict:
    key = f"better_than_chance_{name}" + ("" if first else f"_{part.name}")
    auroc = result["auroc"]
    subject = f"{part.meaning}: telling {_SUBJECTS[name]}"
    if auroc.value is None:
        return Verdict(key, "grey", f"{subject} cannot be judged, {auroc.reason}.")
    shown = f"AUROC {wording.number('auroc', auroc.value)}"
    if auroc.interval is None:
        return Verdict(key, "grey", f"{subject} cannot be judged: {shown}, {auroc.reason}.")
    shown += f" ({wording.interval('auroc', auroc)})"
    low, high = auroc.interval.low, auroc.interval.high
    if high < CHANCE:
        return Verdict(
            key, "red", f"{subject} is worse than guessing, {shown}; labels may be swapped."
        )
    if low <= CHANCE and high < WORTH_HAVING:
        return Verdict(key, "red", f"{subject} is no better than guessing, {shown}.")
    if low <= CHANCE:
        return Verdict(key, "amber", f"{subject} is not shown to be better than guessing, {shown}.")
    if high < WORTH_HAVING:
        return Verdict(key, "amber", f"{subject} is hardly better than guessing, {shown}.")
    return Verdict(key, "green", f"{subject} is better than guessing, {shown}.")


def _table(
    name: str, parts: Sequence[JudgedSet], found: Mapping[str, Mapping[str, JudgedQuestion]]
) -> Table:
    """Show a row a metric, a column a part."""
    results = [found[part.name][name] for part in parts]
    sizes = [
        [Cell("Examples with the answer yes"), *(count(r.num_positives) for r in results)],
        [Cell("Examples with the answer no"), *(count(r.num_negatives) for r in results)],
    ]
    rows = [
        [Cell(label), *(measured(metric, result[metric]) for result in results)]
        for metric, label in wording.METRIC_NAMES.items()
    ]
    return Table(
        wording.QUESTION_NAMES[name], ["Metric", *(part.meaning for part in parts)], sizes + rows
    )


def _confusion(summary: Summary) -> Confusion:
    """Counts of examples by actual and predicted class, absent classes included."""
    nothing = dict.fromkeys(CLASSES, 0)
    return {actual: summary.confusion.get(actual, nothing) for actual in CLASSES}


def _plot(found: Mapping[str, Mapping[str, JudgedQuestion]]) -> Csv:
    rows = [
        (part, name, *result["auroc"].row)
        for part, results in found.items()
        for name, result in results.items()
    ]
    return ("part", "question", "auroc", "low", "high"), rows
