"""Two models on the same clips, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.assess import wording
from pipeline.assess.evidence import Cell, Examined, Section, State, Table, Verdict, measured
from pipeline.assess.judged_sets import JudgedSet, tables
from pipeline.assess.statistics import paired_differences
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measurement import as_json
from pipeline.assess.statistics.paired_differences import Differences

_JUDGED = {"shooting": "the alert", "origin": "the origin"}
_METRIC = "auroc"


def examine(
    first: Sequence[JudgedSet], second: Sequence[JudgedSet], name: str, bootstrap: Bootstrap
) -> Examined:
    """Paired differences of every metric, the other model minus this one.

    Args:
        first: the parts as this model scores them.
        second: the same parts as the other model does.
        name: what to call the other model.
        bootstrap: resamples recordings, for both models alike.

    Raises:
        UserError: the parts do not hold the same examples.
    """
    found = {
        one.name: paired_differences.compare(one.examples, other.examples, bootstrap)
        for one, other in zip(first, second, strict=True)
    }
    section = Section(
        lead=(
            f"The same clips, scored by this model and by “{name}”. Both are right and wrong about "
            "much the same recordings, so the difference is better known than either value: an "
            "interval of the difference that holds 0 shows no difference."
        ),
        verdicts=[
            _verdict(part, question, differences, name)
            for part, differences in found.items()
            for question in _JUDGED
        ],
        panels=[_table(part, differences, name) for part, differences in found.items()],
        metrics=as_json({"other": name, "judged_sets": found}),
        plots={"differences.csv": (_HEADER, list(_rows(found)))},
        rows=tables(second),
    )
    return Examined("against", "Against another model", section)


_HEADER = ("part", "question", "metric", "this", "other", "difference", "low", "high")


def _rows(found: Mapping[str, Mapping[str, Differences]]) -> Sequence[Sequence[Any]]:
    return [
        (part, question, metric, one.first, one.second, *one.difference.row)
        for part, questions in found.items()
        for question, differences in questions.items()
        for metric, one in differences.by_metric.items()
    ]


def _verdict(
    part: str, question: str, differences: Mapping[str, Differences], name: str
) -> Verdict:
    """Green where this model is better beyond chance, red where the other is, else amber."""
    found = differences[question].by_metric[_METRIC]
    difference = found.difference
    label = f"{wording.METRIC_NAMES[_METRIC]} of {_JUDGED[question]} on {part}"
    key = f"{part}_{question}"
    if difference.interval is None and difference.value == 0:
        # As where adapting kept the layers: no resample could tell the two apart.
        value = wording.number(_METRIC, found.first)
        return Verdict(key, "amber", f"{label}: no difference is shown; both have {value}.")
    if difference.interval is None:
        reason = difference.reason or "there is no interval"
        return Verdict(key, "grey", f"{label}: the two cannot be compared: {reason}.")
    low, high = difference.interval.low, difference.interval.high
    state: State = "green" if high < 0 else "red" if low > 0 else "amber"
    said = {
        "green": f"this model is better than “{name}”",
        "red": f"“{name}” is better than this model",
        "amber": "no difference is shown",
    }[state]
    numbers = f"{difference.known:+.3f} for “{name}” ({low:+.3f} to {high:+.3f})"
    return Verdict(key, state, f"{label}: {said}; {numbers}.")


def _table(part: str, differences: Mapping[str, Differences], name: str) -> Table:
    rows = []
    for question, title in wording.QUESTION_NAMES.items():
        found, p = differences[question].by_metric, differences[question].delong_p
        for metric, label in wording.METRIC_NAMES.items():
            if metric not in found:
                continue
            one = found[metric]
            rows.append(
                [
                    Cell(title),
                    Cell(label),
                    *(
                        Cell(wording.number(metric, value), sort=value)
                        for value in (one.first, one.second)
                    ),
                    measured("difference", one.difference),
                    Cell(f"{p:.3f}", sort=p) if metric == "auroc" and p is not None else Cell(""),
                ]
            )
    columns = ("Question", "Metric", "This model", name, f"{name} less this model", "p (DeLong)")
    return Table(f"Paired differences, {part}", columns, rows)
