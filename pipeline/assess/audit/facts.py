"""Facts about the data: counts, licences, what was left out and why, copies, and the proofs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.assess.audit.proofs import prove
from pipeline.assess.audit.tables import Proof, Tables, file_name
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.settings import Folders
from pipeline.store import manifest
from pipeline.store.manifest import CLASSES, EVERY_SPLIT, Reject, class_index

UNUSED = "unused"
"""Name under which clips that no split uses are counted, beside the splits."""
CLIP_COLUMNS = (
    "clip_id", "collection", "path", "source", "origin", "recording", "discharge", "licence",
    "authority", "rendered", "split", "class", "unused", "cluster", "pixels_sha256",
)  # fmt: skip
"""Columns of `DataFacts.clips`, which has a row a clip."""
FILE_COLUMNS = (
    "collection",
    "path",
    "source",
    "origin",
    "licence",
    "authority",
    "rendered",
    "reject",
)
"""Columns of `DataFacts.files`; `reject` is the reason, null for a file that was used."""
_SOURCE = ["source", "origin", "licence", "authority", "rendered"]


@dataclass(frozen=True)
class SourceFacts:
    """Footage of one source under one licence and authority."""

    source: str
    origin: str
    licence: str
    authority: str
    rendered: bool
    num_files: int
    num_rejected: int
    num_recordings: int
    """Number of recordings that its clips come from."""
    clips: Mapping[str, int]
    """Number of clips by split or collection, and under `UNUSED`."""


@dataclass(frozen=True)
class Copies:
    """Counts of clips that are equal and of recordings that look alike."""

    num_equal_groups: int
    """Pictures that more than one clip shows, pixel by pixel."""
    num_equal_clips: int
    num_alike_clusters: int
    """Clusters of near-duplicates that hold more than one recording."""
    num_alike_recordings: int
    num_alike_clips: int


@dataclass(frozen=True)
class DataFacts:
    """Facts about the data that was judged and, if it has splits, trained on."""

    clips: pa.Table
    """`CLIP_COLUMNS`; what the tables do not tell is null."""
    sources: Sequence[SourceFacts]
    """Facts of the sources, sorted by their names."""
    files: pa.Table
    """`FILE_COLUMNS`, a row a file of an index; empty where only clips are known."""
    num_variants: Mapping[str, int]
    """Number of variants by split."""
    splits: Sequence[str]
    """Splits in their order, or names of collections, that hold a clip."""
    clips_by_class: Mapping[str, Mapping[str, int]]
    """Number of clips by split, then class."""
    recordings_by_class: Mapping[str, Mapping[str, int]]
    rejects: Mapping[str, int]
    """Files by reason."""
    unused: Mapping[str, int]
    """Clips by reason."""
    sounds: Mapping[str, int]
    """Clips by what there is of their sound; empty where the tables do not tell."""
    copies: Copies | None
    """None where the tables tell nothing of copies."""
    proofs: Sequence[Proof]
    """Empty for a collection, which has no splits."""

    @property
    def num_files(self) -> int:
        """Files of the index, or where it is not known, those that gave clips."""
        return self.files.num_rows or len(pc.unique(file_name(self.clips)))

    @property
    def num_clips(self) -> int:
        """Number of clips, those that no split uses included."""
        return self.clips.num_rows

    @property
    def num_recordings(self) -> int:
        """Number of recordings of all clips."""
        return len(pc.unique(self.clips["recording"]))


def facts(folders: Folders | None, judged_sets: Sequence[JudgedSet]) -> DataFacts:
    """Audit the splits, or a collection from its scored tables alone.

    Args:
        folders: of the stages before; None for a collection.
        judged_sets: what was judged.

    Raises:
        UserError: a table of an earlier stage is missing or not readable.
    """
    if folders is None:
        return _of_collections(judged_sets)
    return _of_splits(folders, judged_sets)


def _of_splits(folders: Folders, parts: Sequence[JudgedSet]) -> DataFacts:
    tables = Tables.read(folders.clips, folders.splits, folders.augmented)
    with manifest.open_table(folders.clips / manifest.REJECTS, Reject) as file:
        rejects = file.read()
    clips = _with_class(tables.clips)
    files = tables.files.select(list(FILE_COLUMNS))
    return DataFacts(
        clips=clips,
        sources=_sources(clips, files),
        files=files,
        num_variants=_counts(tables.variants["split"]),
        rejects=_counts(rejects["reason"]),
        unused=_counts(clips["unused"].filter(pc.is_null(clips["split"]))),
        sounds=_counts(tables.clips["sound"]),
        copies=_copies(clips),
        proofs=prove(tables, folders.clips, folders.splits, folders.models, parts),
        **_by_class(clips, EVERY_SPLIT),
    )


def _of_collections(parts: Sequence[JudgedSet]) -> DataFacts:
    tables = [_in_place(part) for part in parts]
    clips = _with_class(pa.concat_tables(tables))
    files = pa.concat_tables(map(_files, parts))
    return DataFacts(
        clips=clips,
        sources=_sources(clips, files),
        files=files,
        num_variants={},
        rejects=_counts(files["reject"]),
        unused=_counts(clips["unused"]),
        sounds={},
        copies=None,
        proofs=[],
        **_by_class(clips, [part.name for part in parts]),
    )


def _files(part: JudgedSet) -> pa.Table:
    """`FILE_COLUMNS` of a part whose files were judged, else empty."""
    kinds = {"rendered": pa.bool_()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in FILE_COLUMNS])
    if part.files is None:
        return schema.empty_table()
    files = part.files.rename_columns({"reason": "reject"})
    name = pa.repeat(part.name, files.num_rows)
    return files.append_column("collection", name).select(list(FILE_COLUMNS)).cast(schema)


def _in_place(part: JudgedSet) -> pa.Table:
    """Clips of a part, as a manifest would hold them; those of unknown label count nowhere."""
    clips = part.clips
    unknown = pc.is_null(clips["discharge"])
    split = pc.if_else(unknown, pa.scalar(None, pa.string()), part.name)
    reason = pc.if_else(unknown, "label_unknown", pa.scalar(None, pa.string()))
    index = clips.schema.get_field_index("split")
    given = clips.set_column(index, "split", split).append_column("unused", reason)
    nothing = pa.nulls(clips.num_rows, pa.string())
    return given.append_column("pixels_sha256", nothing)


def _with_class(clips: pa.Table) -> pa.Table:
    """`CLIP_COLUMNS` of a table of clips; the class is null where the discharge is not known."""
    fires = clips["discharge"].cast(pa.int8())
    is_real = pc.equal(clips["origin"], "real")
    names = [
        [CLASSES[class_index(origin, bool(fired))] for fired in (1, 0)]
        for origin in ("real", "game")
    ]
    kinds = [pc.if_else(pc.equal(fires, 1), shooting, other) for shooting, other in names]
    return clips.append_column("class", pc.if_else(is_real, *kinds)).select(list(CLIP_COLUMNS))


def _sources(clips: pa.Table, files: pa.Table) -> list[SourceFacts]:
    recordings = clips.group_by(_SOURCE).aggregate([("recording", "count_distinct")])
    placed = clips.set_column(
        clips.schema.get_field_index("split"), "split", pc.fill_null(clips["split"], UNUSED)
    )
    counted = placed.group_by([*_SOURCE, "split"]).aggregate([([], "count_all")])
    listed = files.group_by(_SOURCE).aggregate([([], "count_all")])
    refused = files.filter(pc.is_valid(files["reject"])).group_by(_SOURCE)
    num_recordings = _by_source(recordings, "recording_count_distinct")
    num_files, num_rejected = (
        _by_source(listed, "count_all"),
        _by_source(refused.aggregate([([], "count_all")]), "count_all"),
    )
    num_clips: dict[tuple[Any, ...], dict[str, int]] = {}
    for row in counted.to_pylist():
        num_clips.setdefault(_key(row), {})[row["split"]] = row["count_all"]
    return [
        SourceFacts(
            **dict(zip(_SOURCE, key, strict=True)),
            num_files=num_files.get(key, 0),
            num_rejected=num_rejected.get(key, 0),
            num_recordings=num_recordings.get(key, 0),
            clips=num_clips.get(key, {}),
        )
        for key in sorted(num_files.keys() | num_clips.keys())
    ]


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column] for column in _SOURCE)


def _by_source(table: pa.Table, column: str) -> dict[tuple[Any, ...], int]:
    return {_key(row): row[column] for row in table.to_pylist()}


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    """Count each value, in order of the values."""
    found = {row["values"]: row["counts"] for row in pc.value_counts(column).to_pylist()}
    return {name: found[name] for name in sorted(found, key=str) if name is not None}


def _by_class(clips: pa.Table, splits: Sequence[str]) -> dict[str, Any]:
    groups = clips.filter(pc.is_valid(clips["split"])).group_by(["split", "class"])
    rows = groups.aggregate([([], "count_all"), ("recording", "count_distinct")]).to_pylist()
    present = {row["split"] for row in rows}
    tables: list[dict[str, dict[str, int]]] = []
    for column in ("count_all", "recording_count_distinct"):
        found = {(row["split"], row["class"]): row[column] for row in rows}
        tables.append(
            {
                split: {kind: found.get((split, kind), 0) for kind in CLASSES}
                for split in splits
                if split in present
            }
        )
    return {
        "splits": [split for split in splits if split in present],
        "clips_by_class": tables[0],
        "recordings_by_class": tables[1],
    }


def _copies(clips: pa.Table) -> Copies:
    equal = clips.group_by("pixels_sha256").aggregate([([], "count_all")])
    shared = equal.filter(pc.greater(equal["count_all"], 1))["count_all"]
    clusters = clips.group_by("cluster").aggregate(
        [("recording", "count_distinct"), ([], "count_all")]
    )
    alike = clusters.filter(pc.greater(clusters["recording_count_distinct"], 1))
    return Copies(
        num_equal_groups=len(shared),
        num_equal_clips=pc.sum(shared).as_py() or 0,
        num_alike_clusters=alike.num_rows,
        num_alike_recordings=pc.sum(alike["recording_count_distinct"]).as_py() or 0,
        num_alike_clips=pc.sum(alike["count_all"]).as_py() or 0,
    )
