"""The proof that splits do not leak, taken from the tables and fingerprints that stages left.

Nothing of the stage that made the splits is used, so that a fault of its code, or of a hand that
edited its table afterwards, does not hide itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.assess.audit.derivation import as_made
from pipeline.assess.audit.near import near_copies
from pipeline.assess.audit.tables import LABELS, Proof, Tables, file_name, offender_rows
from pipeline.assess.judged_sets import JudgedSet
from pipeline.store.manifest import LONG


def prove(
    tables: Tables, clips: Path, splits: Path, models: Path, parts: Sequence[JudgedSet]
) -> list[Proof]:
    """Look for everything that could carry knowledge from one split into another.

    Args:
        tables: of these folders.
        clips: with the fingerprints.
        splits: with the distances that the split was made with.
        models: with the card of the weights, which counts what they were trained on.
        parts: what is judged.

    Raises:
        UserError: a file is missing or no such file as its stage writes.
    """
    used = tables.used
    return [
        _undivided(used, "recording", "recordings", "recording"),
        _undivided(used, "cluster", "clusters", "cluster of near-duplicates"),
        _exact_copies(used, tables.variants),
        _same_files(used, tables.files),
        near_copies(_as_ingested(tables), clips, splits),
        _unseen_sources(used),
        _variants(tables.clips, tables.variants),
        as_made(tables, splits, models, parts),
    ]


def _as_ingested(tables: Tables) -> pa.Table:
    """The clips in the order of ingest, which is that of the fingerprints.

    Where some are lacking they stay as they are, and `as_made` says so.
    """
    names = tables.clips["clip_id"].combine_chunks()
    place = pc.index_in(tables.ingested["clip_id"], value_set=names).combine_chunks()
    return tables.clips if place.null_count else tables.clips.take(place)


def _undivided(used: pa.Table, column: str, name: str, noun: str) -> Proof:
    number = len(pc.unique(used[column]))
    return Proof(
        name,
        f"No {noun} is in two splits ({number:,} checked).",
        number,
        offender_rows(name, _in_two_splits(used, column), column),
    )


def _exact_copies(used: pa.Table, variants: pa.Table) -> Proof:
    columns = ["clip_id", "recording", "split", "pixels_sha256"]
    every = pa.concat_tables([used.select(columns), variants.select(columns)])
    number = len(pc.unique(every["pixels_sha256"]))
    return Proof(
        "exact_copies",
        f"No two clips or variants of equal pixels are in two splits ({number:,} different ones "
        f"among {every.num_rows:,}).",
        number,
        offender_rows("exact_copies", _in_two_splits(every, "pixels_sha256"), "pixels_sha256"),
    )


def _same_files(used: pa.Table, files: pa.Table) -> Proof:
    names = [file_name(table) for table in (used, files)]
    place = pc.index_in(names[0], value_set=names[1].combine_chunks())
    digest = files["sha256"].take(place.combine_chunks())
    # A clip of a file that the table lacks is told apart under `as_made`.
    known = used.append_column("bytes_sha256", digest).filter(pc.is_valid(digest))
    number = len(pc.unique(known["bytes_sha256"]))
    return Proof(
        "files",
        f"No source file, under whatever name, is in two splits ({number:,} checked).",
        number,
        offender_rows("files", _in_two_splits(known, "bytes_sha256"), "bytes_sha256"),
    )


def _in_two_splits(table: pa.Table, column: str) -> pa.Table:
    """The rows whose value in `column` stands in more than one split."""
    named = table.set_column(
        table.schema.get_field_index(column), column, pc.fill_null(table[column], "(none)")
    )
    splits = named.group_by(column).aggregate([("split", "count_distinct")])
    crossing = splits.filter(pc.greater(splits["split_count_distinct"], 1))[column]
    return named.filter(pc.is_in(named[column], value_set=crossing.combine_chunks())).sort_by(
        [(column, "ascending"), ("split", "ascending"), ("clip_id", "ascending")]
    )


def _unseen_sources(used: pa.Table) -> Proof:
    unseen = pc.is_in(used["split"], value_set=pa.array(["unseen", "unseen" + LONG]))
    sources = pc.unique(used.filter(unseen)["source"])
    elsewhere = pc.and_(pc.is_in(used["source"], value_set=sources), pc.invert(unseen))
    offenders = used.filter(elsewhere).sort_by([("source", "ascending"), ("clip_id", "ascending")])
    number = len(sources)
    return Proof(
        "unseen_sources",
        f"No source of the split “unseen” is in another split ({number:,} checked)."
        if number
        else "No source was held out, so that there is nothing to prove.",
        number,
        offender_rows("unseen_sources", offenders, "source"),
    )


def _variants(clips: pa.Table, variants: pa.Table) -> Proof:
    place = pc.index_in(variants["parent_id"], value_set=clips["clip_id"].combine_chunks())
    parents = clips.take(place.combine_chunks())
    wrong = pc.is_null(place)
    for column in ("split", "cluster", *LABELS):
        same = pc.fill_null(pc.equal(variants[column], parents[column]), False)
        wrong = pc.or_(wrong, pc.invert(same))
    offenders = variants.filter(wrong)
    return Proof(
        "variants",
        f"Every variant has the split, the recording and the labels of the clip that it was made "
        f"from, and those to train on were made from clips to train on ({variants.num_rows:,} "
        "checked).",
        variants.num_rows,
        offender_rows("variants", offenders, "clip_id"),
    )
