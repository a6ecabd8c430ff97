"""Sources: whether the detector holds for each of them, also for those it has never seen.

The worst source is red where its AUROC, with the interval widened for having been picked among
many, leaves out any worth having; green where every source's own interval lies above chance. The
drop on unseen sources is red where its whole interval lies above `ACCEPTABLE_DROP` and green where
it lies below. `pipeline.assess.suites.sources.confound` says when the source explains the alert.
Whatever the recordings are too few to show is amber.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.assess import wording
from pipeline.assess.evidence import (
    Cell,
    Evidence,
    Figure,
    Section,
    Table,
    Verdict,
    count,
    measured,
    text,
)
from pipeline.assess.examples import MOST_SOURCES
from pipeline.assess.judged_sources import NOTHING_TO_RANK, Pool, judged
from pipeline.assess.page.forest import ForestRow, forest
from pipeline.assess.statistics.measurement import Measured, as_json
from pipeline.assess.statistics.placements import PlacementAuroc
from pipeline.assess.statistics.questions import (
    ACCEPTABLE_DROP,
    CHANCE,
    FEWEST_RECORDINGS,
    WORTH_HAVING,
)
from pipeline.assess.suites.sources.confound import judge_confound
from pipeline.numbers.metrics import BoolArray
from pipeline.numbers.rounding import rounded

TITLE = "Unseen sources"

_SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("part", pa.string()),
        ("origin", pa.string()),
        ("num_examples", pa.int64()),
        ("num_recordings", pa.int64()),
        ("num_shootings", pa.int64()),
        ("auroc", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True)
class _Source:
    name: str
    part: str
    origin: str
    num_examples: int
    num_recordings: int
    num_shootings: int
    placed: PlacementAuroc | None

    def judged(self, confidence: float) -> Measured:
        """Measure its AUROC."""
        return judged(self.placed, confidence)

    @property
    def counts(self) -> bool:
        """Tells whether a verdict may rest on it."""
        return self.placed is not None and self.num_recordings >= FEWEST_RECORDINGS


def run(evidence: Evidence) -> Section:
    """Judge source by source; no clip is read."""
    confidence = evidence.settings.bootstrap.confidence
    pool = Pool.of(evidence)
    sources = [_source(pool, name) for name in pool.examples.largest_sources()]
    num_left_out = len(set(pool.examples.source)) - len(sources)
    results = {one.name: one.judged(confidence) for one in sources}
    held_out, comparisons, known_and_unseen = _held_out(pool, confidence)
    confounded, confounds, confound = judge_confound(pool, evidence.settings.bootstrap)
    worst, spread = _worst(sources, confidence)
    return Section(
        lead=(
            "A detector that was only tried on sources it knows may have learnt the sources. One "
            "detector is judged here: each source's examples are ranked against those with the "
            "other answer from all other sources, and sources held out of training are told apart "
            "from new recordings of known ones. What it would make of a known source without "
            "having trained on it, only training anew tells (benchmarks/leave_one_out.py). Then "
            "the alert is tried within each source alone, where knowing the source is no help."
        ),
        verdicts=[worst, held_out, confounded],
        panels=[
            _table(sources, results, num_left_out),
            *_figure(sources, results),
            comparisons,
            confounds,
        ],
        metrics=as_json(
            {
                **spread,
                "num_sources_left_out": num_left_out,
                "known_and_unseen": known_and_unseen,
                "confound": confound,
                "sources": {
                    one.name: {
                        "part": one.part,
                        "num_recordings": one.num_recordings,
                        "auroc": results[one.name],
                    }
                    for one in sources
                },
            }
        ),
        plots={
            "by_source.csv": (
                ("source", "part", "auroc", "low", "high"),
                [(one.name, one.part, *results[one.name].row) for one in sources],
            )
        },
        rows={"sources.parquet": _rows(sources, results)},
    )


def _source(pool: Pool, name: str) -> _Source:
    examples = pool.examples
    own: BoolArray = examples.source == name
    # Two strata: its shootings against the others' rest, and its rest against their shootings.
    strata = (own != examples.is_shooting).astype(np.int64)
    return _Source(
        name=name,
        part="unseen" if pool.unseen[own].any() else "known",
        origin=str(examples.origin[own][0]),
        num_examples=int(own.sum()),
        num_recordings=int(np.unique(examples.clusters[own]).size),
        num_shootings=int(examples.is_shooting[own].sum()),
        placed=pool.place(np.ones(len(examples), bool), strata),
    )


def _worst(sources: Sequence[_Source], confidence: float) -> tuple[Verdict, dict[str, Any]]:
    """Verdict on the worst source, and how far sources differ."""
    counting = [one for one in sources if one.counts]
    too_small = len(sources) - len(counting)
    small = f" {too_small} of {len(sources)} sources are too small to count." if too_small else ""
    spread: dict[str, Any] = {
        "num_sources": len(counting),
        "num_sources_too_small": too_small,
        "worst": None,
        "range": None,
        "deviation": None,
        "deviation_by_chance": None,
    }
    placed = [one.placed for one in counting if one.placed is not None]
    if not placed:
        says = (
            f"No source has the {FEWEST_RECORDINGS} recordings, and examples of the other answer "
            "to be ranked against, that a verdict could rest on."
        )
        return Verdict("worst_source", "grey", says), spread
    aurocs = np.array([one.auroc for one in placed])
    worst = counting[int(aurocs.argmin())]
    spread |= {"worst": worst.name, "range": rounded(np.ptp(aurocs))}
    if len(placed) > 1:
        by_chance = np.sqrt(np.mean([one.variance for one in placed]))
        spread |= {
            "deviation": rounded(aurocs.std(ddof=1)),
            "deviation_by_chance": rounded(by_chance),
        }
    own = [one.judged(confidence) for one in counting]
    # The lowest of many is low by chance: its interval is widened by as many (Bonferroni).
    widened = worst.judged(1 - (1 - confidence) / len(counting))
    shown = (
        f"of {len(counting)} sources the worst is {worst.name}, AUROC "
        f"{wording.number('auroc', widened.value)} ({wording.interval('auroc', widened)})"
    )
    if widened.high is not None and widened.high < WORTH_HAVING:
        says = f"The detector fails on a source: {shown}.{small}"
        return Verdict("worst_source", "red", says), spread
    if all(one.low is not None and one.low > CHANCE for one in own):
        says = f"The detector beats chance on every source: {shown}.{small}"
        return Verdict("worst_source", "green", says), spread
    says = f"Not every source is shown to be better than guessing: {shown}.{small}"
    return Verdict("worst_source", "amber", says), spread


def _held_out(pool: Pool, confidence: float) -> tuple[Verdict, Table, dict[str, Any]]:
    """The drop from known to unseen sources, in the ways that shootings can meet other footage."""
    positive, unseen = pool.examples.is_shooting, pool.unseen
    fictional: BoolArray = pool.examples.origin != "real"
    compared = {
        "known": ("Known sources alone", ~unseen),
        "unseen": ("Unseen sources alone", unseen),
        "unseen_cameras": ("Unseen cameras against known sources", unseen == positive),
        "unseen_titles": (
            "Known cameras against unseen fictional sources",
            np.where(unseen, fictional, positive),
        ),
    }
    placed = {name: pool.place(chosen) for name, (_, chosen) in compared.items()}
    known = placed["known"]
    results: dict[str, dict[str, Any]] = {
        name: {
            "auroc": judged(one, confidence),
            "drop": None
            if known is None or one is None or one is known
            else known.beyond(one, confidence),
        }
        for name, one in placed.items()
    }
    table = Table(
        "New recordings and new sources",
        ["What is ranked", "AUROC", "Below known sources by"],
        [
            [text(label), measured("auroc", results[name]["auroc"]), _drop(results[name]["drop"])]
            for name, (label, _) in compared.items()
        ],
        caption=(
            "Unseen cameras are the real sources held out of training, unseen titles the "
            "fictional ones (games, films, generators)."
        ),
    )
    return _drop_verdict(pool, results), table, results


def _drop_verdict(pool: Pool, results: Mapping[str, Mapping[str, Any]]) -> Verdict:
    name = "drop_on_unseen_sources"
    if not pool.unseen.any() or pool.unseen.all():
        says = "No source was held out beside known ones: how it fares elsewhere is not known."
        return Verdict(name, "grey", says)
    # A held-out part of one answer alone is ranked against the other answer of known sources.
    order = ("unseen", "unseen_cameras", "unseen_titles")
    chosen = next((one for one in order if results[one]["drop"] is not None), None)
    if chosen is None or results[chosen]["drop"].interval is None:
        reason = NOTHING_TO_RANK if chosen is None else results[chosen]["drop"].reason
        return Verdict(name, "grey", f"The drop on unseen sources is not known: {reason}.")
    drop = results[chosen]["drop"]
    before, after = (
        wording.number("auroc", results[one]["auroc"].value) for one in ("known", chosen)
    )
    shown = (
        f"AUROC is {before} on known and {after} on unseen sources, lower by {drop.value:.3f} "
        f"({drop.low:.3f} to {drop.high:.3f})"
    )
    if drop.low > ACCEPTABLE_DROP:
        return Verdict(name, "red", f"The detector does not carry over: {shown}.")
    known = results["known"]["auroc"]
    if known.low is None or known.low <= CHANCE:
        says = f"Known sources are not shown to be told better than by guessing: {shown}."
        return Verdict(name, "grey", says)
    if drop.high < ACCEPTABLE_DROP:
        return Verdict(name, "green", f"The detector carries over: {shown}.")
    says = f"Whether the detector carries over is open, for want of recordings: {shown}."
    return Verdict(name, "amber", says)


def _drop(drop: Measured | None) -> Cell:
    if drop is None:
        return text(wording.DASH)
    if drop.interval is None:
        return Cell(f"{drop.value:.3f}", str(drop.reason), drop.value)
    return Cell(f"{drop.value:.3f}", f"{drop.low:.3f} to {drop.high:.3f}", drop.value)


def _table(sources: Sequence[_Source], results: Mapping[str, Measured], num_left_out: int) -> Table:
    others = (
        f" {num_left_out:,} sources with fewer recordings than the {MOST_SOURCES} of most of their "
        "origin are among the others, and not judged themselves."
    )
    rows = [
        [
            Cell(one.name, "" if one.counts else "too small to count"),
            text(one.part),
            text(one.origin),
            count(one.num_recordings),
            count(one.num_shootings),
            measured("auroc", results[one.name]),
        ]
        for one in sources
    ]
    return Table(
        "Source by source",
        ["Source", "In training", "Origin", "Recordings", "Shootings", "AUROC"],
        rows,
        caption="Each source's examples against those with the other answer from all others."
        + others * (num_left_out > 0),
    )


def _figure(sources: Sequence[_Source], results: Mapping[str, Measured]) -> list[Figure]:
    estimates = [
        ForestRow(one.name, f"{one.part} sources", results[one.name])
        for one in sources
        if one.placed is not None
    ]
    estimates.sort(key=lambda one: (one.result.known, one.label))
    if not estimates:
        return []
    caption = "Worst source on top; the dotted line is a coin. Lines are intervals over recordings."
    return [Figure("Sources", forest(estimates, "AUROC", CHANCE), caption, wide=True)]


def _rows(sources: Sequence[_Source], results: Mapping[str, Measured]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "source": one.name,
                **{name: getattr(one, name) for name in _SCHEMA.names[1:6]},
                **dict(zip(("auroc", "low", "high"), results[one.name].row, strict=True)),
                "reason": results[one.name].reason,
            }
            for one in sources
        ],
        schema=_SCHEMA,
    )
