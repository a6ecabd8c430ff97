r"""How often the windows of pictures that are no copy are near items of a bank, and make a match.

    python benchmarks/window_matches.py COLLECTION … --cache FOLDER --sparse screens vizdoom … \
        --banks 1000000:1:8 --out window_matches.json

A file is looked up by up to 1,699 windows of each picture, each of which is compared with the parts
of an item of its kind. Banks are those of `false_matches`, of crops, whose hashes are made as those
of parts are; they stand for parts of every kind, so that a window is compared with all of a bank of
so many hashes, as if all of these were of its kind. `--banks` names sizes, and says for each that
one recording of so many is looked up in it, and one of so many of the collections that `--sparse`
names, drawn with a seed.

A look-up is one picture, its mirror image included: it is near where any of its windows is within
the distance of any item of another recording. That is a match of a still. A file of several
pictures matches where `copies.matching` finds an item in its first `--seconds`, a picture a second,
that agrees in three of them, or in all of fewer. Intervals are those of `false_matches`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import av
import numpy as np
from crops import File, files_of
from false_matches import DISTANCES, SHOWN, Items, Run, items_of
from numba import njit
from numpy.typing import NDArray
from outcome import Cell, Outcome, Table, write

from pipeline.copies import matching, multi_index, parts
from pipeline.copies.banks import RECORD
from pipeline.copies.hamming import hash_distance
from pipeline.copies.matches import RATE_HZ
from pipeline.footage.collection import read_index
from pipeline.footage.printing import PictureHasher

SIDES = 2
_FAR = 255

Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Bank:
    """The first crops of all, sorted by chunks, as the index of a bank is."""

    words: Words
    starts: NDArray[np.uint32]
    entries: NDArray[np.uint32]


@dataclass(frozen=True)
class Near:
    """Which crop a picture is near, by which of its windows, and in how many bits: (N,) each."""

    known: Numbers
    windows: Numbers
    distances: Numbers


@dataclass(frozen=True)
class Looked:
    """What was looked up in a bank.

    Attributes:
        files: of which file each picture is, (P,).
        nearest: the bits to the nearest crop of other collections, and to that of the same one,
            255 where none is near: (P, 2).
        matched: the least bits at which a file matches an item, likewise: (F, 2).
    """

    files: Numbers
    nearest: Numbers
    matched: Numbers


def bank_of(words: Words) -> Bank:
    """A bank whose size is even: one half is sorted as the mirror images of the other."""
    starts = np.zeros((multi_index.NUM_CHUNKS, multi_index.NUM_STARTS), np.uint32)
    entries = np.empty((multi_index.NUM_CHUNKS, len(words)), np.uint32)
    multi_index.fill(words[0::2], words[1::2], starts, entries)
    return Bank(words, starts, entries)


@njit(cache=True, nogil=True)
def nearest(
    query: Words,
    own: int,
    words: Words,
    of_known: Numbers,
    starts: NDArray[np.uint32],
    entries: NDArray[np.uint32],
    least: Bytes,
    window: NDArray[np.uint16],
    touched: Numbers,
) -> int:
    """Find all that any window is near, and of each the window that is nearest.

    Args:
        query: (Q, 4).
        own: the recording that is looked up, with which nothing is compared.
        words: (B, 4).
        of_known: recordings, (B,).
        starts, entries: as `multi_index.fill` wrote them.
        least: (B,), 255 everywhere; written, the bits.
        window: (B,), written.
        touched: what is near, written.

    Returns:
        How many are near.
    """
    num = 0
    for number in range(multi_index.NUM_CHUNKS):
        for i in range(len(query)):
            value = multi_index._chunk(query[i], number)
            for bit in range(multi_index.CHUNK_BITS + 1):
                bucket = value if bit == multi_index.CHUNK_BITS else value ^ (1 << bit)
                for place in range(starts[number, bucket], starts[number, bucket + 1]):
                    j = entries[number, place]
                    bits = hash_distance(query[i], words[j])
                    if (
                        bits > multi_index.MAX_SEARCH_DISTANCE
                        or of_known[j] == own
                        or bits >= least[j]
                    ):
                        continue
                    if least[j] == _FAR:
                        touched[num] = j
                        num += 1
                    least[j], window[j] = bits, i
    return num


class Finder:
    """Looks pictures up in a bank."""

    def __init__(self, bank: Bank, recordings: Numbers) -> None:
        self._bank, self._recordings = bank, recordings
        self._least = np.full(len(bank.words), _FAR, np.uint8)
        self._window = np.zeros(len(bank.words), np.uint16)
        self._touched = np.zeros(len(bank.words), np.int64)

    def near(self, hashes: Bytes, own: int) -> Near:
        """What the windows of a picture (K, 32) are near in other recordings than their own."""
        num = nearest(
            np.ascontiguousarray(hashes).view("<u8"),
            own,
            self._bank.words,
            self._recordings,
            self._bank.starts,
            self._bank.entries,
            self._least,
            self._window,
            self._touched,
        )
        known = np.sort(self._touched[:num])
        found = Near(known, self._window[known].astype(np.int64), self._least[known].astype(int))
        self._least[known] = _FAR
        return found


def windows_of(path: Path, seconds: int) -> Iterator[tuple[int, list[Bytes]]]:
    """When a picture a second is on the screen, and the windows of it and of its mirror image."""
    hasher, next_s = PictureHasher(), 0.0
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for frame in container.decode(video=0):
            if frame.time is None or frame.time < next_s:
                continue
            if next_s >= seconds / RATE_HZ:
                return
            next_s = frame.time + 1 / RATE_HZ
            hasher.hashed(frame)
            luma = hasher.inner(frame)
            shown = luma, np.ascontiguousarray(luma[:, ::-1])
            yield round(1000 * frame.time), [parts.of_query(one)[0][:, 0] for one in shown]


def least_bits(pictures: Sequence[tuple[int, Bytes, Near]], items: Items, of: Bools) -> int:
    """The least of `DISTANCES` at which a file matches any item of some files; 255 if none."""
    numbers = [np.unique(items.numbers[one.known[of[one.known]]]) for _, _, one in pictures]
    for distance in DISTANCES[: DISTANCES.index(SHOWN) + 1]:
        for number in np.unique(np.concatenate(numbers)):
            first, last = np.searchsorted(items.numbers, [number, number + 1])
            records: Any = np.zeros(last - first, RECORD)
            records["time_ms"] = items.times_ms[first:last]
            records["pdq"] = items.words[first:last].view(np.uint8).reshape(-1, 32)
            # Mirror images are looked up as pictures of their own.
            records["mirror"] = ~records["pdq"]
            times, hashes = [], []
            for time_ms, windows, one in pictures:
                # That there was a picture counts also where it is near nothing.
                told = np.unique([0, *one.windows[(first <= one.known) & (one.known < last)]])
                times.append(np.full(len(told), time_ms, np.uint32))
                hashes.append(windows[told])
            with mock.patch.object(matching, "MAX_DISTANCE", distance):
                looked_up_ms, windows_shown = np.concatenate(times), np.concatenate(hashes)
                is_window = np.ones(len(looked_up_ms), bool)
                if matching.stretches(looked_up_ms, windows_shown, records, None, is_window):
                    return distance
    return _FAR


def looked_up(
    paths: Sequence[Path],
    chosen: Sequence[int],
    run: Run,
    size: int,
    seconds: int,
) -> Looked:
    """Look the pictures of some files up in a bank of a size."""
    known = run.items.files[:size]
    finder = Finder(bank_of(run.items.words[:size]), run.recordings[known])
    items = Items(
        run.items.words[:size], run.items.times_ms[:size], known, run.items.numbers[:size]
    )
    files, nearest_bits, matched = [], [], []
    for number in chosen:
        of_side: list[list[tuple[int, Bytes, Near]]] = [[] for _ in range(SIDES)]
        is_same = run.collections[known] == run.collections[number]
        for time_ms, sides in windows_of(paths[number], seconds):
            bits = [_FAR, _FAR]
            for held, windows in zip(of_side, sides, strict=True):
                if not len(windows):
                    continue
                near = finder.near(windows, run.recordings[number])
                held.append((time_ms, windows, near))
                for same in (0, 1):
                    told = near.distances[is_same[near.known] == bool(same)]
                    bits[same] = min(bits[same], int(told.min(initial=_FAR)))
            if any(len(windows) for windows in sides):
                files.append(number)
                nearest_bits.append(bits)
        if any(of_side):
            matched.append(
                [
                    min(least_bits(held, items, is_same == bool(same)) for held in of_side if held)
                    for same in (0, 1)
                ]
            )
            if min(matched[-1]) != _FAR:
                print(f"match: {run.files[number].recording}: {matched[-1]} bits", flush=True)
    return Looked(*(np.array(one) for one in (files, nearest_bits, matched)))


def rows_of(looked: Looked, size: int, run: Run) -> tuple[list[list[Cell]], list[list[Cell]]]:
    """A row for each distance of each kind of items; and those at 31 bits by kinds of footage."""
    rows: list[list[Cell]] = []
    by_kind: list[list[Cell]] = []
    kinds = np.array([file.kind for file in run.files])
    for same, items in enumerate(("others", "the same")):
        for distance in DISTANCES[: DISTANCES.index(SHOWN) + 1]:
            is_near = looked.nearest[:, same] <= distance
            wrong = looked.files[is_near]
            num = int((looked.matched[:, same] <= distance).sum())
            told = run.rate(wrong, looked.files)
            rows.append([items, size, distance, *told, len(looked.matched), num])
        for kind in sorted({*kinds[looked.files]}):
            own = looked.files[kinds[looked.files] == kind]
            num = len(np.unique(run.recordings[own]))
            told = run.rate(wrong[kinds[wrong] == kind], own)
            by_kind.append([kind, items, size, num, *told])
    return rows, by_kind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--cache", type=Path, required=True, help="folder for what was hashed")
    parser.add_argument("--banks", nargs="+", required=True, help="SIZE:ONE_OF:ONE_OF_SPARSE")
    parser.add_argument("--sparse", nargs="*", default=[], help="names of collections")
    parser.add_argument("--seconds", type=int, default=4, help="of each file that are looked up")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file of JSON")
    options = parser.parse_args()
    files: list[File] = []
    paths: list[Path] = []
    for folder in options.collections:
        files += files_of(folder, options.cache)
        paths += [folder / row.path for row in read_index(folder)]
    assert len(files) == len(paths), "the cache is of other files; delete it"
    names, recordings = np.unique([file.recording for file in files], return_inverse=True)
    _, collections = np.unique([file.collection for file in files], return_inverse=True)
    _, sources = np.unique([file.source for file in files], return_inverse=True)
    items = items_of(files, options.seed)
    run = Run(files, items, recordings, sources, collections, options.seed)
    rows: list[Sequence[Cell]] = []
    by_kind: list[Sequence[Cell]] = []
    is_sparse = np.isin(names, [one.recording for one in files if one.collection in options.sparse])
    order = np.random.default_rng(options.seed).permutation(len(names))
    for bank in options.banks:
        size, one_of, one_of_sparse = map(int, bank.split(":"))
        groups = order[~is_sparse[order]], order[is_sparse[order]]
        drawn = [
            groups[0][: len(groups[0]) // one_of],
            groups[1][: len(groups[1]) // one_of_sparse],
        ]
        chosen = np.flatnonzero(np.isin(recordings, np.concatenate(drawn))).tolist()
        found, kinds = rows_of(looked_up(paths, chosen, run, size, options.seconds), size, run)
        rows += found
        by_kind += kinds
        for row in found:
            print(*row, sep="  ", flush=True)
        if options.out:
            drawn_of = "".join(
                f" In the bank of {int(size):,} one recording of {one_of} is looked up, and one of "
                f"{sparse} of {', '.join(options.sparse) or 'none'}."
                for size, one_of, sparse in (bank.split(":") for bank in options.banks)
            )
            setting = (
                f"Of {len(names)} recordings and {sources.max() + 1} sources of "
                f"{', '.join(one.name for one in options.collections)}, the first "
                f"{options.seconds} s, a picture a second.{drawn_of}"
            )
            write(options.out, Outcome(Path(__file__).name, setting, tables_of(rows, by_kind)))


def tables_of(rows: Sequence[Sequence[Cell]], by_kind: Sequence[Sequence[Cell]]) -> list[Table]:
    """By size and distance, and by kinds of footage."""
    rates = (
        "pictures",
        "near ones",
        "a million",
        "95 % over recordings",
        "95 % over sources",
        "95 % if pictures were independent",
    )
    bank = "items of which collections", "hashes of the bank"
    last = "files", "files with a match"
    return [
        Table(
            "Windows of footage that is no copy, in banks of crops of others",
            (*bank, "bits of 256", *rates, *last),
            rows,
        ),
        Table(
            f"Windows at {SHOWN} bits, by what is looked up",
            ("kind of footage", *bank, "recordings", *rates),
            by_kind,
        ),
    ]


if __name__ == "__main__":
    main()
