"""The rows of scores: a row for every row of a listing, and what is known of its file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline.commands.score.listing import ListingRow
from pipeline.copies.matches import Match
from pipeline.footage.conversion import Unusable
from pipeline.review import score_folder

SCORED, MATCHED, REJECTED = score_folder.SCORED, "matched", "rejected"
HASH, CHEAP, FULL = "hash", "cheap", "full"
"""Steps: what is known by its hashes, what the cheap pass excludes, and what the detector says."""
MOST_MOMENTS = 5
Row = dict[str, Any]
"""A row of `SCHEMA`; what is left out is null."""

MOMENT = pa.struct(
    [
        pa.field("start_s", pa.float64()),
        pa.field("end_s", pa.float64()),
        pa.field("score", pa.float64()),
        pa.field("p_discharge", pa.float64()),
        pa.field("heard", pa.bool_()),
    ]
)
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("step", pa.string(), nullable=False),
        pa.field("sha256", pa.string()),
        pa.field("seconds", pa.float64()),
        pa.field("num_clips", pa.int64()),
        pa.field("score", pa.float64()),
        pa.field("p_real", pa.float64()),
        pa.field("p_discharge", pa.float64()),
        pa.field("predicted", pa.string()),
        pa.field("alert_s", pa.float64()),
        pa.field("moments", pa.list_(MOMENT)),
        pa.field("bank", pa.string()),
        pa.field("item", pa.string()),
        pa.field("negative", pa.bool_()),
        pa.field("edit", pa.string()),
        pa.field("embedding", pa.list_(pa.float32())),
        pa.field("pdq", pa.list_(pa.binary())),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("loudness", pa.float64()),
        pa.field("brightness", pa.float64()),
        pa.field("marks", pa.string()),
        pa.field("source", pa.string()),
    ]
)
"""A row of the listing, in its order.

`status` is `SCORED`, `MATCHED` or `REJECTED`, with the code of `reason` and its words in `detail`;
`step` the last step that was needed. `seconds` is the length of what was read. `score`, `p_real`,
`p_discharge`, `predicted` and `alert_s` are as `detect.files.FILE_SCHEMA` has them; of a file that
the cheap pass excludes only `p_discharge` is known. `moments` are the seconds that matter, the best
first: clips that do not overlap, with the score on which alerts are raised, the probability of a
discharge, and whether sound speaks for one. `bank`, `item`, `negative` and `edit` are of the best
match: how the item was edited, or `same bytes`. `embedding` is the mean over the file of what the
encoder of pictures sees, `pdq` a hash a second, `loudness` the level of its sound in dB of full
scale, and `brightness` the mean of its clips, 0 to 1. `marks` is a JSON list of what is odd.
`source` is where it comes from, as the listing has it.
"""


def rejected(given: ListingRow, reason: Unusable, step: str, sha256: str = "") -> Row:
    """The row of a file of which nothing can be told."""
    return {
        "id": given.id,
        "uri": given.uri,
        "status": REJECTED,
        "reason": reason.reason,
        "detail": reason.detail,
        "step": step,
        "sha256": sha256 or None,
    }


def matched(
    given: ListingRow, sha256: str, match: Match, seconds: float | None, hashes: Sequence[bytes]
) -> Row:
    """The row of a file that an item of a bank is in.

    Args:
        given: the row of the listing.
        sha256: of the file; empty where it was not read.
        match: the best.
        seconds: of the file; None where they are not known.
        hashes: PDQ of its pictures, one a second.
    """
    return {
        "id": given.id,
        "uri": given.uri,
        "status": MATCHED,
        "step": HASH,
        "sha256": sha256 or None,
        "seconds": seconds,
        "bank": match.bank,
        "item": str(match.item.number),
        "negative": match.is_negative,
        "edit": edit_of(match),
        "pdq": list(hashes) or None,
    }


def edit_of(match: Match) -> str:
    """Return how the file was made from the item, as far as its match shows."""
    if match.stretch is None:
        return "same bytes"
    mirrored = getattr(match.stretch, "mirrored", False)
    return f"{match.by}{', mirrored' * bool(mirrored)}"


def marks_of(marks: Iterable[str]) -> str:
    """Marks as a JSON list."""
    return json.dumps(list(marks))


def table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table of `SCHEMA`."""
    columns = {name: [row.get(name) for row in rows] for name in SCHEMA.names}
    return pa.table(columns, schema=SCHEMA)
