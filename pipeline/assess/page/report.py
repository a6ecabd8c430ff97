"""`report.html`: one file that needs no network, no server and no trust in what an index says."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.assess.evidence import Cell, Examined, Figure, Gallery, Table, count, measured, text
from pipeline.assess.examples import Examples
from pipeline.assess.page import figures, pages, wording
from pipeline.assess.statistics.bootstrap import FEWEST_RESAMPLES, MOST_CELLS, Bootstrap
from pipeline.assess.statistics.measured import Measured
from pipeline.assess.statistics.questions import tpr_key
from pipeline.footage.collection import ORIGINS
from pipeline.store.manifest import CLASSES

STATE_NAMES = {"green": "good", "amber": "caution", "red": "fault", "grey": "cannot be told"}
_NUM_STEPS = 1000
_NUM_HEADLINES = 3
_SHARES = {"accuracy": "Right class", "false_alarms": "False alarms"}


@dataclass(frozen=True)
class Part:
    """One split, or a collection: what it is, and what was found on it."""

    name: str
    meaning: str
    examples: Examples
    metrics: Mapping[str, Any]


@dataclass(frozen=True)
class Mistake:
    """A clip or file that was mistaken for another class."""

    preview: str
    """A `data:` URI."""
    truth: str
    said: str
    score: float
    source: str
    place: str
    """The file, and the second in it."""
    rendered: bool


@dataclass(frozen=True)
class MistakeGroup:
    """Mistakes of one kind in one part; `num_mistakes` counts those not shown as well."""

    title: str
    part: str
    num_mistakes: int
    shown: Sequence[Mistake]


@dataclass(frozen=True)
class DataRow:
    """What one source gave to one part; `counts` are in the order of `CLASSES`."""

    part: str
    source: str
    origin: str
    rendered: bool
    counts: Sequence[int]
    num_recordings: int
    licence: str
    authority: str


@dataclass(frozen=True)
class Provenance:
    """What the report was made from, exactly."""

    config: str
    """YAML."""
    model_card: str
    """JSON."""
    data_sha256: Mapping[str, str]
    weights_sha256: str


@dataclass(frozen=True)
class Report:
    """Everything that the page shows; `unit` is "clip" or "file"."""

    heading: str
    unit: str
    parts: Sequence[Part]
    suites: Sequence[Examined]
    tables: Sequence[str]
    """Parquet files beside the page, that hold what was judged."""
    threshold: float
    """Where the slider stands at first."""
    starts: str
    """The sentence that says why there."""
    alerts: str
    """What the operating point does on files; empty where none are judged."""
    mistakes: Sequence[MistakeGroup]
    data: Sequence[DataRow]
    files: Sequence[Mapping[str, Any]]
    """Rows of `files.parquet`, where files were judged."""
    clip_s: float | None
    """Length of a clip."""
    provenance: Provenance


def without_pictures(page: str) -> str:
    """The page without any frame, for what must not leave with it."""
    return re.sub(r'(<img src=")data:[^"]*"', r'\1data:,"', page)


def render(report: Report, bootstrap: Bootstrap, num_bins: int) -> str:
    """Return the page; the same report gives the same bytes."""
    from plotly.offline import get_plotlyjs

    environment = pages.environment()
    environment.tests |= {"table": _is(Table), "figure": _is(Figure), "gallery": _is(Gallery)}
    environment.filters |= {
        "percent": wording.percent,
        "decimal": wording.decimal,
    }
    plotly, script = get_plotlyjs(), pages.part("report.js")
    metrics = {part.name: part.metrics for part in report.parts}
    environment.globals["figure_id"] = figure_id
    environment.globals["counted_from"] = lambda suite: _counted_from(suite, report.tables)
    return environment.get_template("report.html.j2").render(
        report=report,
        real=wording.real_footage(metrics, report.unit),
        learned=wording.learned_from(json.loads(report.provenance.model_card)),
        verdict=wording.verdict(metrics, report.unit),
        faults=wording.faults([suite.state for suite in report.suites]),
        warning=wording.warning(metrics),
        limits=wording.limits(metrics, report.unit, report.clip_s),
        headlines=_headlines(report.parts),
        tables=[
            *(_table(question, report.parts) for question in wording.QUESTION_NAMES),
            *(_source_table(part, report.unit) for part in report.parts),
        ],
        confusions=[_confusion(part) for part in report.parts],
        classes=[wording.CLASS_NAMES[name] for name in CLASSES],
        states=STATE_NAMES,
        thresholds=_embedded(_thresholds(report.parts)),
        pairs=_pairs(report.parts),
        data=_data(report.data),
        files=_files(report.files),
        specs=_figures(report.parts, report.suites, bootstrap, num_bins),
        confidence=f"{100 * bootstrap.confidence:g} %",
        num_resamples=bootstrap.num_resamples,
        fewest_resamples=FEWEST_RESAMPLES,
        most_cells=MOST_CELLS,
        num_bins=num_bins,
        style=pages.part("report.css"),
        plotly=plotly,
        script=script,
        script_hashes=" ".join(_csp_hash(text) for text in (plotly, script)),
    )


def _headlines(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Three numbers that the reader should leave with, for each part.

    They are the first in order that the first part supports, since that is what the verdict is
    about; what it cannot support is a dash with its reason in the tables of all numbers, and stands
    here only where too little else is left.
    """

    def of(question: str, metric: str) -> list[Measured]:
        return [part.metrics[question][metric] for part in parts]

    both = [
        ("auroc", "Real told from fictional (AUROC)", of("origin", "auroc")),
        ("auroc", "Discharge told from none (AUROC)", of("discharge", "auroc")),
    ]
    if parts[0].metrics["num_shootings"]:
        rates = [tpr_key(rate) for rate in (0.01, 0.001)]
        candidates = [
            *(
                (name, wording.METRIC_NAMES[name], of("shooting", name))
                for name in ("auroc", *rates)
            ),
            *both,
        ]
    else:
        pairs = [part.metrics["origin_pairs"] for part in parts]
        alarms = [part.metrics["false_alarms"] for part in parts]
        candidates = [
            (tpr_key(0.01), "False alarms", alarms),
            *(
                (
                    "auroc",
                    f"Real told from {origin} (AUROC)",
                    [p[f"real_vs_{origin}"]["auroc"] for p in pairs],
                )
                for origin in ORIGINS
                if origin != "real" and all(f"real_vs_{origin}" in p for p in pairs)
            ),
            *both,
        ]
    real = [part.metrics["real_footage"] for part in parts]
    if real[0]["real"]["origin"]["auroc"].value is not None:
        on_real = [one["real"]["origin"]["auroc"] for one in real]
        candidates.insert(
            0, ("auroc", "Real footage told from games and films themselves (AUROC)", on_real)
        )
    supported = sorted(candidates, key=lambda one: one[2][0].value is None)
    return [
        {
            "label": label,
            "numbers": [
                {"part": part.meaning, **_shown(name, result)}
                for part, result in zip(parts, results, strict=True)
            ],
        }
        for name, label, results in supported[:_NUM_HEADLINES]
    ]


