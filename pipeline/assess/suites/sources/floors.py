"""Floors: how far P(real) tells sources of one origin apart, which is no evidence of reality.

After the floors of VidAudit (Cakiroglu et al., "Auditing Generalization in AI-Generated Video
Detection", 2026), which trains a readout on real sources; here the detector's own score must do
without. Whatever separates real from game has to lie above what separates real from real and game
from game.

With few recordings two equal sources differ by chance, and the floor lies above 0.5 even for a
score that reads no source: what chance gives is reported beside it, and a high floor that it
explains catches nobody. A claim is certified (green) where the margin's whole interval lies above
`CERTIFIED_MARGIN`; caught (red) where none of it lies above 0 and the floor is higher than chance
explains; else near the floor (amber).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from pipeline.assess.examples import MOST_SOURCES, origins_shown
from pipeline.assess.judged_sources import Pool
from pipeline.assess.page.forest import ForestRow, forest
from pipeline.assess.statistics.measurement import Measured, as_json
from pipeline.assess.statistics.placements import PlacementAuroc
from pipeline.assess.statistics.questions import (
    CHANCE,
    FEWEST_RECORDINGS,
)
from pipeline.assess.suites.sources import source_gaps
from pipeline.assess.suites.sources.source_gaps import Floor, MeasuredFloor, SourcePair
from pipeline.footage.collection import ORIGINS
from pipeline.numbers.intervals import reflected_percentiles
from pipeline.numbers.metrics import FloatArray
from pipeline.numbers.rounding import rounded

TITLE = "Floors"

CERTIFIED_MARGIN = 0.05
"""Least margin in AUROC above the floor for a claim to be certified."""
_MAX_DRAWN, _MAX_LISTED = 30, 200
"""Rows of the figure and of the table, those furthest from 0.5; `pairs.parquet` has every pair."""
_SCHEMA = pa.schema(
    [
        ("origin", pa.string()),
        ("first", pa.string()),
        ("second", pa.string()),
        ("num_recordings_first", pa.int64()),
        ("num_recordings_second", pa.int64()),
        ("auroc", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Margin:
    """A claim, the floor below it and the margin between them."""

    auroc: Measured
    floor: MeasuredFloor
    margin: Measured
    has_both_floors: bool = True
    """Tells whether real sources and those of the other origin could both be compared."""

    def to_json(self) -> dict[str, Any]:
        """Return every field by its name."""
        return dict(vars(self))


def run(evidence: Evidence) -> Section:
    """Compare every two sources of an origin, known and held out alike; no clip is read."""
    bootstrap = evidence.settings.bootstrap
    confidence = bootstrap.confidence
    pool = Pool.of(evidence)
    sources, num_small, num_left_out = source_gaps.large_sources(pool)
    pairs = source_gaps.pairs(pool, sources)
    origins = origins_shown(pool.examples.origin)
    claims = {origin: source_gaps.claim(pool, origin) for origin in origins if origin != "real"}
    moved, claims_moved = source_gaps.resample(pool, pairs, claims, bootstrap)

    def floor_of(*origins: str) -> Floor | None:
        chosen = np.array([pair.origin in origins for pair in pairs], bool)
        aurocs = np.array([pair.placed.auroc for pair in pairs])
        return Floor.of(aurocs[chosen], moved[:, chosen])

    floors = {origin: floor_of(origin) for origin in origins}
    margins = {
        origin: _least_margin(
            claim, claims_moved.get(origin), [floors["real"], floors[origin]], confidence
        )
        for origin, claim in claims.items()
    }
    return Section(
        lead=(
            "P(real) should not tell one real camera from another, nor one game from another: "
            "where it does, it has learnt sources. The floor is how far it does so on average, "
            "0.5 being not at all; only what lies above it is evidence that real and fictional "
            "footage are told apart."
        ),
        verdicts=[_verdict(origin, one, 1 - confidence) for origin, one in margins.items()],
        panels=[
            _margin_table(margins),
            _pair_table(pairs, num_small, num_left_out, confidence),
            *_figure(pairs, confidence),
        ],
        metrics=as_json(
            {
                "num_sources": len(sources),
                "num_sources_too_small": num_small,
                "num_sources_left_out": num_left_out,
                "floors": {
                    origin: None if floor is None else floor.measured(confidence)
                    for origin, floor in floors.items()
                },
                "margins": {f"real_vs_{origin}": one for origin, one in margins.items()},
            }
        ),
        plots={
            "pairs.csv": (
                ("origin", "first", "second", "auroc"),
                [
                    (one.origin, one.first.name, one.second.name, rounded(one.placed.auroc))
                    for one in pairs
                ],
            )
        },
        rows={"pairs.parquet": _rows(pairs, confidence)},
    )


def _least_margin(
    claim: PlacementAuroc | None,
    moved: FloatArray | None,
    floors: Sequence[Floor | None],
    confidence: float,
) -> Margin | None:
    """The margin over the floor of real sources or of the others, whichever leaves less.

    A mean over both would let many games that are alike hide two cameras that are told apart.
    """
    found = [_margin(claim, moved, floor, confidence) for floor in floors]
    known = [one for one in found if one is not None]
    if not known:
        return None
    least = min(known, key=lambda one: one.margin.ends.low)
    return replace(least, has_both_floors=len(known) == len(found))


def _margin(
    claim: PlacementAuroc | None, moved: FloatArray | None, floor: Floor | None, confidence: float
) -> Margin | None:
    """The claim, the floor and what lies between; None where one of them is missing."""
    if claim is None or moved is None or floor is None:
        return None
    value, replicates = claim.auroc - floor.value, claim.auroc + moved - floor.replicates
    margin = Measured(value, reflected_percentiles(value, replicates, confidence))
    return Margin(claim.judged(confidence), floor.measured(confidence), margin)


def _verdict(origin: str, found: Margin | None, significance: float) -> Verdict:
    name = f"real_vs_{origin}"
    if found is None:
        says = (
            f"There is no floor under telling real from {origin}: it takes real and {origin} "
            f"footage, and two sources of {FEWEST_RECORDINGS} recordings of one of them."
        )
        return Verdict(name, "grey", says)
    margin, floor = found.margin, found.floor
    low, high = margin.ends.low, margin.ends.high
    shown = (
        f"real from {origin} with AUROC {wording.number('auroc', found.auroc.value)}, "
        f"sources of one origin with {wording.number('auroc', floor.value)} (by chance "
        f"{wording.number('auroc', floor.by_chance)}); margin {margin.value:.3f} "
        f"({_reach(margin)})"
    )
    if low > CERTIFIED_MARGIN and not found.has_both_floors:
        says = f"Not certified: only one of the two has sources to compare. P(real) tells {shown}."
        return Verdict(name, "amber", says)
    if low > CERTIFIED_MARGIN:
        return Verdict(name, "green", f"Certified: P(real) tells {shown}.")
    if high <= 0 and floor.p < significance:
        return Verdict(name, "red", f"Caught: P(real) reads sources. It tells {shown}.")
    if margin.known > CERTIFIED_MARGIN:
        says = f"Not certified, for want of recordings: P(real) tells {shown}."
        return Verdict(name, "amber", says)
    return Verdict(name, "amber", f"Near the floor: P(real) tells {shown}.")


def _reach(margin: Measured) -> str:
    return f"{margin.low:.3f} to {margin.high:.3f}"


def _margin_table(margins: Mapping[str, Margin | None]) -> Table:
    rows = []
    for origin, found in margins.items():
        if found is None:
            rows.append([text(f"real from {origin}"), *[text(wording.DASH)] * 5])
            continue
        floor, margin = found.floor, found.margin
        rows.append(
            [
                text(f"real from {origin}"),
                measured("auroc", found.auroc),
                measured("auroc", floor),
                Cell(wording.decimal(floor.by_chance), f"p {floor.p:.3f}"),
                count(floor.num_pairs),
                Cell(f"{margin.value:.3f}", _reach(margin), margin.value),
            ]
        )
    return Table(
        "Margin over the floor",
        ["P(real) tells", "AUROC", "Floor", "By chance", "Pairs", "Margin"],
        rows,
        caption=(
            "The floor is 0.5 and the mean distance from 0.5 of the AUROC between two sources of "
            "the same origin, real or the other, whichever leaves less. By chance: what it would "
            "be if sources differed by nothing but the recordings drawn, and p how often that is "
            "as high."
        ),
    )


def _pair_table(
    pairs: Sequence[SourcePair], num_small: int, num_left_out: int, confidence: float
) -> Table:
    listed = _furthest(pairs, _MAX_LISTED)
    shown = f" These are the {len(listed)} of {len(pairs):,} pairs furthest from 0.5."
    others = (
        f" So are {num_left_out:,} with fewer recordings than the {MOST_SOURCES} of most of their "
        "origin."
    )
    rows = [
        [
            text(pair.origin),
            text(pair.first.name),
            text(pair.second.name),
            text(f"{pair.first.recordings.size} and {pair.second.recordings.size}"),
            measured("auroc", pair.placed.judged(confidence)),
        ]
        for pair in listed
    ]
    return Table(
        "Every two sources",
        ["Origin", "First", "Second", "Recordings", "AUROC"],
        rows,
        caption=(
            f"How often the first has the higher P(real). {num_small} sources of fewer than "
            f"{FEWEST_RECORDINGS} recordings are left out."
            + others * (num_left_out > 0)
            + shown * (len(listed) < len(pairs))
        ),
    )


def _furthest(pairs: Sequence[SourcePair], most: int) -> list[SourcePair]:
    """The pairs furthest from chance, in the order given."""
    order = sorted(range(len(pairs)), key=lambda i: _distance(pairs[i]), reverse=True)
    return [pairs[i] for i in sorted(order[:most])]


def _distance(pair: SourcePair) -> float:
    return abs(pair.placed.auroc - CHANCE)


def _figure(pairs: Sequence[SourcePair], confidence: float) -> list[Figure]:
    if not pairs:
        return []
    furthest = _furthest(pairs, _MAX_DRAWN)
    furthest.sort(key=lambda one: (ORIGINS.index(one.origin), -_distance(one)))
    estimates = [
        ForestRow(f"{one.first.name}\n{one.second.name}", one.origin, one.placed.judged(confidence))
        for one in furthest
    ]
    caption = "On the dotted line a score does not tell the two sources apart, as it should not."
    if len(pairs) > _MAX_DRAWN:
        caption += f" The {_MAX_DRAWN} pairs furthest from it, of {len(pairs)}."
    return [Figure("Pairs of sources", forest(estimates, "AUROC", CHANCE), caption, wide=True)]


def _rows(pairs: Sequence[SourcePair], confidence: float) -> pa.Table:
    rows = []
    for pair in pairs:
        result = pair.placed.judged(confidence)
        rows.append(
            {
                "origin": pair.origin,
                "first": pair.first.name,
                "second": pair.second.name,
                "num_recordings_first": pair.first.recordings.size,
                "num_recordings_second": pair.second.recordings.size,
                **dict(zip(("auroc", "low", "high"), result.row, strict=True)),
            }
        )
    return pa.Table.from_pylist(rows, schema=_SCHEMA)
