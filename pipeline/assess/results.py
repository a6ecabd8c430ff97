"""Turns scored clips and files into everything that evaluation writes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.assess import previews, wording
from pipeline.assess.evidence import STATES, Evidence, Examined, Section
from pipeline.assess.judged_sets import JudgedSet, tables
from pipeline.assess.page import contents, findings, report
from pipeline.assess.page.mistakes import hardest
from pipeline.assess.page.plots import write_csv, write_plots
from pipeline.assess.settings import JudgingSettings
from pipeline.assess.statistics.measurement import as_json
from pipeline.assess.statistics.summary import headline
from pipeline.detect.alarm import SMOOTHINGS
from pipeline.detect.operating_point import FILE as POINT
from pipeline.detect.operating_point import OperatingPoint
from pipeline.detect.scores import LONG, VALIDATION
from pipeline.store.manifest import CLASSES, class_index
from pipeline.store.output_files import HEADLINE, METRICS, REPORT


def write_results(
    folder: Path,
    heading: str,
    evidence: Evidence,
    absent: Sequence[str],
    suites: Sequence[Examined],
    provenance: contents.Provenance,
) -> None:
    """Write scores, metrics, plots and the report into `folder`.

    Args:
        folder: empty.
        heading: title of the report.
        evidence: what was judged; its parts are all of one unit.
        absent: splits without a clip, whose plots are written empty.
        suites: what they found, in the order of the report.
        provenance: what everything was made from.
    """
    scored, settings = evidence.judged_sets, evidence.settings
    metrics = evidence.summaries
    for one in scored:
        write_plots(folder / "plots" / one.name, one.examples, metrics[one.name], settings.num_bins)
    for name in absent:
        write_plots(folder / "plots" / name, None, None, settings.num_bins)
    files = [one.files for one in scored if one.files is not None]
    written = tables(scored)
    if evidence.val is not None:
        written[VALIDATION] = evidence.val.clips
    if evidence.long:
        written[LONG] = pa.concat_tables([one.clips for one in evidence.long.values()])
    for name, table in written.items():
        pq.write_table(table, folder / name)
    for suite in suites:
        _write_section(folder / "suites" / suite.name, suite.section)
    point = evidence.point
    if isinstance(point, OperatingPoint):
        _write_json(folder / POINT, {**point.record, "weights_sha256": provenance.weights_sha256})
    found = {suite.name: _found(suite.section) for suite in suites}
    _write_json(folder / METRICS, as_json({"judged_sets": metrics, "suites": found}))
    counts = Counter(verdict.state for suite in suites for verdict in suite.section.verdicts)
    headlines: dict[str, Any] = {name: headline(part) for name, part in metrics.items()}
    headlines["verdicts"] = {state: counts[state] for state in STATES}
    _write_json(folder / HEADLINE, headlines)
    threshold, starts = _slider(point, scored[0].unit)
    page = contents.Report(
        heading=heading,
        unit=scored[0].unit,
        parts=[
            contents.Part(one.name, one.meaning, one.examples, metrics[one.name]) for one in scored
        ],
        suites=suites,
        tables=list(written),
        threshold=threshold,
        starts=starts,
        alerts=_file_alerts(files, point),
        mistakes=[group for one in scored for group in _mistakes(one, settings)],
        data=[row for one in scored for row in _data_rows(one)],
        files=[row for table in files for row in _file_rows(table)],
        clip_s=evidence.clip_s,
        provenance=provenance,
    )
    html = report.render(page, settings.bootstrap, settings.num_bins)
    (folder / REPORT).write_text(html, encoding="utf-8")


def _file_alerts(files: Sequence[pa.Table], point: OperatingPoint | str) -> str:
    """Return what the operating point does on files, in words; nothing where none are judged."""
    if not files:
        return ""
    if isinstance(point, str):
        return f"No alert threshold was applied to the files: {point}."
    judged = [
        (row["origin"] == "real" and bool(row["discharge"]), row["alert_s"] is not None)
        for table in files
        for row in table.to_pylist()
        if row["status"] == "scored"
    ]
    return findings.file_alerts(
        SMOOTHINGS[point.choice.smoothing],
        point.choice.threshold,
        [alert for shooting, alert in judged if shooting],
        [alert for shooting, alert in judged if not shooting],
    )


def _slider(point: OperatingPoint | str, unit: str) -> tuple[float, str]:
    """Return where the slider of thresholds stands at first, and why there."""
    if isinstance(point, str):
        return 0.5, "It starts at 0.5, since there is no operating point."
    choice = point.choice
    if choice.smoothing != "none":
        return 0.5, (
            f"It starts at 0.5: the operating point, {choice.threshold:.3f}, is a threshold of "
            f"the {SMOOTHINGS[choice.smoothing]} in a stream, and none of the score of a single "
            f"{unit}."
        )
    return choice.threshold, (
        "It starts at the operating point, which validation chose for streams of clips."
    )


def _found(section: Section) -> dict[str, Any]:
    """A suite's entry in `metrics.json`."""
    verdicts = {one.name: {"state": one.state, "says": one.says} for one in section.verdicts}
    return {"verdicts": verdicts, **section.metrics}


