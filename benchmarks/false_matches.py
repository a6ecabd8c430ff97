"""How often footage that is no copy is taken for an item of a bank, by its size and by distance.

    python benchmarks/false_matches.py COLLECTION … --cache FOLDER --out false_matches.json

Banks of millions of hashes of footage were not to be had, so they are made: every window that
`copies.parts` cuts out of a picture, with all their sizes and places, is a hash of a cropped copy,
once a second. An item is one window of one file. A look-up is the hash of a whole picture of a
file, one a second, compared with all items of other recordings and their mirror images. It is near
where any is within the distance; a match is what `copies.matching` makes of all look-ups of a file
in an item. Banks of a size hold items drawn with a seed, and larger ones all of smaller ones.
Intervals are the middle 95 % of 2,000 draws of whole files; where nothing was found, an interval
ends at the exact bound of the share of files (Clopper and Pearson), as if all look-ups of such a
file were false. Files of one collection may show the same places.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from match import bound_of
from numba import njit
from numpy.typing import NDArray
from outcome import Cell, Outcome, Table, write

from pipeline import app
from pipeline.commands import printed_files
from pipeline.config import IngestApp
from pipeline.copies import matches, matching, parts
from pipeline.copies.banks import RECORD
from pipeline.copies.hamming import num_ones
from pipeline.footage.collection import read_index
from pipeline.footage.printing import Printed

DISTANCES = (19, 23, 27, 31, 35, 39)
SIZES = (100_000, 1_000_000, 10_000_000)
NUM_DRAWS = 2000

Bools = NDArray[np.bool_]
Words = NDArray[np.uint64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class File:
    """A file that is looked up, and of which windows are items.

    Attributes:
        collection: where it comes from.
        recording: that it is of.
        times_ms: of what is looked up.
        hashes: uint8 (N, 2, 32), with mirror images.
        part_times_ms: of the windows.
        windows: uint8 (P, 32).
    """

    collection: str
    recording: str
    times_ms: NDArray[np.uint32]
    hashes: NDArray[np.uint8]
    part_times_ms: NDArray[np.uint32]
    windows: NDArray[np.uint8]


def files_of(folder: Path, cfg: IngestApp, cache: Path) -> list[File]:
    """The files of a collection that have hashes; what was hashed before is read from the cache."""
    rows = read_index(folder)
    held = cache / f"{folder.name}.npz"
    if not held.exists():
        paths = [folder / row.path for row in rows]
        found = printed_files.printed(
            paths, matches.RATE_HZ, cfg, cfg.run, folder.name, parts=parts.of_query
        )
        arrays = {}
        for number, one in enumerate(found):
            if isinstance(one, Printed) and len(one.times_ms):
                for name in ("times_ms", "hashes", "part_times_ms", "part_hashes"):
                    arrays[f"{number}-{name}"] = getattr(one, name)
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(held, **arrays)
    told = np.load(held)
    return [
        File(
            folder.name,
            f"{folder.name}/{row.recording}",
            told[f"{number}-times_ms"],
            told[f"{number}-hashes"],
            told[f"{number}-part_times_ms"],
            told[f"{number}-part_hashes"][:, 0],
        )
        for number, row in enumerate(rows)
        if f"{number}-times_ms" in told.files
    ]


@dataclass(frozen=True)
class Items:
    """Windows of all files as items, those that the smallest bank holds first.

    Attributes:
        words: (B, 4).
        times_ms, files, numbers: int64 (B,): when each is shown, of which file, and of which item.
    """

    words: Words
    times_ms: Numbers
    files: Numbers
    numbers: Numbers


def items_of(files: Sequence[File], seed: int) -> Items:
    """An item is the windows of one place in one file; flat pictures have fewer of them."""
    words, times, of, numbers = [], [], [], []
    num_items = 0
    for number, file in enumerate(files):
        starts = np.flatnonzero(np.diff(file.part_times_ms, prepend=file.part_times_ms[:1] + 1))
        place = np.arange(len(file.windows)) - np.repeat(
            starts, np.diff(np.append(starts, len(file.windows)))
        )
        words.append(np.ascontiguousarray(file.windows).view("<u8"))
        times.append(file.part_times_ms.astype(np.int64))
        of.append(np.full(len(place), number))
        numbers.append(num_items + place)
        num_items += int(place.max(initial=-1)) + 1
    rank = np.random.default_rng(seed).permutation(num_items)
    order = np.argsort(rank[np.concatenate(numbers)], kind="stable")
    joined = (np.concatenate(one)[order] for one in (words, times, of, numbers))
    return Items(*joined)


@njit(cache=True, nogil=True)
def near_pairs(
    query: Words, known: Words, is_other: Bools, most: int, room: Numbers, distances: Numbers
) -> int:
    """Write which of a query are near which hashes, (R, 2), and in how many bits they differ."""
    num = 0
    for j in range(len(known)):
        if not is_other[j]:
            continue
        for i in range(len(query)):
            bits = num_ones(query[i, 0] ^ known[j, 0]) + num_ones(query[i, 1] ^ known[j, 1])
            # Half of all bits differ of most.
            if bits > most:
                continue
            bits += num_ones(query[i, 2] ^ known[j, 2]) + num_ones(query[i, 3] ^ known[j, 3])
            if bits <= most and num < len(room):
                room[num, 0], room[num, 1], distances[num] = i, j, bits
                num += 1
    return num


@dataclass(frozen=True)
class Near:
    """A picture of a file and a window that are alike: int64 (N,) each.

    Attributes:
        looked: which look-up of the file.
        known: which hash of the items.
        distances: bits.
        sides: 1 where it is the mirror image.
    """

    looked: Numbers
    known: Numbers
    distances: Numbers
    sides: Numbers


def near_of(file: File, items: Items, is_other: Bools) -> Near:
    """All that is near a file within the largest distance."""
    room, distances = np.zeros((2_000_000, 2), np.int64), np.zeros(2_000_000, np.int64)
    found = []
    for side in range(2):
        query = np.ascontiguousarray(file.hashes[:, side]).view("<u8")
        num = near_pairs(query, items.words, is_other, DISTANCES[-1], room, distances)
        assert num < len(room)
        told = room[:num, 0], room[:num, 1], distances[:num], np.full(num, side)
        found.append([one.copy() for one in told])
    return Near(*(np.concatenate(both) for both in zip(*found, strict=True)))


def num_matches(file: File, items: Items, near: Near, of: Bools, distance: int) -> int:
    """How many items a file is said to show, by what is near it."""
    found = set()
    for side in range(2):
        own = of & (near.sides == side)
        for number in np.unique(items.numbers[near.known[own]]):
            if number in found:
                continue
            # What is not near in this bank makes no match, and what is not there neither.
            places = np.unique(near.known[own & (items.numbers[near.known] == number)])
            all_of_it = np.flatnonzero(items.numbers == number)
            records: Any = np.zeros(len(all_of_it), RECORD)
            records["time_ms"] = items.times_ms[all_of_it]
            records["pdq"] = items.words[all_of_it].view(np.uint8).reshape(-1, 32)
            records["mirror"] = ~records["pdq"]
            assert len(places)
            with mock.patch.object(matching, "MAX_DISTANCE", distance):
                if matching.stretches(file.times_ms, file.hashes[:, side], records):
                    found.add(number)
    return len(found)


def interval(wrong: Sequence[int], looked: Sequence[int], seed: int) -> tuple[float, float]:
    """Of a rate for each look-up, over files: how many were wrong, and how many there were."""
    counts, totals = np.array(wrong), np.array(looked)
    if not counts.any():
        return 0.0, bound_of(0, len(counts)) or 1.0
    drawn = np.random.default_rng(seed).integers(0, len(counts), (NUM_DRAWS, len(counts)))
    rates = counts[drawn].sum(axis=1) / totals[drawn].sum(axis=1)
    low, high = np.quantile(rates, (0.025, 0.975))
    return float(low), float(high)


def rows_of(files: Sequence[File], same: bool, seed: int) -> list[Sequence[Cell]]:
    """A row a size and a distance, of items of the same collection or of all others."""
    items = items_of(files, seed)
    sizes = sorted({min(size, len(items.words)) for size in SIZES})
    looked = [len(file.times_ms) for file in files]
    counts = {(size, d): ([0] * len(files), [0] * len(files)) for size in sizes for d in DISTANCES}
    recordings = np.array([file.recording for file in files])[items.files]
    collections = np.array([file.collection for file in files])[items.files]
    for number, file in enumerate(files):
        is_other = (recordings != file.recording) & ((collections == file.collection) == same)
        near = near_of(file, items, is_other)
        for (size, distance), (nears, matched) in counts.items():
            of = (near.known < size) & (near.distances <= distance)
            nears[number] = len(np.unique(near.looked[of]))
            matched[number] = num_matches(file, items, near, of, distance) if of.any() else 0
        if any(matched[number] for _, matched in counts.values()):
            told = {d: counts[sizes[-1], d][1][number] for d in DISTANCES}
            print(f"{file.recording}: items of other recordings by distance: {told}", flush=True)
    rows: list[Sequence[Cell]] = []
    for (size, distance), both in counts.items():
        cells: list[Cell] = ["the same" if same else "others", size, distance, sum(looked)]
        for wrong in both:
            low, high = interval(wrong, looked, seed)
            rate = f"{1e6 * sum(wrong) / sum(looked):.0f}"
            cells += [f"{rate} ({1e6 * low:.0f} to {1e6 * high:.0f})"]
        rows.append((*cells, sum(map(bool, both[1]))))
        print(*rows[-1], sep="  ", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--cache", type=Path, required=True, help="folder for what was hashed")
    parser.add_argument("--hash", action="store_true", help="do no more than hash")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file of JSON")
    options = parser.parse_args()
    cfg: Any = app.compose("ingest", "run.num_workers=1", "run.progress=false")
    files = [one for path in options.collections for one in files_of(path, cfg, options.cache)]
    num = sum(len(file.windows) for file in files)
    print(f"{len(files)} files, {num} windows", flush=True)
    if options.hash:
        return
    rows = [row for same in (False, True) for row in rows_of(files, same, options.seed)]
    if options.out:
        columns = (
            "items of which collections",
            "hashes of the bank",
            "bits of 256",
            "look-ups",
            "near ones a million (95 %)",
            "matches a million (95 %)",
            "files with a match",
        )
        setting = f"{len(files)} files of {', '.join(one.name for one in options.collections)}."
        tables = [Table("Footage that is no copy, in banks of windows of others", columns, rows)]
        write(options.out, Outcome(Path(__file__).name, setting, tables))


if __name__ == "__main__":
    main()
