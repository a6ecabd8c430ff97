"""Twins: clips of the same moment in several appearances, which hold the scene fixed.

A moment is what labelled clips of one recording show that start at the same time and agree on the
discharge. Where they are of several origins, only the appearance tells these apart: a detector that
has learnt which scenes are real tells origins well over all clips, and twins not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.assess import before_after, judged_sources, wording
from pipeline.assess.evidence import (
    Cell,
    Evidence,
    State,
    Table,
    Verdict,
    count,
    gravest_key,
    measured,
    text,
)
from pipeline.assess.examples import Examples, origins_shown
from pipeline.assess.statistics import placements
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.placements import PlacementAuroc
from pipeline.assess.statistics.questions import (
    CHANCE,
    FEWEST_RECORDINGS,
    WORTH_HAVING,
    judge_share,
)
from pipeline.numbers.metrics import BoolArray, IntArray
from pipeline.store.manifest import CLASSES, IS_DISCHARGE

_NOTHING = Measured.unknown("no moment in both appearances")


@dataclass(frozen=True)
class TwinComparison:
    """Moments as real beside the same moments as another origin, and what is said of both."""

    other: str
    num_moments: int
    ranking: PlacementAuroc | None
    """How often P(real) ranks the real clip above the other of the same moment."""
    all_clips: PlacementAuroc | None
    """How often P(real) ranks a real clip above another, over all clips of the two origins."""
    turns: Mapping[str, Measured]
    """Share of moments at which both differ, by decision on discharge."""
    confidence: float

    @property
    def num_recordings(self) -> int:
        """Recordings that hold such moments."""
        return self.ranking.num_units if self.ranking else 0

    @property
    def ranked(self) -> Measured:
        """The share of `ranking`, with its interval."""
        if self.ranking is None:
            return _NOTHING
        found = self.ranking.judged(self.confidence)
        return found.bounded_exactly(self.num_recordings, self.confidence)

    @property
    def auroc(self) -> Measured:
        """The AUROC of `all_clips`, with its interval."""
        return judged_sources.judged(self.all_clips, self.confidence)

    @property
    def is_enough(self) -> bool:
        """Tells whether a verdict may rest on it."""
        known = (self.ranking, self.all_clips)
        return all(one is not None and one.num_units >= FEWEST_RECORDINGS for one in known)

    @property
    def state(self) -> State:
        """Green where the ranking is surely above `WORTH_HAVING`.

        Red where all clips are surely told apart better than that, while of what lies above
        chance surely less than half is left among twins and the rest may be chance.
        """
        if not self.is_enough:
            return "grey"
        low = self.ranked.low
        if low is not None and low > WORTH_HAVING:
            return "green"
        known = self.auroc.low
        if known is None or known <= WORTH_HAVING:
            return "grey"
        assert self.ranking is not None and self.all_clips is not None
        half = replace(
            self.all_clips,
            auroc=(CHANCE + self.all_clips.auroc) / 2,
            influence=self.all_clips.influence / 2,
        )
        more = self.ranking.beyond(half, self.confidence)
        is_lost = more.high is not None and more.high < 0
        return "red" if is_lost and (low is None or low <= CHANCE) else "amber"


@dataclass(frozen=True)
class TwinMoments:
    """The moments of the judged parts that were found in several appearances."""

    rows: pa.Table
    """A row a clip of a moment."""
    by_origin: Mapping[str, TwinComparison]
    """Comparisons by the origin that is set beside real footage."""


def measure(evidence: Evidence) -> TwinMoments:
    """Set twins of the judged parts against each other; no clip is read."""
    bootstrap = evidence.settings.bootstrap
    clips = pa.concat_tables([part.clips for part in judged_sources.parts(evidence)])
    clips = clips.filter(pc.is_valid(clips["discharge"]))
    examples, moments = Examples.from_clips(clips), _moments(clips)
    others = [origin for origin in origins_shown(examples.origin) if origin != "real"]
    return TwinMoments(
        _rows(clips, examples, moments),
        {other: _compared(other, examples, moments, bootstrap) for other in others},
    )


def judge(twins: TwinMoments) -> Verdict:
    """The gravest of the appearances that enough recordings show."""
    name = "reads_scenes"
    states = {other: one.state for other, one in twins.by_origin.items() if one.is_enough}
    if not states:
        most = max(one.num_recordings for one in twins.by_origin.values())
        says = (
            f"It needs {FEWEST_RECORDINGS} recordings of the same moments as real and in another "
            f"appearance, and has {most}."
        )
        return Verdict(name, "grey", says)
    found = twins.by_origin[gravest_key(states)]
    share = found.ranked
    begins: dict[State, str] = {
        "red": "The detector reads scenes",
        "amber": "Whether the detector reads appearance or scenes is open",
        "grey": "The detector tells little, also from all clips",
        "green": "The detector reads appearance",
    }
    says = (
        f"{begins[found.state]}: of the same moment as real and as {found.other}, P(real) is "
        f"higher for the real one in {wording.percent(share.known)} "
        f"({before_after.said_share(share)}) of {found.num_moments} moments of "
        f"{found.num_recordings} recordings; over all clips AUROC is "
        f"{wording.decimal(found.auroc.known)} "
        f"({wording.interval('auroc', found.auroc)})."
    )
    return Verdict(name, found.state, says)


def table(twins: TwinMoments) -> Table:
    """A row an appearance that is set beside the real one."""
    rows: list[list[Cell]] = [
        [
            text(f"real and {other}"),
            count(one.num_moments),
            count(one.num_recordings),
            before_after.share(one.ranked),
            measured("auroc", one.auroc),
            *(before_after.share(turn) for turn in one.turns.values()),
        ]
        for other, one in twins.by_origin.items()
    ]
    return Table(
        "The same moment in two appearances",
        [
            "Appearances",
            "Moments",
            "Recordings",
            "real ranked above",
            "AUROC of all clips",
            "P(discharge) turns",
            "class turns",
        ],
        rows,
        "Twins are clips of one recording, of two origins, that start at the same time. How often "
        "P(real) is higher for the real one, chance being 50 %, and beside it how well the two "
        "origins are told apart over all clips, where scenes differ too. Then how often another "
        "appearance alone turns the decision on discharge, which it should not: P(discharge) above "
        "0.5, and whether the likeliest of the four classes is a shooting.",
    )


def summary(twins: TwinMoments) -> dict[str, Any]:
    """Return the numbers by origin, for `metrics.json`."""
    return {
        other: {
            "num_moments": one.num_moments,
            "num_recordings": one.num_recordings,
            "real_ranked_above": one.ranked,
            "auroc_of_all_clips": one.auroc,
            "turns": one.turns,
        }
        for other, one in twins.by_origin.items()
    }


def _moments(clips: pa.Table) -> IntArray:
    """(N,) the number of each clip's moment; -1 where it has a single appearance."""
    # Two files of one recording may round the same time differently.
    starts = np.round(clips["start_s"].to_numpy(), 3).tolist()
    columns = (clips[name].to_pylist() for name in ("recording", "discharge", "origin"))
    origins: dict[tuple[str, float, int], set[str]] = {}
    keys = []
    for start, recording, discharge, origin in zip(starts, *columns, strict=True):
        keys.append((recording, start, discharge))
        origins.setdefault(keys[-1], set()).add(origin)
    several = (key for key, found in origins.items() if len(found) > 1)
    numbers = {key: number for number, key in enumerate(several)}
    return np.array([numbers.get(key, -1) for key in keys], np.int64)


