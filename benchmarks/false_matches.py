"""How often footage that is no copy is taken for an item of a bank, by its size and by distance.

    python benchmarks/still_screens.py SCREENS
    python benchmarks/false_matches.py COLLECTION … SCREENS --cache FOLDER --out false_matches.json

Banks of ten million hashes of footage were not to be had, so they are made of crops: of a picture
a second of every file, 48 stretches of its height by 48 of its width, each of half to all of it,
drawn for each file. A crop at one place of one file is an item. Crops of one picture overlap, and
those of pictures in a row are alike, so that ten million hashes say less than as many of different
videos would.

A look-up is the hash of a whole picture, or of one of `NUM_CROPS` crops of it, compared with all
items of other recordings; whole pictures with their mirror images too. It is near where any item is
within the distance; a match is what `copies.matching` makes of all whole pictures of a file in an
item. Banks of a size hold items drawn with a seed, and larger ones all of smaller ones.

Intervals are the middle 95 % of 2,000 draws of whole recordings, and of whole sources; where
nothing was found, they end at the exact bound of the share of these (Clopper and Pearson), as if
all look-ups of such a one were false. Beside them stands what would hold if look-ups were
independent, which those of a recording are not. Recordings of one collection may show the same
places.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from crops import NUM_STRETCHES, File, files_of
from match import bound_of
from numba import njit
from numpy.typing import NDArray
from outcome import Cell, Outcome, Table, write
from scipy.stats import beta

from pipeline.copies import matching
from pipeline.copies.banks import RECORD
from pipeline.copies.hamming import num_ones

DISTANCES = (19, 23, 27, 31, 35, 39)
SIZES = (100_000, 1_000_000, 10_000_000)
SHOWN = 31
"""Bits, for the table by kinds of footage: those of a match."""
NUM_DRAWS = 2000
NUM_CROPS = 8
_BLOCK = 512
_ROOM = 20_000_000

Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Items:
    """Crops of all files as items, those that the smallest bank holds first.

    Attributes:
        words: (B, 4).
        times_ms, files, numbers: int64 (B,): when each is shown, of which file, and of which item,
            ascending.
    """

    words: Words
    times_ms: Numbers
    files: Numbers
    numbers: Numbers


def items_of(files: Sequence[File], seed: int) -> Items:
    """An item is the crops of one place in one file."""
    sizes = [len(file.crops) for file in files]
    of = np.repeat(np.arange(len(files)), sizes)
    places = np.concatenate([file.places for file in files])
    rank = np.random.default_rng(seed).permutation(len(files) * NUM_STRETCHES**2)
    numbers = rank[of * NUM_STRETCHES**2 + places]
    order = np.argsort(numbers, kind="stable")
    words = np.concatenate([file.crops for file in files])[order].view("<u8")
    times = np.concatenate([file.crop_times_ms for file in files])[order].astype(np.int64)
    return Items(words, times, of[order], numbers[order])


@njit(cache=True, nogil=True)
def near_pairs(
    query: Words,
    of_query: Numbers,
    known: Words,
    of_known: Numbers,
    most: int,
    room: Numbers,
) -> int:
    """Write which of a query is near which hash of another recording, and the bits: (R, 3).

    Args:
        query: (4, Q).
        of_query: recordings, (Q,).
        known: (B, 4).
        of_known: recordings, (B,).
        most: bits.
        room: for what is found.
    """
    num = 0
    for j in range(len(known)):
        a, b = known[j, 0], known[j, 1]
        is_any = False
        for i in range(query.shape[1]):
            # Half of all bits differ in more of most.
            is_any |= num_ones(query[0, i] ^ a) + num_ones(query[1, i] ^ b) <= most
        if not is_any:
            continue
        for i in range(query.shape[1]):
            if of_query[i] == of_known[j]:
                continue
            bits = num_ones(query[0, i] ^ a) + num_ones(query[1, i] ^ b)
            bits += num_ones(query[2, i] ^ known[j, 2]) + num_ones(query[3, i] ^ known[j, 3])
            if bits <= most and num < len(room):
                room[num, 0], room[num, 1], room[num, 2] = i, j, bits
                num += 1
    return num


@dataclass(frozen=True)
class LookUps:
    """What is looked up: of which file each is, int (Q,), and hashes of each side, (Q, 32)."""

    files: Numbers
    sides: Sequence[Bytes]


def look_ups(files: Sequence[File], seed: int) -> dict[str, LookUps]:
    """Whole pictures, and some crops of each picture."""
    rng = np.random.default_rng(seed)
    drawn = []
    for file in files:
        num = NUM_CROPS * len(np.unique(file.crop_times_ms))
        drawn.append(rng.permutation(len(file.crops))[: min(num, len(file.crops))])
    whole = np.concatenate([file.hashes for file in files])
    crops = np.concatenate([f.crops[of] for f, of in zip(files, drawn, strict=True)])
    numbers = np.arange(len(files))
    return {
        "whole pictures": LookUps(
            np.repeat(numbers, [len(file.hashes) for file in files]), [whole[:, 0], whole[:, 1]]
        ),
        "crops": LookUps(np.repeat(numbers, [len(of) for of in drawn]), [crops]),
    }


@dataclass(frozen=True)
class Near:
    """A look-up and a hash of a bank that are alike: int64 (N,) each, and the side of the first."""

    looked: Numbers
    known: Numbers
    distances: Numbers
    sides: Numbers


def near_of(asked: LookUps, items: Items, recordings: Numbers) -> Near:
    """All that is near within the largest distance, of other recordings."""
    room = np.zeros((_ROOM, 3), np.int64)
    of_known, found = recordings[items.files], [np.zeros((0, 4), np.int64)]
    for side, hashes in enumerate(asked.sides):
        for start in range(0, len(hashes), _BLOCK):
            words = np.ascontiguousarray(hashes[start : start + _BLOCK]).view("<u8")
            of_query = recordings[asked.files[start : start + _BLOCK]]
            query = np.ascontiguousarray(words.T)
            num = near_pairs(query, of_query, items.words, of_known, DISTANCES[-1], room)
            assert num < len(room)
            looked, known, bits = room[:num].T
            found.append(np.column_stack([looked + start, known, bits, np.full(num, side)]))
        print(f"{len(hashes)} look-ups, {sum(map(len, found))} near", flush=True)
    looked, known, distances, sides = np.concatenate(found).T
    return Near(looked, known, distances, sides)


def num_matches(file: File, items: Items, known: Numbers, sides: Numbers, distance: int) -> int:
    """How many items a file is said to show, by what is near it."""
    found = set()
    for number, side in {*zip(items.numbers[known].tolist(), sides.tolist(), strict=True)}:
        first, last = np.searchsorted(items.numbers, [number, number + 1])
        records: Any = np.zeros(last - first, RECORD)
        records["time_ms"] = items.times_ms[first:last]
        records["pdq"] = items.words[first:last].view(np.uint8).reshape(-1, 32)
        records["mirror"] = ~records["pdq"]
        with mock.patch.object(matching, "MAX_DISTANCE", distance):
            if matching.stretches(file.times_ms, file.hashes[:, side], records):
                found.add(number)
    return len(found)


def interval(wrong: Numbers, looked: Numbers, seed: int) -> tuple[float, float]:
    """Of a rate for each look-up, over groups: how many of each were wrong, and how many it had."""
    if not wrong.any():
        return 0.0, bound_of(0, len(wrong)) or 1.0
    drawn = np.random.default_rng(seed).integers(0, len(wrong), (NUM_DRAWS, len(wrong)))
    low, high = np.quantile(wrong[drawn].sum(axis=1) / looked[drawn].sum(axis=1), (0.025, 0.975))
    return float(low), float(high)


def exact(num_wrong: int, num: int) -> tuple[float, float]:
    """The same if look-ups were independent (Clopper and Pearson)."""
    low = float(beta.ppf(0.025, num_wrong, num - num_wrong + 1)) if num_wrong else 0.0
    level = 0.975 if num_wrong else 0.95
    return low, float(beta.ppf(level, num_wrong + 1, num - num_wrong))


@dataclass(frozen=True)
class Run:
    """What is the same for all rows.

    Attributes:
        files, items: what is looked up, and in what.
        recordings, sources, collections: numbers of each file's, int (F,).
        seed: of intervals.
    """

    files: Sequence[File]
    items: Items
    recordings: Numbers
    sources: Numbers
    collections: Numbers
    seed: int

    def rate(self, wrong: Numbers, looked: Numbers) -> list[Cell]:
        """Cells: look-ups, near ones, and how many a million with all intervals.

        Args:
            wrong: of which file each is that is near something.
            looked: of which file each look-up is.
        """
        told: list[tuple[float, float] | None] = [exact(len(wrong), len(looked))]
        for groups in (self.sources, self.recordings):
            counts = np.bincount(groups[wrong], minlength=groups.max() + 1)
            totals = np.bincount(groups[looked], minlength=groups.max() + 1)
            own = totals > 0
            is_one = own.sum() == 1
            told.insert(0, None if is_one else interval(counts[own], totals[own], self.seed))
        ends = [one and " to ".join(f"{1e6 * end:,.0f}" for end in one) for one in told]
        return [len(looked), len(wrong), f"{1e6 * len(wrong) / len(looked):,.0f}", *ends]

    def rows_of(self, what: str, asked: LookUps, near: Near) -> Iterator[tuple[bool, list[Cell]]]:
        """A row for each size and distance of each kind of items; and those by kinds of footage."""
        is_same = (
            self.collections[asked.files[near.looked]]
            == (self.collections[self.items.files[near.known]])
        )
        kinds = np.array([file.kind for file in self.files])
        for same, size in ((s, n) for s in (False, True) for n in self.sizes()):
            items = "the same" if same else "others"
            for distance in DISTANCES:
                of = (near.known < size) & (near.distances <= distance) & (is_same == same)
                wrong = asked.files[np.unique(near.looked[of])]
                compared = self.compared(asked, size, same)
                cells: list[Cell] = [items, what, size, compared, distance]
                is_whole = len(asked.sides) > 1
                matched = self.num_matched(asked, near, of, distance) if is_whole else None
                yield True, [*cells, *self.rate(wrong, asked.files), matched]
                if distance != SHOWN or size != self.sizes()[-1]:
                    continue
                self.tell(asked, near, of)
                for kind in sorted({*kinds[asked.files]}):
                    looked = asked.files[kinds[asked.files] == kind]
                    num = len(np.unique(self.recordings[looked]))
                    told = self.rate(wrong[kinds[wrong] == kind], looked)
                    yield False, [kind, items, what, num, *told]

    def tell(self, asked: LookUps, near: Near, of: Bools) -> None:
        """Print which recordings are near which, for people to see whether they show the same."""
        whose, which = asked.files[near.looked[of]], self.items.files[near.known[of]]
        pairs = np.column_stack([whose, which])
        for (a, b), num in zip(*np.unique(pairs, axis=0, return_counts=True), strict=True):
            print(f"{self.files[a].recording} {self.files[b].recording}: {num} near", flush=True)

    def sizes(self) -> list[int]:
        """Hashes of the banks."""
        return sorted({min(size, len(self.items.words)) for size in SIZES})

    def compared(self, asked: LookUps, size: int, same: bool) -> int:
        """With how many hashes of a bank a look-up is compared on average."""
        by_collection = np.bincount(self.collections[self.items.files[:size]], minlength=1000)
        by_recording = np.bincount(
            self.recordings[self.items.files[:size]], minlength=self.recordings.max() + 1
        )
        own = by_collection[self.collections[asked.files]]
        num = own - by_recording[self.recordings[asked.files]] if same else size - own
        return round(float(num.mean()))

    def num_matched(self, asked: LookUps, near: Near, of: Bools, distance: int) -> int:
        """How many files show an item of the bank, by their whole pictures."""
        num = 0
        whose = asked.files[near.looked]
        for number in np.unique(whose[of]):
            own = of & (whose == number)
            told = near.known[own], near.sides[own]
            num += num_matches(self.files[number], self.items, *told, distance) > 0
        return num


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--cache", type=Path, required=True, help="folder for what was hashed")
    parser.add_argument("--hash", action="store_true", help="do no more than hash")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file of JSON")
    options = parser.parse_args()
    files = [one for path in options.collections for one in files_of(path, options.cache)]
    num_crops = sum(len(file.crops) for file in files)
    num_pictures = sum(len(np.unique(file.crop_times_ms)) for file in files)
    print(f"{len(files)} files, {num_pictures} pictures, {num_crops} crops", flush=True)
    if options.hash:
        return
    items = items_of(files, options.seed)
    num_different = len(np.unique(items.words.view("V32")))
    names, recordings = np.unique([file.recording for file in files], return_inverse=True)
    _, collections = np.unique([file.collection for file in files], return_inverse=True)
    _, sources = np.unique([file.source for file in files], return_inverse=True)
    run = Run(files, items, recordings, sources, collections, options.seed)
    rows: dict[bool, list[Sequence[Cell]]] = {True: [], False: []}
    setting = (
        f"{len(names)} recordings and {sources.max() + 1} sources of "
        f"{', '.join(one.name for one in options.collections)}; {num_crops:,} crops, of which "
        f"{num_different:,} differ, of {num_pictures:,} pictures."
    )
    for what, asked in look_ups(files, options.seed).items():
        for is_main, row in run.rows_of(what, asked, near_of(asked, items, recordings)):
            rows[is_main].append(row)
            print(*row, sep="  ", flush=True)
        if options.out:
            write(options.out, Outcome(Path(__file__).name, setting, tables_of(rows)))


def tables_of(rows: dict[bool, list[Sequence[Cell]]]) -> list[Table]:
    """By size and distance, and by kinds of footage."""
    rates = (
        "look-ups",
        "near ones",
        "a million",
        "95 % over recordings",
        "95 % over sources",
        "95 % if look-ups were independent",
    )
    bank = "items of which collections", "looked up"
    columns = (
        *bank,
        "hashes of the bank",
        "compared with, on average",
        "bits of 256",
        *rates,
        "files with a match",
    )
    by_kind = "kind of footage", *bank, "recordings", *rates
    title = f"The same in the largest bank at {SHOWN} bits, by what is looked up"
    return [
        Table("Footage that is no copy, in banks of crops of others", columns, rows[True]),
        Table(title, by_kind, rows[False]),
    ]


if __name__ == "__main__":
    main()
