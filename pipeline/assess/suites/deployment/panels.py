"""Tables, figures and plots of the section on the deployment."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.assess import deployment_report, wording
from pipeline.assess.deployment_report import ALERT, Deployed, Deployment, Drift, Estimate
from pipeline.assess.evidence import Cell, Figure, Panel, State, Table, count, text
from pipeline.assess.page import figures
from pipeline.assess.page.figures import COLOURS
from pipeline.assess.statistics.measurement import Measured
from pipeline.config import OperatingConfig
from pipeline.detect.operating_point import PER_HOURS
from pipeline.numbers.intervals import Interval
from pipeline.system.visible_text import plain

_SHARES = {"precision": "Right alerts", "recall": "Shootings found"}
_STRATA = {
    "alerted": "alerts",
    "near": "highest hundredth of the rest",
    "middle": "next nine hundredths",
    "rest": "all others",
}
_UNITS = {"file": "files", "alert": "alerts of streams"}
_HOURS_A_DAY = 24
_MAX_NAME = 40
_MOST_SOURCES = 30


def subject(one: Deployment) -> str:
    """Return what something is told of, as the first words of a sentence."""
    return "Alerts of streams" if one.kind == ALERT else "Files"


def amount(value: float) -> str:
    """A number that need not be whole, in as many digits as a reader can use."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def false_alerts(one: Deployment) -> Estimate | None:
    """False alerts in `PER_HOURS` hours, copies counted; None where nobody knows the hours.

    Copies are taken to be right as often as what they are copies of.
    """
    if one.precision is None or not one.hours:
        return None
    rate = PER_HOURS * one.alerts_with_copies / one.hours
    value, ends = one.precision.value, one.precision.interval
    wrong = Interval(1 - ends.high, 1 - ends.low)
    return Estimate(None if value is None else 1 - value, wrong).times(rate)


def panels(known: Deployed, weights_sha256: str, operating: OperatingConfig) -> list[Panel]:
    """Everything that is known, that of the weights that are judged first."""
    found = sorted(known.deployments, key=lambda one: one.weights_sha256 != weights_sha256)
    shown: list[Panel] = []
    if found:
        shown += [
            _shares_figure(found, weights_sha256, known.confidence),
            _numbers(found, weights_sha256, known.confidence),
            _audit(found, weights_sha256),
            _load(found, weights_sha256, operating),
        ]
    shown.append(_reviewers(known))
    if known.drift is not None and known.drift.shifts:
        shown += [_drift_figure(known.drift), _drift_table(known.drift)]
    if known.drift is not None and known.drift.sources:
        shown.append(_sources(known.drift))
    return shown


def _named(one: Deployment, weights_sha256: str) -> list[Cell]:
    """The first cells of a row: what it is told of, and of which weights."""
    whose = "judged here" if one.weights_sha256 == weights_sha256 else "other weights"
    return [text(_UNITS[one.kind]), Cell(plain(one.weights_sha256[:12], _MAX_NAME), whose)]


def _label(one: Deployment, weights_sha256: str) -> str:
    if one.weights_sha256 == weights_sha256:
        return subject(one)
    return f"{subject(one)}, other weights {one.weights_sha256[:6]}"


def _shares_figure(found: Sequence[Deployment], weights_sha256: str, confidence: float) -> Figure:
    groups: dict[str, list[tuple[str, Measured]]] = {}
    for one in found[: len(COLOURS)]:
        rows = [
            (title, _measured(estimate))
            for name, title in _SHARES.items()
            if (estimate := getattr(one, name)) is not None
        ]
        groups[_label(one, weights_sha256)] = rows
    spec = figures.dots(groups, "Share", 0.5)
    spec["layout"]["xaxis"] |= {"range": [-0.02, 1.02], "tickformat": ".0%"}
    return Figure(
        "How good it is where it runs",
        spec,
        f"Lines are intervals that hold {100 * confidence:g} %, from videos drawn at random; what "
        "is not known yet has none. The dotted line is a half.",
    )


def _numbers(found: Sequence[Deployment], weights_sha256: str, confidence: float) -> Table:
    rows = [
        [
            *_named(one, weights_sha256),
            count(one.videos),
            _hours(one.hours),
            _share_cell(one.precision),
            _share_cell(one.recall),
            _amount_cell(one.shootings),
        ]
        for one in found
    ]
    columns = ["Of", "Weights", "Videos", "Hours", *_SHARES.values(), "Real shootings"]
    return Table(
        "Precision and recall",
        columns,
        rows,
        "Videos without copies. Each video that was drawn stands for as many as it was drawn from; "
        f"intervals hold {100 * confidence:g} %. Alerts of streams have no recall, since nobody "
        "keeps what raised none.",
    )


def _audit(found: Sequence[Deployment], weights_sha256: str) -> Table:
    rows = [
        [
            *_named(one, weights_sha256),
            text(_STRATA.get(name, plain(name, _MAX_NAME))),
            count(stratum.size),
            count(stratum.drawn),
            count(stratum.decided),
        ]
        for one in found
        for name, stratum in one.strata.items()
    ]
    return Table(
        "What was drawn at random",
        ["Of", "Weights", "Stratum", "Videos", "Drawn", "Decided"],
        rows,
        "By the score, so that some of each kind are looked at; within a stratum the detector has "
        "no say in what is drawn.",
    )


