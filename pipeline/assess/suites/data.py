"""Data audit: what was judged, who gave it, what was left out, and whether the splits leak.

Each proof is red where anything breaks it: a leak is a fact, not an estimate, so that no interval
stands between it and its colour; where only a sample was compared, the sentence says what share
could still be a copy. Gaps of licence, authority, origin or class are amber, since they
limit what numbers mean without making them wrong. Nothing here runs the detector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.assess.audit.facts import UNUSED, DataFacts, SourceFacts, facts
from pipeline.assess.audit.tables import OFFENDER_SCHEMA, Proof
from pipeline.assess.suites.base import (
    Block,
    Cell,
    Csv,
    Evidence,
    Section,
    State,
    Table,
    Verdict,
    count,
    text,
)
from pipeline.assess.untrusted import plain
from pipeline.assess.wording import CLASS_NAMES
from pipeline.manifest import CLASSES

TITLE = "Data audit"
NO_LICENCE = frozenset({"", "-", "?", "n/a", "na", "none", "tbd", "todo", "unclear", "unknown"})
"""What stands for a licence where there is none, in lower case."""
COMPOSITION = ("split", "class", "num_clips", "num_recordings")
"""Columns of the plot `composition.csv`."""
_MAX_NAME = 80
_MAX_NAMED = 3
_MAX_LISTED = 50
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


def run(evidence: Evidence) -> Section:
    """Audit the data; see `pipeline.assess.audit`.

    Raises:
        UserError: a table of an earlier stage is missing or not readable.
    """
    return section(facts(evidence))


def section(data: DataFacts) -> Section:
    """The section of facts that were gathered already."""
    return Section(
        lead=(
            "A detector that has met the test footage before looks better than it is. Here is what "
            "footage there is and who gave it, what was left out and why, and a proof, made again "
            "from the tables themselves, that nothing to be tested on was there to learn from."
            if data.proofs
            else "Here is what footage was judged, who gave it, and what was left out and why. A "
            "collection has no splits: whether training saw any of it, these tables cannot tell."
        ),
        verdicts=[*_split_verdicts(data), *_gap_verdicts(data)],
        blocks=_blocks(data),
        metrics=_metrics(data),
        plots={"composition.csv": _composition(data)},
        rows={"clips": data.clips, "files": data.files, "offenders": _offenders(data)},
    )


def _split_verdicts(data: DataFacts) -> list[Verdict]:
    if not data.proofs:
        says = "A collection has no splits, so that there is nothing to prove about them."
        return [Verdict("splits", "grey", says)]
    return [Verdict(proof.name, _state(proof), _says(proof)) for proof in data.proofs]


def _state(proof: Proof) -> State:
    if proof.num_broken:
        return "red"
    return "green" if proof.num_checked else "grey"


def _says(proof: Proof) -> str:
    if not proof.num_broken:
        return proof.holds
    groups = pc.unique(proof.offenders["found"]).to_pylist()
    named = "; ".join(_group(proof.offenders, name) for name in groups[:_MAX_NAMED])
    more = f"; and {len(groups) - _MAX_NAMED:,} more" if len(groups) > _MAX_NAMED else ""
    return f"{_BROKEN[proof.name]} ({proof.num_broken:,} found): {named}{more}."


def _group(offenders: pa.Table, name: str) -> str:
    """What was found, and the clips behind it with their splits."""
    rows = offenders.filter(pc.equal(offenders["found"], name))
    clips = rows.filter(pc.is_valid(rows["clip_id"]))
    shown = _one_of_each_split(clips)
    said = plain(name, _MAX_NAME)
    if not shown:
        return said
    listed = ", ".join(
        f"{plain(row['clip_id'], _MAX_NAME)} of {plain(row['recording'], _MAX_NAME)} "
        f"({plain(row['split'] or 'no split', _MAX_NAME)})"
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


def _gap_verdicts(data: DataFacts) -> list[Verdict]:
    unlicensed = [one for one in data.sources if _has_no_licence(one)]
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


def _has_no_licence(one: SourceFacts) -> bool:
    return one.licence.strip().lower() in NO_LICENCE


def _from(sources: Sequence[SourceFacts]) -> str:
    names = [plain(one.source, _MAX_NAME) for one in sources]
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
        says = f"{share} {total:,} clips labelled real were rendered by a computer."
        return Verdict("real_footage", "amber", says)
    says = f"None of the {total:,} clips labelled real says of itself that it was rendered."
    return Verdict("real_footage", "green", says)


def _every_class(data: DataFacts) -> Verdict:
    absent = [
        f"{plain(place, _MAX_NAME)} has no {CLASS_NAMES[kind]}"
        for place in data.places
        for kind in CLASSES
        if not data.clips_by_class[place][kind]
    ]
    if absent:
        return Verdict("classes", "amber", f"Classes are missing: {'; '.join(absent)}.")
    fewest, place, kind = min(
        (number, place, kind)
        for place in data.places
        for kind, number in data.recordings_by_class[place].items()
    )
    where = "split" if data.proofs else "collection"
    says = (
        f"Every class is in every {where}; the fewest are {fewest:,} recordings of "
        f"“{CLASS_NAMES[kind]}” in {plain(place, _MAX_NAME)}."
    )
    return Verdict("classes", "green", says)


def _blocks(data: DataFacts) -> list[Block]:
    blocks: list[Block] = [_by_class(data), _by_source(data)]
    if data.proofs:
        blocks.append(_proofs(data.proofs))
    blocks.append(_left_out(data))
    if data.copies is not None:
        blocks.append(_copies(data))
    if any(proof.num_broken for proof in data.proofs):
        blocks.append(_offenders_table(data))
    return blocks


def _by_class(data: DataFacts) -> Table:
    def cell(place: str, kind: str) -> Cell:
        clips = data.clips_by_class[place][kind]
        recordings = data.recordings_by_class[place][kind]
        return Cell(f"{clips:,}", f"{recordings:,} recordings", float(clips))

    rows = [
        [
            text(plain(place, _MAX_NAME)),
            count(sum(data.clips_by_class[place].values())),
            *(cell(place, kind) for kind in CLASSES),
            count(data.num_variants.get(place, 0)),
        ]
        for place in data.places
    ]
    return Table(
        "Clips by split and class" if data.proofs else "Clips by class",
        [
            "Split" if data.proofs else "Collection",
            "Clips",
            *(CLASS_NAMES[kind].capitalize() for kind in CLASSES),
            "Variants",
        ],
        rows,
        f"{data.num_files:,} files gave {data.num_clips:,} clips of {data.num_recordings:,} "
        "recordings. Variants are made of clips and come on top.",
    )


def _by_source(data: DataFacts) -> Table:
    places = [*data.places, UNUSED]
    rows = [
        [
            text(plain(one.source, _MAX_NAME)),
            Cell(one.origin, "rendered" if one.rendered else ""),
            Cell(
                plain(one.licence, _MAX_NAME) or "none",
                state="amber" if _has_no_licence(one) else None,
            ),
            Cell(
                plain(one.authority, _MAX_NAME) or "not given",
                state=None if one.authority.strip() else "amber",
            ),
            Cell(
                f"{one.num_files:,}",
                f"{one.num_rejected:,} rejected" if one.num_rejected else "",
                float(one.num_files),
            ),
            count(one.num_recordings),
            *(count(one.clips.get(place, 0)) for place in places),
        ]
        for one in data.sources
    ]
    heads = [plain(place, _MAX_NAME).capitalize() for place in places]
    columns = ["Source", "Origin", "Licence", "Authority", "Files", "Recordings", *heads]
    return Table("Sources", columns, rows, "The columns from the seventh on count clips.")


def _proofs(proofs: Sequence[Proof]) -> Table:
    rows = [
        [
            Cell(proof.name.replace("_", " ").capitalize(), state=_state(proof)),
            Cell(proof.holds if not proof.num_broken else _says(proof), proof.note),
            count(proof.num_checked),
            count(proof.num_broken),
        ]
        for proof in proofs
    ]
    columns = ["What must not cross", "Found", "Checked", "Broken"]
    return Table("Proof that the splits do not leak", columns, rows)


def _left_out(data: DataFacts) -> Table:
    rows = [
        [text(what), text(plain(reason, _MAX_NAME)), count(number)]
        for what, found in (("File rejected", data.rejects), ("Clip unused", data.unused))
        for reason, number in found.items()
    ]
    columns = ["What", "Reason", "Number"]
    return Table("Left out", columns, rows, "" if rows else "Nothing was left out.")


def _copies(data: DataFacts) -> Table:
    found = data.copies
    assert found is not None
    rows = [
        [
            text("Equal pixels"),
            count(found.num_equal_groups),
            count(found.num_equal_clips),
            text(""),
        ],
        [
            text("Look alike, several recordings"),
            count(found.num_alike_clusters),
            count(found.num_alike_clips),
            count(found.num_alike_recordings),
        ],
    ]
    caption = "Copies are no fault as long as all of them are in one split."
    return Table("Copies found", ["What", "Groups", "Clips", "Recordings"], rows, caption)


def _offenders_table(data: DataFacts) -> Table:
    found = _offenders(data)
    rows = [
        [text(plain(value or "", _MAX_NAME)) for value in row.values()]
        for row in found.slice(0, _MAX_LISTED).to_pylist()
    ]
    columns = ["Proof", "Found", "Clip", "Recording", "Split"]
    caption = f"The first {_MAX_LISTED} of {found.num_rows:,}." * (found.num_rows > _MAX_LISTED)
    return Table("What breaks the proofs", columns, rows, caption)


def _offenders(data: DataFacts) -> pa.Table:
    tables = [proof.offenders for proof in data.proofs]
    return pa.concat_tables([OFFENDER_SCHEMA.empty_table(), *tables])


def _composition(data: DataFacts) -> Csv:
    rows = [
        [
            plain(place, _MAX_NAME),
            kind,
            data.clips_by_class[place][kind],
            data.recordings_by_class[place][kind],
        ]
        for place in data.places
        for kind in CLASSES
    ]
    return COMPOSITION, rows


def _metrics(data: DataFacts) -> dict[str, Any]:
    return {
        "num_files": data.num_files,
        "num_recordings": data.num_recordings,
        "num_clips": data.num_clips,
        "num_sources": len({one.source for one in data.sources}),
        "num_variants": _plain_counts(data.num_variants),
        "clips": {plain(name, _MAX_NAME): dict(n) for name, n in data.clips_by_class.items()},
        "rejects": _plain_counts(data.rejects),
        "unused": _plain_counts(data.unused),
        "copies": None if data.copies is None else vars(data.copies),
        "proofs": {
            proof.name: {"checked": proof.num_checked, "broken": proof.num_broken}
            for proof in data.proofs
        },
    }


def _plain_counts(counts: Mapping[str, int]) -> dict[str, int]:
    return {plain(name, _MAX_NAME): number for name, number in counts.items()}