def _table(question: str, parts: Sequence[Part]) -> Table:
    """All metrics of one question: a row a metric, a column a part."""
    results = [part.metrics[question] for part in parts]
    sizes = [
        f"{part.name}: {result.num_positives:,} yes, {result.num_negatives:,} no"
        for part, result in zip(parts, results, strict=True)
    ]
    rows = [
        [text(label), *(measured(name, result[name]) for result in results)]
        for name, label in wording.METRIC_NAMES.items()
    ]
    return Table(wording.QUESTION_NAMES[question], ["Metric", *sizes], rows)


def _source_table(part: Part, unit: str) -> Table:
    """All metrics of the alert, a row a source."""
    rows = [
        [
            Cell(name, _rendered(source["rendered"])),
            count(source["num_examples"]),
            *(
                _without_reason(metric, source["shooting"][metric])
                for metric in wording.METRIC_NAMES
            ),
            *(_without_reason(tpr_key(0.01), source[share]) for share in _SHARES),
        ]
        for name, source in part.metrics["sources"].items()
    ]
    return Table(
        f"Each source, {part.name}: is it a real shooting?",
        ["Source", f"{unit}s", *wording.METRIC_NAMES.values(), *_SHARES.values()],
        rows,
        "Against all shootings, or all the rest, where it has no other answer itself; calibration "
        "within the source. Reasons for missing numbers, and each source\u2019s confusion matrix, "
        "are in metrics.json.",
    )


