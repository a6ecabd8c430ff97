"""Effects of edits on the answers of a detector, and a small search for the worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.assess import altered_clips, before_after
from pipeline.assess.altered_clips import Change, ClipSubset
from pipeline.assess.before_after import ASKED, Asked, PairedAuroc
from pipeline.assess.evidence import Evidence
from pipeline.assess.examples import Examples
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.questions import judge_share
from pipeline.assess.statistics.summary import questions
from pipeline.transforms.registry import EVERY, FAMILIES, STRENGTHS

CURVES, ENDS = ("edits",), ("camera", "sensor")
"""Families of which every strength is looked at, and those of which the most severe is.

What people do to a video is their choice of strength; what cameras do, training draws from.
"""
SOUND_EDITS = ("mute", "music", "swapped", "delay")
"""What people do to a sound track, of which the most severe is looked at."""
HARDEST = "severe"
NUM_PARTNERS = 5
"""The edits that do most alone are tried as partners of the worst, and no other."""

Names = tuple[str, ...]
Wanted = tuple[Names, str]
"""Edits in the order of their application, and their strength."""


@dataclass(frozen=True)
class Effect:
    """The answers of the detector on a subset after edits, one or two of `names`."""

    names: Names
    strength: str
    pairs: Mapping[Asked, PairedAuroc]
    """AUROC before and after by question."""
    found: Measured | None
    """Share of real shootings above `Search.limit` after the edits; None without a limit."""
    table: pa.Table
    """Rows of `SCORE_SCHEMA`."""


@dataclass(frozen=True)
class Search:
    """The edits tried, the clips they were tried on, and the effect of the worst on others."""

    searched: ClipSubset
    confirmed: ClipSubset
    limit: float | None
    """The threshold of `altered_clips.threshold`."""
    found: Measured | None
    """Share of real shootings among `searched` above the threshold as they are."""
    singles: Sequence[Effect]
    """Effects of every edit alone, at each of its strengths, the faintest first."""
    pairs: Sequence[Effect]
    """The worst edit with each of its partners, the worst pair first."""
    worst_edit: Effect
    """The worst edit alone, on the clips that confirm it."""
    worst_pair: Effect
    """The worst pair of edits, on the clips that confirm it."""


def title(names: Names) -> str:
    """Edits in words."""
    return " and ".join(name.replace("_", " ") for name in names)


def search(evidence: Evidence, num_searched: int, num_confirmed: int) -> Search | str:
    """Find the edit, and then its partner, that leave the least AUROC (greedy).

    Args:
        evidence: the first part's clips are edited.
        num_searched: clips to search on, at most half of those that there are.
        num_confirmed: other clips, some of the same recordings, to measure the worst on: of so
            many edits, some look bad by chance.

    Returns:
        A reason where the clips are of too few recordings.
    """
    chosen = altered_clips.subset(evidence.judged_sets[0], num_searched + num_confirmed)
    few = min(num_searched, len(chosen.rows) // 2)
    searched, others = (ClipSubset(chosen.part, rows) for rows in np.split(chosen.rows, [few]))
    for one in (searched, others):
        reason = _too_few(one) if few else "has no clips"
        if reason:
            return reason
    limit = altered_clips.threshold(evidence.val)
    singles = _effects(evidence, searched, _singles(), limit, "edits")
    worst, *next_worst = sorted((one for one in singles if one.strength == HARDEST), key=damage)
    wanted = [(_ordered(worst.names + one.names), HARDEST) for one in next_worst[:NUM_PARTNERS]]
    pairs = sorted(_effects(evidence, searched, wanted, limit, "pairs of edits"), key=damage)
    last = [(worst.names, HARDEST), (pairs[0].names, HARDEST)]
    edit, pair = _effects(evidence, others, last, limit, "worst edits")
    found = _found(searched.examples, limit, evidence.settings.bootstrap)
    return Search(searched, others, limit, found, singles, pairs, edit, pair)


def _too_few(chosen: ClipSubset) -> str | None:
    asked = questions(chosen.examples)
    reasons = (before_after.too_few(asked[one]) for one in ASKED)
    return next((reason for reason in reasons if reason), None)


def _singles() -> list[Wanted]:
    found: list[Wanted] = [
        ((transform.name,), strength)
        for family in (*CURVES, *ENDS)
        for transform in FAMILIES[family]
        for strength in (STRENGTHS if family in CURVES else (HARDEST,))
    ]
    return [*found, *(((name,), HARDEST) for name in SOUND_EDITS)]


def _effects(
    evidence: Evidence,
    chosen: ClipSubset,
    wanted: Sequence[Wanted],
    limit: float | None,
    progress: str,
) -> list[Effect]:
    changes = {
        f"{' '.join(names)} {strength}": _change(names, strength) for names, strength in wanted
    }
    tables = altered_clips.score(evidence, chosen, changes, progress)
    bootstrap, before = evidence.settings.bootstrap, chosen.examples
    found = []
    for (names, strength), table in zip(wanted, tables.values(), strict=True):
        after = Examples.from_clips(table)
        pairs = before_after.compare(before, after, bootstrap)
        share = _found(after, limit, bootstrap)
        found.append(Effect(names, strength, pairs, share, table))
    return found


def _found(examples: Examples, limit: float | None, bootstrap: Bootstrap) -> Measured | None:
    """The TPR: share of real shootings that score above the limit."""
    if limit is None:
        return None
    shooting = examples.is_shooting
    return judge_share(examples.score[shooting] > limit, examples.clusters[shooting], bootstrap)


def damage(one: Effect) -> tuple[float, Names]:
    """The AUROC that is left, mean of both questions, to sort by."""
    values = [pair.altered.known for pair in one.pairs.values()]
    return float(np.mean(values)), one.names


def _ordered(names: Names) -> Names:
    """Sort edits in the order in which the world applies them."""
    order = list(EVERY)
    return tuple(sorted(names, key=order.index))


def _change(names: Names, strength: str) -> Change:
    return altered_clips.in_turn(
        [altered_clips.drawn_change(name, STRENGTHS[strength]) for name in names]
    )
