"""`report.html`: one file that needs no network, no server and no trust in what an index says."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline.assess import wording
from pipeline.assess.evidence import Examined, Figure, Gallery, Table
from pipeline.assess.page import figures, findings, judged_set_figures, pages, tables
from pipeline.assess.page.contents import Part, Report
from pipeline.assess.statistics.bootstrap import FEWEST_RESAMPLES, MOST_CELLS, Bootstrap
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.questions import tpr_key
from pipeline.footage.collection import ORIGINS
from pipeline.store.manifest import CLASSES

STATE_NAMES = {"green": "good", "amber": "caution", "red": "fault", "grey": "cannot be told"}
_NUM_STEPS = 1000
_NUM_HEADLINES = 3


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
        real=findings.real_footage(metrics, report.unit),
        learned=report.provenance.learned,
        verdict=findings.verdict(metrics, report.unit),
        faults=findings.faults([suite.state for suite in report.suites]),
        warning=findings.warning(metrics),
        limits=findings.limits(metrics, report.unit, report.clip_s),
        headlines=_headlines(report.parts),
        tables=[
            *(tables.question_table(question, report.parts) for question in wording.QUESTION_NAMES),
            *(tables.source_table(part, report.unit) for part in report.parts),
        ],
        confusions=[tables.confusion(part) for part in report.parts],
        classes=[wording.CLASS_NAMES[name] for name in CLASSES],
        states=STATE_NAMES,
        thresholds=_embedded(_thresholds(report.parts)),
        pairs=tables.pair_table(report.parts),
        data=tables.data_table(report.data),
        files=tables.file_table(report.files),
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
        return [part.metrics.questions[question][metric] for part in parts]

    both = [
        ("auroc", "Real told from fictional (AUROC)", of("origin", "auroc")),
        ("auroc", "Discharge told from none (AUROC)", of("discharge", "auroc")),
    ]
    if parts[0].metrics.num_shootings:
        rates = [tpr_key(rate) for rate in (0.01, 0.001)]
        candidates = [
            *(
                (name, wording.METRIC_NAMES[name], of("shooting", name))
                for name in ("auroc", *rates)
            ),
            *both,
        ]
    else:
        pairs = [part.metrics.origin_pairs for part in parts]
        alarms = [part.metrics.false_alarms for part in parts]
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
    on_real = [part.metrics.real_footage.real.origin.auroc for part in parts]
    if on_real[0].value is not None:
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


def _shown(name: str, found: Measured) -> dict[str, Any]:
    return {
        "value": wording.number(name, found.value),
        "interval": wording.interval(name, found),
        "low": found.low,
        "high": found.high,
        "point": found.value,
    }


def _figures(
    parts: Sequence[Part], suites: Sequence[Examined], bootstrap: Bootstrap, num_bins: int
) -> dict[str, dict[str, str]]:
    """Specifications as JSON, by the id of their place in the page; only those with data."""
    series = [
        judged_set_figures.Series(part.name, colour, part.examples, part.metrics)
        for part, colour in zip(parts, figures.COLOURS[: len(parts)], strict=True)
    ]
    specs = {
        "roc": judged_set_figures.receiver_operating(series, bootstrap),
        "precision-recall": judged_set_figures.precision_recall(series),
        "reliability": judged_set_figures.reliability(series, num_bins),
        "sources": judged_set_figures.sources(series, "auroc"),
        "false-alarms": judged_set_figures.sources(series, "false_alarms"),
        **{f"scores-{i}": judged_set_figures.scores(one) for i, one in enumerate(series)},
    }
    for suite in suites:
        for number, panel in enumerate(suite.section.panels):
            if isinstance(panel, Figure):
                specs[figure_id(suite.name, number)] = panel.spec
    return {
        name: {"json": _embedded(spec), "height": f"{spec['layout']['height']}px"}
        for name, spec in specs.items()
        if any(np.size(trace.get("x", trace.get("z", ()))) for trace in spec["data"])
    }


def figure_id(suite: str, number: int) -> str:
    """The id of a suite's panel in the page."""
    return f"{suite}-{number}"


def _counted_from(suite: Examined, tables: Sequence[str]) -> list[str]:
    """Paths beside the page of the Parquet files that the numbers of a section come from."""
    own = [f"suites/{suite.name}/{name}" for name in suite.section.rows]
    return [name for name in suite.section.tables if name in tables] + own


def _thresholds(parts: Sequence[Part]) -> dict[str, Any]:
    """Count the shootings and others that score at least each threshold, for the slider."""
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
    return lambda panel: isinstance(panel, kind)


def _csp_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
