"""The report's own tables: metrics, sources, pairs of origins, data and files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipeline.assess import wording
from pipeline.assess.evidence import Cell, Table, count, measured, text
from pipeline.assess.page.contents import DataRow, Part
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.questions import tpr_key
from pipeline.store.manifest import CLASSES

_SHARES = ("Right class", "False alarms")


def question_table(question: str, parts: Sequence[Part]) -> Table:
    """All metrics of one question: a row a metric, a column a part."""
    results = [part.metrics.questions[question] for part in parts]
    sizes = [
        f"{part.name}: {result.num_positives:,} yes, {result.num_negatives:,} no"
        for part, result in zip(parts, results, strict=True)
    ]
    rows = [
        [text(label), *(measured(name, result[name]) for result in results)]
        for name, label in wording.METRIC_NAMES.items()
    ]
    return Table(wording.QUESTION_NAMES[question], ["Metric", *sizes], rows)


def source_table(part: Part, unit: str) -> Table:
    """All metrics of the alert, a row a source."""
    rows = [
        [
            Cell(name, _rendered(source.rendered)),
            count(source.num_examples),
            *(_without_reason(metric, source.shooting[metric]) for metric in wording.METRIC_NAMES),
            *(
                _without_reason(tpr_key(0.01), share)
                for share in (source.accuracy, source.false_alarms)
            ),
        ]
        for name, source in part.metrics.sources.items()
    ]
    return Table(
        f"Each source, {part.name}: is it a real shooting?",
        ["Source", f"{unit}s", *wording.METRIC_NAMES.values(), *_SHARES],
        rows,
        "Against all shootings, or all the rest, where it has no other answer itself; calibration "
        "within the source. Reasons for missing numbers, and each source\u2019s confusion matrix, "
        "are in metrics.json.",
    )


def _without_reason(metric: str, found: Measured) -> Cell:
    """Return a cell for a table that is too wide for reasons."""
    cell = measured(metric, found)
    return cell if found.interval is not None else replace(cell, soft="")


def pair_table(parts: Sequence[Part]) -> Table:
    """Show how well P(real) ranks groups of origins: a row a pair, a column a part."""
    rows = [
        [
            text(name.replace("real_film", "real or film").replace("_vs_", " against ")),
            *(_pair(part.metrics.origin_pairs.get(name)) for part in parts),
        ]
        for name in dict.fromkeys(name for part in parts for name in part.metrics.origin_pairs)
    ]
    columns = ["Pair", *(part.name for part in parts)]
    return Table("AUROC of P(real) between groups of origins", columns, rows)


def _pair(found: Mapping[str, Any] | None) -> Cell:
    return text(wording.DASH) if found is None else measured("auroc", found["auroc"])


def data_table(rows: Sequence[DataRow]) -> Table:
    """Show a row a source of a part."""
    return Table(
        "Sources and classes",
        [
            *("Source", "Part", "Origin"),
            *(wording.CLASS_NAMES[name] for name in CLASSES),
            *("recordings", "Licence and authority"),
        ],
        [
            [
                text(row.source),
                text(row.part),
                Cell(row.origin, _rendered(row.rendered)),
                *(Cell(f"{n:,}" if n else wording.DASH, sort=float(n)) for n in row.counts),
                count(row.num_recordings),
                Cell(row.licence, row.authority or "no authority stated"),
            ]
            for row in rows
        ],
    )


def file_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Show a row a file of a collection."""
    return Table(
        "Files",
        ["File", "Is", "Taken for", "Score", "Alert after", "Clips"],
        [
            [
                text(row["path"]),
                Cell(wording.CLASS_NAMES[row["truth"]], _rendered(row["rendered"])),
                *_judgement(row),
                count(row["num_clips"]),
            ]
            for row in rows
        ],
    )


def _judgement(row: Mapping[str, Any]) -> list[Cell]:
    """Return cells with the class taken for, the score, and when an alert rises."""
    if row["status"] != "scored":
        return [text(f"rejected: {row['reason']}"), text(wording.DASH), text(wording.DASH)]
    alert_s = row["alert_s"]
    odd = [
        wording.ODD_FILES[mark] for mark in json.loads(row["marks"]) if mark in wording.ODD_FILES
    ]
    return [
        Cell(wording.CLASS_NAMES[row["predicted"]], ", ".join(odd)),
        Cell(wording.decimal(row["score"]), sort=row["score"]),
        text(wording.DASH) if alert_s is None else Cell(f"{alert_s:.1f} s", sort=alert_s),
    ]


def _rendered(is_rendered: bool) -> str:
    return "rendered" if is_rendered else ""


def confusion(part: Part) -> dict[str, Any]:
    """Rows of (count, share of the row) by actual class; absent classes are None."""
    rows: list[tuple[str, list[tuple[int, float]] | None]] = []
    for actual in CLASSES:
        counts = part.metrics.confusion.get(actual)
        total = sum(counts.values()) if counts else 0
        cells = [(counts[name], counts[name] / total) for name in CLASSES] if counts else None
        rows.append((wording.CLASS_NAMES[actual], cells))
    return {"part": part, "rows": rows}
