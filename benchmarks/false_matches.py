"""How often `discern match` takes footage that is no copy for an item, by the size of the bank.

    python benchmarks/false_matches.py COLLECTION … --out false_matches.json

Every file of the collections is an item, and every file is looked up in banks of files of other
recordings: a tenth of them, a third and all, drawn with a seed. A look-up is a hash of a picture,
one a second. It is near where any hash of the bank, or of a mirror image, is within the distance of
a match; a match is what `discern match` would tell of a file and an item. Rates are for each
million look-ups of whole pictures, beside which all windows of the pictures are looked up in parts
of items, and their intervals are the middle 95 % of 2,000 draws of whole files; where
nothing was found, the interval ends at the exact bound of the share of files (Clopper and Pearson),
as if all look-ups of such a file were false. Files of one collection may show the same places.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from match import bound_of, shown
from numba import njit
from numpy.typing import NDArray
from outcome import Cell, Outcome, Table, write

from pipeline import app
from pipeline.commands import bank, printed_files
from pipeline.config import IngestApp
from pipeline.copies import hash_index, matches, matching, parts
from pipeline.copies.bank_log import Item
from pipeline.copies.banks import SOUND_RECORD, Bank
from pipeline.copies.hamming import hash_distance
from pipeline.footage.collection import read_index
from pipeline.footage.conversion import Unusable
from pipeline.footage.printing import Printed

SHARES = (0.1, 1 / 3, 1.0)
NUM_DRAWS = 2000

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class File:
    """A file, as an item and as it is looked up.

    Attributes:
        collection: where it comes from.
        recording: that it is of.
        records: its hashes as an item, `banks.RECORD` (N,).
        query: which of them are looked up, bool (N,).
        parts: of its pictures as an item, `banks.RECORD` (P,).
        printed: the file as it is looked up.
    """

    collection: str
    recording: str
    records: NDArray[Any]
    query: Bools
    parts: NDArray[Any]
    printed: Printed


def looked_up(times_ms: NDArray[np.uint32]) -> Bools:
    """Which hashes of an item would be looked up: those of the first picture of each second."""
    _, first = np.unique(times_ms // 1000, return_index=True)
    return np.isin(times_ms, times_ms[first])


def files_of(collections: Sequence[Path], cfg: IngestApp) -> list[File]:
    """The files of collections that have hashes."""
    listed = [(folder, row) for folder in collections for row in read_index(folder)]
    paths = [folder / row.path for folder, row in listed]
    as_items = printed_files.printed(
        paths, bank.RATE_HZ, cfg, cfg.run, "hash", with_changes=True, parts=parts.of_item
    )
    looked_up_as = printed_files.printed(
        paths, matches.RATE_HZ, cfg, cfg.run, "look up", parts=parts.of_query
    )
    found = []
    for (folder, row), one, query in zip(listed, as_items, looked_up_as, strict=True):
        if isinstance(one, Unusable) or isinstance(query, Unusable) or not len(one.times_ms):
            continue
        records = printed_files.hash_records(one)
        of_parts = printed_files.part_records(one)
        recording, which = f"{folder.name}/{row.recording}", looked_up(one.times_ms)
        found.append(File(folder.name, recording, records, which, of_parts, query))
    return found


def all_matches(files: Sequence[File]) -> list[set[int]]:
    """For each file the files that it is taken to show, when all are items of one bank."""
    known = [np.concatenate([file.records, file.parts]) for file in files]
    items, first = {}, 0
    for number, (file, records) in enumerate(zip(files, known, strict=True)):
        records["item"] = number
        size = len(file.records), len(file.parts)
        items[number] = Item(number, "", "", "", "", 0.0, first, size[0], "", 0, 0, "", "", size[1])
        first += len(records)
    together = Bank("all", items, np.concatenate(known), np.zeros(0, SOUND_RECORD))
    with tempfile.TemporaryDirectory() as folder:
        index = hash_index.opened(Path(folder), together)
        return [set(shown(file.printed, index)) for file in files]


@njit(cache=True, nogil=True)
def _near(
    query: NDArray[np.uint64], straight: NDArray[np.uint64], mirror: NDArray[np.uint64], most: int
) -> Bools:
    """Which hashes have a near one in an item."""
    found = np.zeros(len(query), np.bool_)
    for i in range(len(query)):
        for j in range(len(straight)):
            if (
                hash_distance(query[i], straight[j]) <= most
                or hash_distance(query[i], mirror[j]) <= most
            ):
                found[i] = True
                break
    return found


@dataclass(frozen=True)
class Told:
    """What a file was told of an item: which look-ups were near, and whether it matches."""

    near: Bools
    matches: bool


def told_of(file: File, item: File, *, matches: bool) -> Told:
    """Look a file up in an item, of which it is known whether it matches."""
    query = file.records[file.query]
    sides = [np.ascontiguousarray(item.records[name]).view("<u8") for name in ("pdq", "mirror")]
    hashes = np.ascontiguousarray(query["pdq"])
    near = _near(hashes.view("<u8"), sides[0], sides[1], matching.MAX_DISTANCE)
    return Told(near, matches)


def interval(wrong: Sequence[int], looked: Sequence[int], seed: int) -> tuple[float, float]:
    """Of a rate for each look-up, over files: how many were wrong, and how many there were."""
    counts, totals = np.array(wrong), np.array(looked)
    if not counts.any():
        return 0.0, bound_of(0, len(counts)) or 1.0
    drawn = np.random.default_rng(seed).integers(0, len(counts), (NUM_DRAWS, len(counts)))
    rates = counts[drawn].sum(axis=1) / totals[drawn].sum(axis=1)
    low, high = np.quantile(rates, (0.025, 0.975))
    return float(low), float(high)


def rows_of(files: list[File], same: bool, seed: int) -> list[Sequence[Cell]]:
    """A row a size of bank, of items of the same collection as the file or of all others."""
    order = np.random.default_rng(seed).permutation(len(files))
    told_by = [
        {
            other: told_of(file, item, matches=other in found)
            for other, item in enumerate(files)
            if item.recording != file.recording and (item.collection == file.collection) == same
        }
        for file, found in zip(files, all_matches(files), strict=True)
    ]
    rows: list[Sequence[Cell]] = []
    for share in SHARES:
        kept = set(order[: max(1, round(share * len(files)))])
        num_hashes, looked, near, matched = [], [], [], []
        for file, all_told in zip(files, told_by, strict=True):
            told = {other: one for other, one in all_told.items() if other in kept}
            if told:
                items = [files[other] for other in told]
                num_hashes.append(sum(len(one.records) + len(one.parts) for one in items))
                looked.append(int(file.query.sum()))
                near.append(int(np.any([one.near for one in told.values()], axis=0).sum()))
                matched.append(sum(one.matches for one in told.values()))
        if not looked:
            continue
        cells: list[Cell] = ["the same" if same else "others", round(np.mean(num_hashes))]
        cells += [len(looked), sum(looked)]
        for wrong in (near, matched):
            low, high = interval(wrong, looked, seed)
            rate = f"{1e6 * sum(wrong) / sum(looked):.0f}"
            cells += [f"{rate} ({1e6 * low:.0f} to {1e6 * high:.0f})"]
        rows.append((*cells, sum(map(bool, matched))))
        print(*rows[-1], sep="  ", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file of JSON")
    options = parser.parse_args()
    files = files_of(options.collections, app.compose("ingest"))
    num = sum(len(file.records) for file in files)
    print(f"{len(files)} files, {num} hashes", flush=True)
    rows = [row for same in (False, True) for row in rows_of(files, same, options.seed)]
    if options.out:
        columns = (
            "items of which collections",
            "hashes of the bank",
            "files",
            "look-ups",
            "near ones a million (95 %)",
            "matches a million (95 %)",
            "files with a match",
        )
        setting = f"{len(files)} files of {', '.join(one.name for one in options.collections)}."
        tables = [Table("Footage that is no copy", columns, rows)]
        write(options.out, Outcome(Path(__file__).name, setting, tables))


if __name__ == "__main__":
    main()