def _write_section(folder: Path, section: Section) -> None:
    """Write the plots of a suite, and its rows.

    With the tables that the section names, every number of it can be recounted from them, but for
    those that `beyond` tells of.
    """
    folder.mkdir(parents=True)
    for name, (header, rows) in section.plots.items():
        write_csv(folder / name, header, rows)
    for name, table in section.rows.items():
        pq.write_table(table, folder / name)


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _mistakes(one: JudgedSet, settings: JudgingSettings) -> list[contents.MistakeGroup]:
    return [
        contents.MistakeGroup(
            group.title,
            one.name,
            group.num_mistakes,
            [_mistake(one, row, settings.previews) for row in group.rows],
        )
        for group in hardest(one.examples, settings.num_mistakes)
    ]


def _mistake(one: JudgedSet, row: int, mode: str) -> contents.Mistake:
    examples, number = one.examples, one.clip_of(row)
    clip = one.clips.slice(number, 1).to_pylist()[0]
    return contents.Mistake(
        preview=previews.strip(one.read(number).frames, mode),
        truth=wording.CLASS_NAMES[CLASSES[examples.actual[row]]],
        said=wording.CLASS_NAMES[CLASSES[examples.predicted[row]]],
        score=float(examples.score[row]),
        source=str(examples.source[row]),
        place=f"{clip['path']} at {clip['start_s']:.1f} s",
        rendered=bool(examples.rendered[row]),
    )


def _data_rows(one: JudgedSet) -> list[contents.DataRow]:
    """One row a source; licences and authorities that differ within it are all named."""
    examples, rows = one.examples, one.judged.to_pylist()
    table = []
    for source in sorted(set(examples.source)):
        own = examples.source == source
        chosen = [rows[i] for i in np.flatnonzero(own)]
        table.append(
            contents.DataRow(
                part=one.name,
                source=source,
                origin=", ".join(sorted(set(examples.origin[own]))),
                rendered=bool(examples.rendered[own].any()),
                counts=[int((examples.actual[own] == k).sum()) for k in range(len(CLASSES))],
                num_recordings=int(np.unique(examples.clusters[own]).size),
                licence="; ".join(sorted({row["licence"] for row in chosen})),
                authority="; ".join(sorted({row["authority"] for row in chosen} - {""})),
            )
        )
    return table


def _file_rows(files: pa.Table) -> list[dict[str, Any]]:
    """Rows for the page, rejected files first, then by falling score."""
    rows = [
        row | {"truth": CLASSES[class_index(row["origin"], bool(row["discharge"]))]}
        for row in files.to_pylist()
    ]
    return sorted(rows, key=lambda row: (row["score"] is not None, -(row["score"] or 0.0)))
