"""Slices where the detector is worse, and must not be used: at night, indoors, in a still picture.

A slice is clips of which something is known to be so; it is set against the rest, clips of which it
is known not to be so. Chances are one-sided and those of all slices and measures of all parts are
held together at a false discovery rate of 5 % (Benjamini and Hochberg, 1995). Verdicts, one a part:
red where a slice is worse than the rest at that rate; green where in none the interval reaches a
loss of `LOSS`, so that such a loss would have shown; amber otherwise; grey where no slice is large
enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.assess import wording
from pipeline.assess.evidence import Evidence, Section, Verdict
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.statistics.questions import FEWEST_RECORDINGS
from pipeline.assess.suites.slices import metadata_slices, pixels
from pipeline.assess.suites.slices.panels import difference_table, signed, slice_figure, value_table
from pipeline.assess.suites.slices.slice_tests import (
    FALSE_ALARMS,
    LOSS,
    MEASURES,
    Judged,
    SliceComparison,
    correct,
    judge_slice,
)
from pipeline.numbers.rounding import rounded

TITLE = "Slices"
_NUMBERS = (
    "estimate",
    "low",
    "high",
    "rest",
    "difference",
    "difference_low",
    "difference_high",
    "chance",
)
_RESULTS = pa.schema(
    [
        *((name, pa.string()) for name in ("part", "slice", "value", "measure")),
        *((name, pa.int64()) for name in ("num_clips", "num_recordings")),
        *((name, pa.float64()) for name in _NUMBERS),
        ("state", pa.string()),
    ]
)
_MEMBERS = pa.schema(
    [
        *((name, pa.string()) for name in ("part", "slice", "value", "example")),
        ("member", pa.bool_()),
    ]
)
_PIXELS = pa.schema(
    [
        *((name, pa.string()) for name in ("part", "example")),
        *((name, pa.float64()) for name in ("brightness", "motion", "contrast")),
    ]
)


def run(evidence: Evidence) -> Section:
    """Judge every slice of every part; nothing is predicted anew."""
    confidence = evidence.settings.bootstrap.confidence
    judged: list[Judged] = []
    measured: list[dict[str, Any]] = []
    left_out: set[str] = set()
    for part in evidence.judged_sets:
        found = metadata_slices.of_pixels(
            part, evidence, pixels.MAX_CLIPS // len(evidence.judged_sets)
        )
        measured += _pixel_rows(part, found)
        slices = pixels.slices(found, len(part.examples))
        if evidence.folders is not None and part.files is None:
            by_rows, others = metadata_slices.of_manifest(part, evidence.folders.clips)
            slices = by_rows + slices
            left_out |= set(others)
        judged += [judge_slice(part, one, confidence) for one in slices]
    correct(judged)
    return Section(
        lead=(
            "An average hides where a detector fails. Here the test is parted by what is known of "
            "the clips, and each slice is set against the rest. Among many comparisons some look "
            "bad by chance, so that a slice counts as worse only where chance would hardly show "
            "it among all of them."
        ),
        verdicts=[_verdict(part.name, judged) for part in evidence.judged_sets],
        panels=[
            *(slice_figure(part.name, judged) for part in evidence.judged_sets),
            value_table(judged, left_out),
            difference_table(judged),
        ],
        metrics=_metrics(judged, evidence.judged_sets),
        plots={
            "slices.csv": (
                ("part", "slice", "value", "auroc", "false_alarms"),
                [
                    [
                        one.part,
                        one.slice.name,
                        one.slice.value,
                        *(
                            _numbers(one.comparisons[name])["estimate"]
                            for name in ("shooting", FALSE_ALARMS)
                        ),
                    ]
                    for one in judged
                ],
            )
        },
        rows={
            "results.parquet": pa.Table.from_pylist(_result_rows(judged), _RESULTS),
            "members.parquet": _members(evidence.judged_sets, judged),
            "pixels.parquet": pa.Table.from_pylist(measured, _PIXELS),
        },
    )


def _verdict(part: str, judged: Sequence[Judged]) -> Verdict:
    own = [one for one in judged if one.part == part]
    compared = [one for one in own if one.state != "grey"]
    num_small = len(own) - len(compared)
    name = f"slices_{part}"
    if not compared:
        return Verdict(
            name,
            "grey",
            f"None of {len(own)} slices of \u201c{part}\u201d holds {FEWEST_RECORDINGS} recordings "
            "of each answer, beside as many in the rest: too small to compare.",
        )
    small = f" {num_small} more are too small to compare." if num_small else ""
    worse = [one for one in compared if one.state == "red"]
    if worse:
        return Verdict(
            name,
            "red",
            f"On \u201c{part}\u201d the detector is worse than on the rest in {len(worse)} of "
            f"{len(compared)} slices: {_worst(worse)}.{small}",
        )
    open_ones = sum(
        any(measure.state in ("amber", "grey") for measure in one.comparisons.values())
        for one in compared
    )
    if not open_ones:
        return Verdict(
            name,
            "green",
            f"In none of {len(compared)} slices of \u201c{part}\u201d is the detector worse than "
            f"on the rest; a loss of {LOSS:g} would have shown.{small}",
        )
    return Verdict(
        name,
        "amber",
        f"In none of {len(compared)} slices of \u201c{part}\u201d is the detector worse than on "
        f"the rest beyond chance, but in {open_ones} a loss of {LOSS:g} could hide, or a measure "
        f"has no number.{small}",
    )


def _worst(worse: Sequence[Judged]) -> str:
    """The slices in words, the surest first, three at most."""
    found = sorted(
        (
            (one.chance or 0.0, i, measure)
            for i, row in enumerate(worse)
            for measure, one in row.comparisons.items()
            if one.worse
        )
    )
    texts = []
    for _, i, measure in found[:3]:
        row = worse[i]
        one = row.comparisons[measure]
        assert one.own is not None and one.rest is not None and one.difference is not None
        ends = one.difference.interval(one.confidence)
        texts.append(
            f"{row.slice.name} \u201c{row.slice.value}\u201d "
            f"({MEASURES[measure]} {wording.decimal(one.own.value)} against "
            f"{wording.decimal(one.rest.value)}, difference {signed(ends.low)} to "
            f"{signed(ends.high)})"
        )
    more = len(found) - len(texts)
    return "; ".join(texts) + (f"; and {more} more" if more else "")


def _metrics(judged: Sequence[Judged], parts: Sequence[JudgedSet]) -> dict[str, Any]:
    found: dict[str, Any] = {part.name: {} for part in parts}
    for one in judged:
        found[one.part].setdefault(one.slice.name, {})[one.slice.value] = {
            "num_clips": one.num_clips,
            "num_recordings": one.num_recordings,
            "state": one.state,
            **{name: _numbers(comparison) for name, comparison in one.comparisons.items()},
        }
    return found


def _result_rows(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    return [
        {
            "part": row.part,
            "slice": row.slice.name,
            "value": row.slice.value,
            "measure": name,
            "num_clips": row.num_clips,
            "num_recordings": row.num_recordings,
            **_numbers(one),
            "state": one.state,
        }
        for row in judged
        for name, one in row.comparisons.items()
    ]


def _pixel_rows(part: JudgedSet, measured: Mapping[int, pixels.Statistics]) -> list[dict[str, Any]]:
    names = _names(part)
    return [
        {
            "part": part.name,
            "example": names[row].as_py(),
            "brightness": one.brightness,
            "motion": one.motion,
            "contrast": one.contrast,
        }
        for row, one in measured.items()
    ]


def _names(part: JudgedSet) -> pa.ChunkedArray:
    return part.judged["sample_id" if part.files is None else "path"]


def _members(parts: Sequence[JudgedSet], judged: Sequence[Judged]) -> pa.Table:
    """A row an example of a slice or of its rest; `member` tells which."""
    names = {part.name: _names(part) for part in parts}
    tables = [_MEMBERS.empty_table()]
    for one in judged:
        rows = np.flatnonzero(one.slice.known)
        columns = [
            *(pa.repeat(value, rows.size) for value in (one.part, one.slice.name, one.slice.value)),
            names[one.part].take(pa.array(rows)),
            pa.array(one.slice.member[rows]),
        ]
        tables.append(pa.table(columns, schema=_MEMBERS))
    return pa.concat_tables(tables)


def _numbers(one: SliceComparison) -> dict[str, float | None]:
    own, difference = one.own, one.difference
    found: dict[str, float | None] = dict.fromkeys(_NUMBERS)
    found["chance"] = one.chance
    if own is not None:
        found["estimate"] = own.value
        if ends := own.share_interval(one.confidence):
            found["low"], found["high"] = ends.low, ends.high
    if one.rest is not None:
        found["rest"] = one.rest.value
    if difference is not None:
        found["difference"] = difference.value
        ends = difference.interval(one.confidence)
        found["difference_low"], found["difference_high"] = ends.low, ends.high
    return {name: None if value is None else rounded(value) for name, value in found.items()}
