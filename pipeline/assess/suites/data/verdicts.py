"""Judgements of an audit in sentences; what foreign text they hold is plain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.assess.audit.facts import DataFacts, SourceFacts
from pipeline.assess.audit.tables import Proof
from pipeline.assess.evidence import State, Verdict
from pipeline.assess.wording import CLASS_NAMES
from pipeline.store.manifest import CLASSES, LONG_SPLITS
from pipeline.system.visible_text import plain

MAX_NAME = 80
"""Most characters that are shown of a name of an index."""
NO_LICENCE = frozenset({"", "-", "?", "n/a", "na", "none", "tbd", "todo", "unclear", "unknown"})
"""Words that stand for a licence where there is none, in lower case."""
_MAX_NAMED = 3
_BROKEN = {
    "recordings": "Recordings divided between splits",
    "clusters": "Clusters of near-duplicates divided between splits",
    "exact_copies": "Pictures, equal pixel by pixel, in more than one split",
    "files": "Source files, under whatever name, in more than one split",
    "near_copies": "Look-alikes of held-out clips in other splits",
    "unseen_sources": "Sources of the split “unseen” in other splits too",
    "variants": "Variants with another split, recording or label than their clip",
    "tables": "Contradictions between the table of splits and what was made from it",
}


def split_verdicts(data: DataFacts) -> list[Verdict]:
    """Judge whether the splits keep apart what they must."""
    if not data.proofs:
        says = "A collection has no splits, so that there is nothing to prove about them."
        return [Verdict("splits", "grey", says)]
    return [Verdict(proof.name, state(proof), sentence(proof)) for proof in data.proofs]


def state(proof: Proof) -> State:
    """Red where anything was found, grey where there was nothing to look at."""
    if proof.num_broken:
        return "red"
    return "green" if proof.num_checked else "grey"


def sentence(proof: Proof) -> str:
    """Say what was proved, or what breaks it, with the clips by name."""
    if not proof.num_broken:
        return proof.holds
    groups = pc.unique(proof.offenders["found"]).to_pylist()
    named = "; ".join(_group(proof.offenders, name) for name in groups[:_MAX_NAMED])
    more = f"; and {len(groups) - _MAX_NAMED:,} more" if len(groups) > _MAX_NAMED else ""
    return f"{_BROKEN[proof.name]} ({proof.num_broken:,} found): {named}{more}."


def _group(offenders: pa.Table, name: str) -> str:
    """Say what was found, and the clips behind it with their splits."""
    rows = offenders.filter(pc.equal(offenders["found"], name))
    clips = rows.filter(pc.is_valid(rows["clip_id"]))
    shown = _one_of_each_split(clips)
    said = plain(name, MAX_NAME)
    if not shown:
        return said
    listed = ", ".join(
        f"{plain(row['clip_id'], MAX_NAME)} of {plain(row['recording'], MAX_NAME)} "
        f"({plain(row['split'] or 'no split', MAX_NAME)})"
        for row in shown
    )
    rest = clips.num_rows - len(shown)
    return f"{said}: clips {listed}" + (f" and {rest:,} more" if rest else "")


def _one_of_each_split(clips: pa.Table) -> list[dict[str, Any]]:
    """The first clip of each split, or the first few of a single one."""
    first: dict[str | None, dict[str, Any]] = {}
    splits = pc.unique(clips["split"]).to_pylist()
    for split in splits[:_MAX_NAMED]:
        of_it = pc.is_null(clips["split"]) if split is None else pc.equal(clips["split"], split)
        first[split] = clips.filter(of_it).slice(0, 1).to_pylist()[0]
    return list(first.values()) if len(first) > 1 else clips.slice(0, 2).to_pylist()


def gap_verdicts(data: DataFacts) -> list[Verdict]:
    """Judge what the footage lacks."""
    unlicensed = [one for one in data.sources if has_no_licence(one)]
    unnamed = [one for one in data.sources if not one.authority.strip()]
    return [
        Verdict(
            "licences",
            "amber" if unlicensed else "green",
            f"{_from(unlicensed)} has no known licence; settle it before anything is published."
            if unlicensed
            else "Every file names a licence. Whether it is right, no table can tell.",
        ),
        Verdict(
            "authority",
            "amber" if unnamed else "green",
            f"{_from(unnamed)} does not say who released it, and on what basis."
            if unnamed
            else "All footage says who released it, or what rendered it.",
        ),
        _real_footage(data),
        _every_class(data),
    ]


def has_no_licence(one: SourceFacts) -> bool:
    """Tell whether the index names nothing that is a licence."""
    return one.licence.strip().lower() in NO_LICENCE


def _from(sources: Sequence[SourceFacts]) -> str:
    names = [plain(one.source, MAX_NAME) for one in sources]
    more = f" and {len(names) - _MAX_NAMED:,} more" if len(names) > _MAX_NAMED else ""
    clips = sum(sum(one.clips.values()) for one in sources)
    return f"Footage of {', '.join(names[:_MAX_NAMED])}{more} ({clips:,} clips)"


def _real_footage(data: DataFacts) -> Verdict:
    real = [one for one in data.sources if one.origin == "real"]
    total = sum(sum(one.clips.values()) for one in real)
    rendered = sum(sum(one.clips.values()) for one in real if one.rendered)
    if not total:
        return Verdict("real_footage", "grey", "No clip is labelled real.")
    if rendered:
        share = "All" if rendered == total else f"{rendered:,} of"
        made = "rendered by a computer, in whole or in part"
        says = f"{share} {total:,} clips labelled real were {made}."
        return Verdict("real_footage", "amber", says)
    says = f"None of the {total:,} clips labelled real says of itself that it was rendered."
    return Verdict("real_footage", "green", says)


def _every_class(data: DataFacts) -> Verdict:
    # A few long recordings need not show everything.
    splits = [split for split in data.splits if split not in LONG_SPLITS]
    if not splits:
        return Verdict("classes", "grey", "No clip has a known label.")
    absent = [
        f"{plain(split, MAX_NAME)} has no {CLASS_NAMES[kind]}"
        for split in splits
        for kind in CLASSES
        if not data.clips_by_class[split][kind]
    ]
    if absent:
        return Verdict("classes", "amber", f"Classes are missing: {'; '.join(absent)}.")
    fewest, split, kind = min(
        (number, split, kind)
        for split in splits
        for kind, number in data.recordings_by_class[split].items()
    )
    where = "split" if data.proofs else "collection"
    says = (
        f"Every class is in every {where}; of the fewest there "
        f"{'is 1 recording' if fewest == 1 else f'are {fewest:,} recordings'}: "
        f"“{CLASS_NAMES[kind]}” in {plain(split, MAX_NAME)}."
    )
    return Verdict("classes", "green", says)
