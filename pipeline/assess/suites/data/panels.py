"""The tables of an audit; what foreign text they hold is plain."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from pipeline.assess.audit.facts import UNUSED, DataFacts
from pipeline.assess.audit.tables import OFFENDER_SCHEMA, Proof
from pipeline.assess.evidence import Cell, Panel, Table, count, text
from pipeline.assess.suites.data.verdicts import MAX_NAME, has_no_licence, sentence, state
from pipeline.assess.wording import CLASS_NAMES
from pipeline.store.manifest import CLASSES
from pipeline.system.visible_text import plain

_MAX_LISTED = 50


def panels(data: DataFacts) -> list[Panel]:
    """Everything that a reader may want to look up."""
    found: list[Panel] = [_by_class(data), _by_source(data)]
    if data.proofs:
        found.append(_proofs(data.proofs))
    found.append(_left_out(data))
    if data.copies is not None:
        found.append(_copies(data))
    if any(proof.num_broken for proof in data.proofs):
        found.append(_offenders_table(data))
    return found


def _by_class(data: DataFacts) -> Table:
    def cell(split: str, kind: str) -> Cell:
        clips = data.clips_by_class[split][kind]
        recordings = data.recordings_by_class[split][kind]
        return Cell(f"{clips:,}", f"{recordings:,} recordings", float(clips))

    rows = [
        [
            text(plain(split, MAX_NAME)),
            count(sum(data.clips_by_class[split].values())),
            *(cell(split, kind) for kind in CLASSES),
            count(data.num_variants.get(split, 0)),
        ]
        for split in data.splits
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
    splits = [*data.splits, UNUSED]
    rows = [
        [
            text(plain(one.source, MAX_NAME)),
            Cell(one.origin, "rendered" if one.rendered else ""),
            Cell(
                plain(one.licence, MAX_NAME) or "none",
                state="amber" if has_no_licence(one) else None,
            ),
            Cell(
                plain(one.authority, MAX_NAME) or "not given",
                state=None if one.authority.strip() else "amber",
            ),
            Cell(
                f"{one.num_files:,}",
                f"{one.num_rejected:,} rejected" if one.num_rejected else "",
                float(one.num_files),
            ),
            count(one.num_recordings),
            *(count(one.clips.get(split, 0)) for split in splits),
        ]
        for one in data.sources
    ]
    heads = [plain(split, MAX_NAME).capitalize() for split in splits]
    columns = ["Source", "Origin", "Licence", "Authority", "Files", "Recordings", *heads]
    return Table("Sources", columns, rows, "The columns from the seventh on count clips.")


def _proofs(proofs: Sequence[Proof]) -> Table:
    rows = [
        [
            Cell(proof.name.replace("_", " ").capitalize(), state=state(proof)),
            Cell(proof.holds if not proof.num_broken else sentence(proof), proof.note),
            count(proof.num_checked),
            count(proof.num_broken),
        ]
        for proof in proofs
    ]
    columns = ["What must not cross", "Found", "Checked", "Broken"]
    return Table("Proof that the splits do not leak", columns, rows)


def _left_out(data: DataFacts) -> Table:
    rows = [
        [text(what), text(plain(reason, MAX_NAME)), count(number)]
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
    found = offenders(data)
    rows = [
        [text(plain(value or "", MAX_NAME)) for value in row.values()]
        for row in found.slice(0, _MAX_LISTED).to_pylist()
    ]
    columns = ["Proof", "Found", "Clip", "Recording", "Split"]
    caption = f"The first {_MAX_LISTED} of {found.num_rows:,}." * (found.num_rows > _MAX_LISTED)
    return Table("What breaks the proofs", columns, rows, caption)


def offenders(data: DataFacts) -> pa.Table:
    """Rows of `OFFENDER_SCHEMA` of all proofs."""
    tables = [proof.offenders for proof in data.proofs]
    return pa.concat_tables([OFFENDER_SCHEMA.empty_table(), *tables])