def _compared(
    other: str, examples: Examples, moments: IntArray, bootstrap: Bootstrap
) -> TwinComparison:
    real: BoolArray = examples.origin == "real"
    either = real | (examples.origin == other)
    both = np.intersect1d(moments[real], moments[examples.origin == other])
    chosen = either & np.isin(moments, both[both >= 0])
    number = np.unique(moments[chosen], return_inverse=True)[1].astype(np.int64)

    def placed(own: BoolArray, strata: IntArray | None = None) -> PlacementAuroc | None:
        return placements.place(
            real[own],
            examples.p_real[own],
            examples.clusters[own],
            int(examples.clusters.max(initial=-1)) + 1,
            strata,
        )

    num_moments = int(number.max(initial=-1)) + 1
    recording = np.zeros(num_moments, np.int64)
    recording[number] = examples.clusters[chosen]
    decisions = {
        "p_discharge": examples.p_discharge[chosen] > 0.5,
        "class": np.array(IS_DISCHARGE)[examples.predicted[chosen]],
    }
    turns = {}
    for name, fires in decisions.items():
        share = np.bincount(number, fires, num_moments) / np.bincount(number, None, num_moments)
        turned = (share > 0) & (share < 1)
        turns[name] = judge_share(turned, recording, bootstrap) if num_moments else _NOTHING
    ranking = placed(chosen, number)
    if ranking is not None:
        # Both clips of a pair are of one recording, which was counted for either of them.
        ranking = replace(ranking, influence=ranking.influence / 2)
    return TwinComparison(other, num_moments, ranking, placed(either), turns, bootstrap.confidence)


def _rows(clips: pa.Table, examples: Examples, moments: IntArray) -> pa.Table:
    shown = np.flatnonzero(moments >= 0)
    shown = shown[np.argsort(moments[shown], kind="stable")]
    names = ("recording", "start_s", "discharge", "clip_id", "source", "origin")
    return pa.table(
        {
            "moment": moments[shown],
            **{name: clips[name].take(shown) for name in names},
            "p_real": examples.p_real[shown],
            "p_discharge": examples.p_discharge[shown],
            "predicted": pa.array([CLASSES[i] for i in examples.predicted[shown]], pa.string()),
        }
    )
