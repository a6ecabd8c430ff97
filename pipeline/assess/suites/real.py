"""Real footage: how the detector holds on what no computer rendered.

The origin is red where its AUROC on real footage is not shown to lie above chance, though there are
the recordings to show it, and green where its interval lies above. Real footage against imitations
is red where the whole interval of the difference lies below zero: the detector then recognises the
renderer rather than the world. It is green where the interval leaves out an acceptable drop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from typing import Any

import numpy as np

from pipeline.assess import wording
from pipeline.assess.evidence import (
    Csv,
    Evidence,
    Section,
    State,
    Table,
    Verdict,
    count,
    measured,
    text,
)
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.statistics import real_footage
from pipeline.assess.statistics.measurement import Measured, as_json, named_fields
from pipeline.assess.statistics.questions import (
    ACCEPTABLE_DROP,
    CHANCE,
    FEWEST_RECORDINGS,
)
from pipeline.assess.statistics.real_footage import FOUND, GROUPS, FootageGroup, RealFootage

TITLE = "Real footage"

_UNITS = {"example": "recordings", "recording": "sources"}
"""Units that numbers are counted by, and those that their intervals resample."""


def run(evidence: Evidence) -> Section:
    """Judge real footage apart from imitations, a part at a time; no clip is read."""
    bootstrap = evidence.settings.bootstrap
    found = {
        part.name: {
            "example": evidence.summaries[part.name].real_footage,
            "recording": _of_sources(
                real_footage.measure(real_footage.by_recording(part.examples), bootstrap)
            ),
        }
        for part in evidence.judged_sets
    }
    return Section(
        lead=(
            "A detector that is right about imitations, made by a computer, need not be right "
            "about the world. Here stands what it does on real footage alone, that of cameras and "
            "of photographs as they are, beside the same numbers on imitations labelled real. Both "
            "are set against the same fictional footage: that of games and films themselves, "
            "without what was rendered in imitation of them, which stands in a row of its own."
        ),
        verdicts=[
            verdict
            for number, part in enumerate(evidence.judged_sets)
            for verdict in _verdicts(part, found[part.name], first=number == 0)
        ],
        panels=[
            _source_table(evidence.judged_sets),
            *(
                _table(part, by, found[part.name][by])
                for part in evidence.judged_sets
                for by in _UNITS
            ),
        ],
        metrics=as_json(found),
        plots={"aurocs.csv": _plot(found)},
    )


def _of_sources(found: Any) -> Any:
    """The same numbers, whose reasons and notes name what was resampled: sources."""
    if isinstance(found, Measured):
        said = (found.reason, found.note)
        reason, note = (words and words.replace("recording", "source") for words in said)
        return replace(found, reason=reason, note=note)
    if isinstance(found, Mapping):
        return {name: _of_sources(value) for name, value in found.items()}
    if is_dataclass(found) and not isinstance(found, type):
        return replace(found, **_of_sources(named_fields(found)))
    return found


def _verdicts(part: JudgedSet, found: Mapping[str, RealFootage], first: bool) -> list[Verdict]:
    suffix = "" if first else f"_{part.name}"
    clips = found["example"]
    real = clips.real
    if not real.num_examples:
        says = (
            f"{part.meaning}: there is no real footage, that no computer rendered; nothing here "
            "says how the detector does on the world."
        )
        return [Verdict(f"origin_on_real_footage{suffix}", "grey", says)]
    return [
        _origin(f"origin_on_real_footage{suffix}", part, real),
        _below(f"real_below_imitations{suffix}", part, clips),
    ]


def _origin(name: str, part: JudgedSet, real: FootageGroup) -> Verdict:
    auroc = real.origin.auroc
    subject = f"{part.meaning}: telling real footage from fictional"
    note = wording.few_sources(real.num_sources)
    if auroc.interval is None:
        return Verdict(name, "grey", f"{subject} cannot be judged, {auroc.reason}.{note}")
    shown = f"AUROC {wording.number('auroc', auroc.value)} ({wording.interval('auroc', auroc)})"
    if auroc.interval.low > CHANCE:
        return Verdict(name, "green", f"{subject} is better than guessing, {shown}.{note}")
    is_small = real.num_recordings < FEWEST_RECORDINGS and auroc.interval.high >= CHANCE
    state: State = "amber" if is_small else "red"
    says = f"{subject} is not shown to be better than guessing, {shown}.{note}"
    return Verdict(name, state, says)


def _below(name: str, part: JudgedSet, found: RealFootage) -> Verdict:
    more = found.difference
    if more.interval is None:
        says = f"{part.meaning}: real footage cannot be set against imitations, {more.reason}."
        return Verdict(name, "grey", says)
    values = (wording.number("auroc", group.origin.auroc.value) for group in found.groups)
    shown = "AUROC {} on real footage and {} on imitations".format(*values)
    low, high = more.interval.low, more.interval.high
    shown += f", a difference of {more.value:.3f} ({low:.3f} to {high:.3f})"
    note = wording.few_sources(found.real.num_sources)
    state: State
    if high < 0:
        begins, state = "the detector recognises the renderer rather than the world", "red"
    elif low > -ACCEPTABLE_DROP:
        begins, state = "real footage is told as imitations are", "green"
    else:
        begins, state = "whether real footage is told as imitations are is open", "amber"
    return Verdict(name, state, f"{part.meaning}: {begins}, {shown}.{note}")


def _source_table(parts: Sequence[JudgedSet]) -> Table:
    """A row a real source that no computer rendered, of a part."""
    rows = []
    for part in parts:
        examples, judged = part.examples, part.judged
        own = real_footage.members(examples, "real")
        licences, authorities = (judged[name].to_pylist() for name in ("licence", "authority"))
        for source in sorted(set(examples.source[own])):
            chosen = np.flatnonzero(own & (examples.source == source))
            rows.append(
                [
                    text(source),
                    text(part.name),
                    text("; ".join(sorted({authorities[i] for i in chosen} - {""})) or "not given"),
                    text("; ".join(sorted({licences[i] for i in chosen}))),
                    count(int(np.unique(examples.clusters[chosen]).size)),
                    count(int(chosen.size)),
                ]
            )
    unit = f"{parts[0].unit}s".capitalize()
    return Table(
        "Real sources that no computer rendered",
        ["Source", "Part", "Authority", "Licence", "Recordings", unit],
        rows,
        "" if rows else "There is none: every source labelled real is an imitation.",
    )


def _table(part: JudgedSet, by: str, found: RealFootage) -> Table:
    """A row a number, a column a group."""
    groups = found.groups
    unit = f"{part.unit if by == 'example' else by}s".capitalize()
    rows = [
        [text("Sources"), *(count(group.num_sources) for group in groups)],
        [text(unit), *(count(group.num_examples) for group in groups)],
    ]
    told = {
        "Told from fictional": [group.origin for group in groups],
        "Shootings told": [group.shooting for group in groups],
    }
    for label, ranked in told.items():
        rows += [
            [text(f"{label}: AUROC"), *(measured("auroc", one.auroc) for one in ranked)],
            [
                text(f"{label}: {wording.METRIC_NAMES[FOUND].lower()}"),
                *(measured(FOUND, one.found) for one in ranked),
            ],
        ]
    for origin in found.real.against:
        cells = (measured("auroc", one.against[origin]) for one in groups)
        rows.append([text(f"Told from {origin}: AUROC"), *cells])
    cells = (measured("auroc", one.against_rendered) for one in groups)
    rows.append([text("Told from imitations of games and films: AUROC"), *cells])
    rows.append(
        [
            text("Discharge told from none: AUROC"),
            *(measured("auroc", one.discharge["auroc"]) for one in groups),
        ]
    )
    rows.append(
        [
            text("False alarms without a discharge"),
            *(measured(FOUND, one.false_alarms) for one in groups),
        ]
    )
    return Table(
        f"{part.meaning}, by {part.unit if by == 'example' else by}",
        ["Number", "Real footage", "Imitations"],
        rows,
        f"Intervals are over {_UNITS[by]}.{wording.few_sources(found.real.num_sources)}",
    )


def _plot(found: Mapping[str, Mapping[str, RealFootage]]) -> Csv:
    rows = [
        [part, name, *group.origin.auroc.row]
        for part, units in found.items()
        for name, group in zip(GROUPS, units["example"].groups, strict=True)
    ]
    return ("part", "footage", "auroc", "low", "high"), rows
