"""Looks rows up in tables of any size, a batch at a time."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds

from pipeline.config import IngestApp
from pipeline.footage.links import find_collections

_ROWS_PER_BATCH = 8192
# Comparing texts is slow; among more, the nearest may be missed.
_MAX_COMPARED = 50_000
_MAX_ALIKE, _MAX_SUGGESTED = 20, 3
# Less alike is no slip of the hand.
_ALIKE = 0.7


def collections(cfg: IngestApp) -> list[str]:
    """Folders and URLs of every footage collection, in the order of ingest."""
    folders = [Path(cfg.paths.synthetic), Path(cfg.paths.footage)]
    found = [str(root) for folder in folders for root in find_collections(folder)]
    return [*found, *cfg.collections]


def select(
    table: Path, where: pc.Expression, columns: list[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet table that `where` holds for; none where there is no table."""
    if table.is_file():
        for batch in ds.dataset(table).to_batches(
            columns=columns, filter=where, batch_size=_ROWS_PER_BATCH, batch_readahead=1
        ):
            yield from batch.to_pylist()


def column(table: Path, name: str) -> Iterator[str]:
    """Yield the values of a column; none where there is no table."""
    return (row[name] for row in select(table, pc.scalar(True), [name]))


def nearest(text: str, known: Iterable[str]) -> str:
    """End of a message: what is known and resembles `text`."""
    distinct = sorted(set(itertools.islice(known, _MAX_COMPARED)))
    alike = difflib.get_close_matches(text, distinct, n=_MAX_ALIKE, cutoff=_ALIKE)
    near = [name for name in alike if _share(_stem(text), _stem(name)) >= _ALIKE]
    if near:
        return f"did you mean {' or '.join(near[:_MAX_SUGGESTED])}?"
    return f"there are {', '.join(distinct[:5])}{', …' * (len(distinct) > 5)}" if distinct else ""


def _share(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _stem(text: str) -> str:
    """The name of a file, since all files of a folder are alike in folder and suffix."""
    return PurePosixPath(text).stem
