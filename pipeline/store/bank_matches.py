"""The table of what ingest finds in banks; there is one only where files are looked up in some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

BANK_MATCHES = "bank_matches.parquet"
BANK_MARK = "bank"
"""What marks of files begin with that come of banks."""


@dataclass(frozen=True)
class BankMatch:
    """An item of a bank that a file shows or sounds like, as `discern match` tells it."""

    collection: str
    path: str
    file_sha256: str
    bank: str
    category: str
    """`known`, or `negative`."""
    item: int
    name: str
    label: str
    by: str
    """What it is known by: `bytes`, `pictures`, `sound` or `still`."""
    told: str
    """All of it, in words."""
    set_aside: str | None = None
    """Why the match does not count; None where it does, or is negative itself."""
    start_s: float | None = None
    end_s: float | None = None
    item_start_s: float | None = None
    item_end_s: float | None = None
    offset_s: float | None = None
    """None, as the times before, where the bytes are the same; of a still, as the speed too."""
    speed: float | None = None
    mirrored: bool | None = None
    """None where the match is not by pictures or by a still."""
    distance: float | None = None
    """Bits: a median of 256 by pictures, of 256 by a still, a mean of 32 by sound."""


_TEXTS = ("collection", "path", "file_sha256", "bank", "category", "name", "label", "by", "told")
_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in _TEXTS),
        pa.field("item", pa.int64(), nullable=False),
        pa.field("set_aside", pa.string()),
        *(
            pa.field(name, pa.float64())
            for name in ("start_s", "end_s", "item_start_s", "item_end_s", "offset_s", "speed")
        ),
        pa.field("mirrored", pa.bool_()),
        pa.field("distance", pa.float64()),
    ]
)


def write(folder: Path, rows: Sequence[BankMatch]) -> None:
    """Write the table, in the order of its rows."""
    table = pa.Table.from_pylist([asdict(row) for row in rows], _SCHEMA)
    pq.write_table(table, folder / BANK_MATCHES)


def not_of_banks(marks: Sequence[str]) -> list[str]:
    """Marks of a file that say something of the file itself."""
    return [mark for mark in marks if not mark.startswith(BANK_MARK)]