def _load(found: Sequence[Deployment], weights_sha256: str, operating: OperatingConfig) -> Table:
    rows = []
    for one in found:
        per_hours = PER_HOURS * one.alerts_with_copies / one.hours if one.hours else None
        a_day, of = None, ""
        if one.days:
            a_day, of = one.alerts / one.days, "on days with an alert"
        elif per_hours is not None:
            a_day, of = per_hours * _HOURS_A_DAY / PER_HOURS, "of footage"
        minutes = None if a_day is None else a_day * operating.minutes_per_alert
        rows.append(
            [
                *_named(one, weights_sha256),
                count(one.alerts),
                count(one.alerts_with_copies),
                _rate_cell(a_day, of),
                _rate_cell(minutes),
                _rate_cell(per_hours),
                _amount_cell(false_alerts(one)),
            ]
        )
    columns = ["Of", "Weights", "Alerts", "With copies", "A day", "Minutes a day"]
    return Table(
        "The load of alerts",
        [*columns, f"In {PER_HOURS:,} hours", "Of these, false"],
        rows,
        f"At {operating.minutes_per_alert:g} minutes an alert. Copies count, but for days of "
        "streams, and are taken to be right as often as what they are copies of.",
    )


def _reviewers(known: Deployed) -> Table:
    one = known.agreement
    kappa = wording.DASH if one.kappa is None else f"{one.kappa:.2f}"
    rows = [
        [text("Reviewers"), count(len(one.decisions))],
        [text("Decisions"), count(sum(one.decisions))],
        [text("Decisions of the one with most"), count(max(one.decisions, default=0))],
        [text("Videos that two were to decide, and did"), count(one.num_pairs)],
        [text("Of these, decided otherwise"), count(one.num_different)],
        [text("Agreement beyond chance (kappa)"), Cell(kappa, sort=one.kappa)],
        [text("Decisions taken to be wrong"), Cell(wording.percent(one.error), sort=one.error)],
        [text("Videos in dispute"), count(one.num_disputed)],
    ]
    caption = "Over all detectors. Nobody is named here; discern review report tells each person."
    return Table("Reviewers", ["What", "Number"], rows, caption)


def _drift_figure(drift: Drift) -> Figure:
    rows = [*drift.shifts]
    layout = figures.rows_layout("Stability index", [plain(one.name, _MAX_NAME) for one in rows])
    layout["shapes"] = [figures.reference(deployment_report.SHIFTED)]
    layout["showlegend"] = False
    placed = [
        (len(rows) - 1 - number, one.name, Measured(one.index)) for number, one in enumerate(rows)
    ]
    spec = {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "x": [found.value for _, _, found in placed],
                "y": [position for position, _, _ in placed],
                "text": [figures.escaped(name) for _, name, _ in placed],
                "textposition": "none",
                "marker": {"color": COLOURS[0]},
                "hovertemplate": "%{text}: %{x:.2f}<extra></extra>",
            }
        ],
        "layout": layout,
    }
    return Figure(
        f"What has shifted against {plain(drift.against, _MAX_NAME)}",
        spec,
        "Population stability index over tenths of what was before: 0 is no change, and beyond the "
        "dotted line a distribution is usually said to have shifted.",
    )


def _drift_table(drift: Drift) -> Table:
    rows = [
        [
            text(plain(one.name, _MAX_NAME)),
            _middle(one.before),
            _middle(one.after),
            Cell(f"{one.index:.2f}", sort=one.index, state=_state(one.index)),
            Cell(f"{one.distance:.2f}", sort=one.distance),
        ]
        for one in drift.shifts
    ]
    return Table(
        "Scores and inputs, then and now",
        ["What", "Before", "Now", "Stability index", "Kolmogorov distance"],
        rows,
        f"Medians of files, and the share that has sound, before: {plain(drift.against, _MAX_NAME)}"
        f", and now: scored by weights {plain(drift.weights_sha256[:12], _MAX_NAME)}.",
    )


def _sources(drift: Drift) -> Table:
    shown = deployment_report.most_changed(drift.sources)
    rows = [
        [text(plain(one.name, _MAX_NAME)), _percent(one.before), _percent(one.after)]
        for one in shown[:_MOST_SOURCES]
    ]
    index = wording.DASH if drift.sources_index is None else f"{drift.sources_index:.2f}"
    return Table(
        "Where files come from, then and now",
        ["Source", "Before", "Now"],
        rows,
        f"Shares of files; stability index {index}. The {_MOST_SOURCES} that changed most, where "
        "there are more.",
    )


def _state(index: float) -> State:
    return "amber" if index > deployment_report.SHIFTED else "green"


def _middle(value: float) -> Cell:
    return Cell(f"{value:.3g}", sort=value)


def _percent(share: float) -> Cell:
    return Cell(wording.percent(share), sort=share)


def _hours(hours: float | None) -> Cell:
    return text(wording.DASH) if hours is None else Cell(f"{hours:,.1f}", sort=hours)


def _rate_cell(value: float | None, of: str = "") -> Cell:
    return text(wording.DASH) if value is None else Cell(amount(value), of, value)


def _measured(estimate: Estimate) -> Measured:
    return Measured(estimate.value, estimate.interval)


def _share_cell(found: Estimate | None) -> Cell:
    if found is None:
        return Cell(wording.DASH, "not drawn from")
    low, high = (wording.percent(end) for end in (found.interval.low, found.interval.high))
    ends = f"{low.removesuffix(' %')} to {high}"
    if found.value is None:
        return Cell("not known yet", ends)
    return Cell(wording.percent(found.value), ends, found.value)


def _amount_cell(found: Estimate | None) -> Cell:
    if found is None:
        return text(wording.DASH)
    ends = f"{amount(found.interval.low)} to {amount(found.interval.high)}"
    if found.value is None:
        return Cell("not known yet", ends)
    return Cell(amount(found.value), ends, found.value)