def _without_reason(metric: str, found: Measured) -> Cell:
    """A cell of a table that is too wide for reasons."""
    cell = measured(metric, found)
    return cell if found.interval is not None else replace(cell, soft="")


def _pairs(parts: Sequence[Part]) -> Table:
    rows = [
        [
            text(name.replace("real_film", "real or film").replace("_vs_", " against ")),
            *(_pair(part.metrics["origin_pairs"].get(name)) for part in parts),
        ]
        for name in dict.fromkeys(name for part in parts for name in part.metrics["origin_pairs"])
    ]
    columns = ["Pair", *(part.name for part in parts)]
    return Table("AUROC of P(real) between groups of origins", columns, rows)


def _pair(found: Mapping[str, Any] | None) -> Cell:
    return text(wording.DASH) if found is None else measured("auroc", found["auroc"])


def _data(rows: Sequence[DataRow]) -> Table:
    """A row a source of a part."""
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


def _files(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A row a file of a collection."""
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
    """What was said of a file, its score, and when an alert rises."""
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


def _shown(name: str, found: Measured) -> dict[str, Any]:
    return {
        "value": wording.number(name, found.value),
        "interval": wording.interval(name, found),
        "low": found.low,
        "high": found.high,
        "point": found.value,
    }


def _confusion(part: Part) -> dict[str, Any]:
    """Rows of (count, share of the row) by actual class; absent classes are None."""
    rows: list[tuple[str, list[tuple[int, float]] | None]] = []
    for actual in CLASSES:
        counts = part.metrics["confusion"].get(actual)
        total = sum(counts.values()) if counts else 0
        cells = [(counts[name], counts[name] / total) for name in CLASSES] if counts else None
        rows.append((wording.CLASS_NAMES[actual], cells))
    return {"part": part, "rows": rows}


def _figures(
    parts: Sequence[Part], suites: Sequence[Examined], bootstrap: Bootstrap, num_bins: int
) -> dict[str, dict[str, str]]:
    """Specifications as JSON, by the id of their place in the page; only those with data."""
    series = [
        figures.Series(part.name, colour, part.examples, part.metrics)
        for part, colour in zip(parts, figures.COLOURS[: len(parts)], strict=True)
    ]
    specs = {
        "roc": figures.receiver_operating(series, bootstrap),
        "precision-recall": figures.precision_recall(series),
        "reliability": figures.reliability(series, num_bins),
        "sources": figures.sources(series, "auroc"),
        "false-alarms": figures.sources(series, "false_alarms"),
        **{f"scores-{i}": figures.scores(one) for i, one in enumerate(series)},
    }
    for suite in suites:
        for number, block in enumerate(suite.section.blocks):
            if isinstance(block, Figure):
                specs[figure_id(suite.name, number)] = block.spec
    return {
        name: {"json": _embedded(spec), "height": f"{spec['layout']['height']}px"}
        for name, spec in specs.items()
        if any(np.size(trace.get("x", trace.get("z", ()))) for trace in spec["data"])
    }


def figure_id(suite: str, number: int) -> str:
    """The id of a suite's block in the page."""
    return f"{suite}-{number}"


def _counted_from(suite: Examined, tables: Sequence[str]) -> list[str]:
    """Paths beside the page of the Parquet files that the numbers of a section come from."""
    own = [f"suites/{suite.name}/{name}" for name in suite.section.rows]
    return [name for name in suite.section.tables if name in tables] + own


def _thresholds(parts: Sequence[Part]) -> dict[str, Any]:
    """How many shootings and others score at least each threshold, for the slider."""
    grid = np.linspace(0, 1, _NUM_STEPS + 1)
    found = []
    for part in parts:
        is_shooting, score = part.examples.is_shooting, part.examples.score
        counts = {
            name: (group.size - np.searchsorted(np.sort(group), grid, "left")).tolist()
            for name, group in (("shootings", score[is_shooting]), ("others", score[~is_shooting]))
        }
        found.append(counts)
    return {"steps": _NUM_STEPS, "parts": found}


def _embedded(values: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _is(kind: type) -> Callable[[object], bool]:
    return lambda block: isinstance(block, kind)


def _csp_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
