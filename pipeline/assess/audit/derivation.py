"""The proof that the table of splits is what stages made, judged and trained on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.assess.audit.tables import (
    LABELS,
    OFFENDER_SCHEMA,
    Proof,
    Tables,
    file_name,
    offender_rows,
)
from pipeline.assess.judged_sets import JudgedSet
from pipeline.errors import reading
from pipeline.store import manifest
from pipeline.store.manifest import CLASSES, class_index
from pipeline.store.output_files import CARD

_GIVEN_BY_SPLIT = ("cluster", "split", "unused")


def as_made(tables: Tables, splits: Path, models: Path, parts: Sequence[JudgedSet]) -> Proof:
    """That the table is what ingest and split wrote, what was judged, and what was trained on."""
    name = "tables"
    found = [
        _other_than_ingested(name, tables),
        *(_judged_otherwise(name, tables.clips, part) for part in parts),
        _differences(name, _counts_by_split(splits), _counted(_labelled(tables.used))),
        _differences(name, *_trained_on(models, tables.used)),
    ]
    return Proof(
        name,
        f"The table of splits holds the {tables.clips.num_rows:,} clips of ingest with their "
        "labels, counts what the split and the training counted, and what was judged is in the "
        "split that it names.",
        tables.clips.num_rows,
        pa.concat_tables(found),
        "That every file is the very one that was evaluated is for “python -m pipeline verify”.",
    )


def _other_than_ingested(name: str, tables: Tables) -> pa.Table:
    clips, ingested = tables.clips, tables.ingested
    place = pc.index_in(clips["clip_id"], value_set=ingested["clip_id"].combine_chunks())
    before = ingested.take(place.combine_chunks())
    wrong = pc.is_null(place)
    for column in clips.schema.names:
        if column not in _GIVEN_BY_SPLIT:
            both_null = pc.and_(pc.is_null(clips[column]), pc.is_null(before[column]))
            same = pc.or_(pc.fill_null(pc.equal(clips[column], before[column]), False), both_null)
            wrong = pc.or_(wrong, pc.invert(same))
    unlabelled = pc.and_(pc.is_null(clips["discharge"]), pc.is_valid(clips["split"]))
    # Files that show a discharge nobody knows when are learned from as bags.
    may_be_a_bag = pc.and_(
        pc.equal(before["unused"], manifest.NO_TIMES), pc.equal(clips["split"], "train")
    )
    unlabelled = pc.and_(unlabelled, pc.invert(pc.fill_null(may_be_a_bag, False)))
    changed = clips.filter(pc.or_(wrong, unlabelled))
    gone = ingested.filter(
        pc.invert(pc.is_in(ingested["clip_id"], value_set=clips["clip_id"].combine_chunks()))
    )
    counts = clips.group_by("clip_id").aggregate([([], "count_all")])
    often = counts.filter(pc.greater(counts["count_all"], 1))["clip_id"].combine_chunks()
    twice = clips.filter(pc.is_in(clips["clip_id"], value_set=often))
    known = pc.is_in(file_name(clips), value_set=file_name(tables.files).combine_chunks())
    rows = {
        "is not as ingest wrote it": changed,
        "is in no row of the splits": gone,
        "stands twice": twice,
        "is of a file that ingest does not list": clips.filter(pc.invert(known)),
    }
    return pa.concat_tables(
        [offender_rows(name, row, _told(row, text)) for text, row in rows.items()]
    )


def _told(rows: pa.Table, text: str) -> pa.ChunkedArray:
    return pc.binary_join_element_wise("clip", rows["clip_id"], text, " ")


def _judged_otherwise(name: str, clips: pa.Table, part: JudgedSet) -> pa.Table:
    judged = part.clips
    place = pc.index_in(judged["clip_id"], value_set=clips["clip_id"].combine_chunks())
    made = clips.take(place.combine_chunks())
    wrong = pc.is_null(place)
    for column in ("split", *LABELS):
        kind = judged[column].type
        same = pc.fill_null(pc.equal(judged[column], made[column].cast(kind)), False)
        wrong = pc.or_(wrong, pc.invert(same))
    rows = judged.filter(wrong)
    text = "was judged with another split or label than it has"
    return offender_rows(
        name, rows, pc.binary_join_element_wise("clip", rows["clip_id"], text, " ")
    )


def _counts_by_split(splits: Path) -> Counter[str]:
    """Clips of each split and class, as the split counted them when it was made."""
    path = splits / manifest.STATS
    with reading(path, "split", "no counts of a split"):
        counts = json.loads(path.read_text(encoding="utf-8"))["clips"]
        return Counter(
            {f"{split} {kind}": n for split, kinds in counts.items() for kind, n in kinds.items()}
        )


def _labelled(used: pa.Table) -> pa.Table:
    return used.filter(pc.is_valid(used["discharge"]))


def _counted(used: pa.Table) -> Counter[str]:
    groups = used.group_by(["split", "origin", "discharge"]).aggregate([([], "count_all")])
    found: Counter[str] = Counter()
    for row in groups.to_pylist():
        kind = CLASSES[class_index(row["origin"], bool(row["discharge"]))]
        found[f"{row['split']} {kind}"] += row["count_all"]
    return found


def _trained_on(models: Path, used: pa.Table) -> tuple[Counter[str], Counter[str]]:
    """Clips to train and to choose by, of each source: as the weights' card says, and here."""
    path = models / CARD
    columns = ["source", "origin", "licence", "authority"]
    with reading(path, "train", "no card of weights"):
        card = json.loads(path.read_text(encoding="utf-8"))
        footage = card["data"]["footage"]
        used = used if card.get("config", {}).get("bags") else _labelled(used)
        told: Counter[str] = Counter()
        for row in footage:
            # What weights were adapted to never was in these tables.
            for split in () if row.get("adapted") else ("train", "val"):
                # A source may have rendered clips and others, which are rows of the card each.
                told[_named(split, [row[column] for column in columns])] += int(row[split])
    learnt = used.filter(pc.is_in(used["split"], value_set=pa.array(["train", "val"])))
    groups = learnt.group_by(["split", *columns]).aggregate([([], "count_all")])
    here = {
        _named(row["split"], [row[column] for column in columns]): row["count_all"]
        for row in groups.to_pylist()
    }
    return told, Counter(here)


def _named(split: str, values: Iterable[str]) -> str:
    return f"{split} of {' / '.join(values)}"


def _differences(name: str, told: Counter[str], here: Counter[str]) -> pa.Table:
    """Rows of `OFFENDER_SCHEMA`, without a clip, for counts that are not the same."""
    rows = [
        {
            "proof": name,
            "found": f"{told[key]:,} clips when made, {here[key]:,} in the table: {key}",
        }
        for key in sorted(told.keys() | here.keys())
        if told[key] != here[key]
    ]
    return pa.Table.from_pylist(rows, OFFENDER_SCHEMA)
