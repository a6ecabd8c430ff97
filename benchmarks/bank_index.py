"""How fast hashes are looked up in banks of millions, beside faiss.

    python benchmarks/bank_index.py 1000000 10000000 --faiss SITE --out bank_index.json

A bank of random hashes and mirror images is written, opened and looked up in. A tenth of the
queries differ from a hash of it in 31 bits, the others are random; both sides have to find the
same. SITE is a folder of packages with `faiss`, which Discern does not need: its flat index and its
multi-hash (16 chunks, one bit flipped, exact within 31 bits) get the hashes without the mirror
images, half as much to search. All run in one thread; times are the least of three.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from outcome import Cell, Outcome, Table, write

from pipeline.copies import banks, hash_index, matching, parts
from pipeline.copies.banks import RECORD, SOUND_RECORD, Bank
from pipeline.copies.hash_index import Index

ITEM = 600
NUM_QUERIES, BATCH = 200, 60
NUM_WINDOWS = 1699
"""Of a picture whose parts are looked up, at the most."""
NONE = np.zeros(0, SOUND_RECORD)

Hashes = NDArray[np.uint8]


def records_of(num: int, rng: np.random.Generator) -> NDArray[Any]:
    """An item of random hashes, four a second."""
    records = np.zeros(num, RECORD)
    records["time_ms"], records["quality"] = np.arange(num) * 250, 100
    for side in ("pdq", "mirror"):
        records[side] = rng.integers(0, 256, (num, 32), np.uint8)
    return records


def fill(root: Path, num_hashes: int, rng: np.random.Generator) -> None:
    """Write a bank of so many hashes, without a wait for the disk at each item."""
    os_fsync, os.fsync = os.fsync, lambda fd: None
    with banks.writing(root, "b", create=True) as bank:
        for number in range(num_hashes // ITEM):
            name = f"{number:064x}"
            bank.add("a.mp4", "a", name, "", ITEM / 4, records_of(ITEM, rng), NONE)
    os.fsync = os_fsync


def queries(known: Hashes, rng: np.random.Generator) -> Hashes:
    """Random hashes, of which a tenth are known ones with 31 bits changed."""
    found = rng.integers(0, 256, (NUM_QUERIES, 32), np.uint8)
    for place in range(0, NUM_QUERIES, 10):
        bits = np.unpackbits(known[rng.integers(len(known))])
        bits[rng.choice(256, matching.MAX_DISTANCE, replace=False)] ^= 1
        found[place] = np.packbits(bits)
    return found


def least_s(run: Callable[[], object]) -> float:
    """The least time of three runs, after one that does not count."""
    run()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def resident_mb() -> float:
    """Memory of this process now, without what is mapped from files."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition("RssAnon:")[2].split()[0]) / 1000


def timed(
    name: str, num: int, ask: Callable[[Hashes], Sequence[bool]], asked: Hashes
) -> list[Cell]:
    """Look-ups a second, in batches and one by one, and how many of the queries were found."""
    batch = least_s(lambda: ask(asked[:BATCH])) / BATCH
    one = least_s(lambda: [ask(asked[place : place + 1]) for place in range(20)]) / 20
    return [name, num, round(1 / batch), round(1000 * one, 3), int(np.sum(ask(asked)))]


def ours(num: int, root: Path, rng: np.random.Generator) -> tuple[list[Cell], Hashes, Hashes]:
    """The row of Discern, and what others are to look up in which hashes."""
    fill(root, num, rng)
    start = time.perf_counter()
    bank = banks.read(root, "b")
    read_s = time.perf_counter() - start
    hash_index.open_index(root, bank)
    built_s = time.perf_counter() - start - read_s
    before = resident_mb()
    start = time.perf_counter()
    index = hash_index.open_index(root, bank)
    opened_s = time.perf_counter() - start
    known = np.ascontiguousarray(bank.hashes["pdq"])
    asked = queries(known, rng)
    cells = timed("Discern", num, lambda some: index.near(some)[1].tolist(), asked)
    windows = rng.integers(0, 256, (NUM_WINDOWS, 32), np.uint8)
    windows_s = least_s(lambda: index.near(windows))
    memory = resident_mb() - before - known.nbytes / 1e6
    files = sum(path.stat().st_size for path in root.rglob("*.npy")) / 1e6
    index, found = added(root, bank, index, ITEM, rng)
    # Large enough that a block of the index is made for it.
    _, larger = added(root, index.bank, index, hash_index.MIN_BLOCK, rng)
    print(f"read and checked in {read_s:.2f} s; index opened and checked in {opened_s:.2f} s")
    cells += [round(built_s, 1), f"{max(0, memory):.0f}, {files:.0f} in files"]
    cells += [round(read_s + opened_s, 2), found, larger]
    cells += [round(1000 * windows_s)]
    return cells, known, asked


def added(
    root: Path, bank: Bank, index: Index, num_hashes: int, rng: np.random.Generator
) -> tuple[Index, str]:
    """Add an item and look 60 of its pictures up, in a process that had the bank open.

    Returns:
        The index; and the seconds that it took, of which so many of the processor.
    """
    new = records_of(num_hashes, rng)
    start, used = time.perf_counter(), time.process_time()
    with banks.writing(root, "b") as writer:
        name = f"{rng.integers(2**62):064x}"
        item = writer.add("b.mp4", "b", name, "", num_hashes / 4, new, NONE)
    now = hash_index.open_index(root, banks.read(root, "b", bank), index)
    numbers, _ = now.near(new["pdq"][:60])
    assert numbers == [item.number]
    took_s, used_s = time.perf_counter() - start, time.process_time() - used
    return now, f"{took_s:.2f} ({used_s:.2f})"


def of_faiss(num: int, known: Hashes, asked: Hashes) -> list[list[Cell]]:
    """The rows of faiss."""
    import faiss

    faiss.omp_set_num_threads(1)
    rows = []
    for name, index in (
        ("faiss flat", faiss.IndexBinaryFlat(256)),
        ("faiss multi-hash", faiss.IndexBinaryMultiHash(256, 16, 16)),
    ):
        before, start = resident_mb(), time.perf_counter()
        index.add(known)
        built_s = time.perf_counter() - start
        if name != "faiss flat":
            index.nflip = 1

        def ask(some: Hashes, index: Any = index) -> list[bool]:
            limits, _, _ = index.range_search(some, matching.MAX_DISTANCE + 1)
            return (np.diff(limits.astype(np.int64)) > 0).tolist()

        cells = timed(name, num, ask, asked)
        memory = resident_mb() - before
        rows.append([*cells, round(built_s, 1), f"{memory:.0f}", None, None, None, None])
        print(*rows[-1], sep="  ", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", type=int, nargs="+", help="hashes of a bank")
    parser.add_argument("--faiss", help="folder of packages with faiss")
    parser.add_argument("--folder", type=Path, help="where banks are written for a while")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file of JSON")
    options = parser.parse_args()
    if options.faiss:
        sys.path.append(options.faiss)
    rng = np.random.default_rng(options.seed)
    rows: list[Sequence[Cell]] = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            row, known, asked = ours(size // ITEM * ITEM, Path(folder), rng)
            print(*row, sep="  ", flush=True)
            rows.append(row)
        rows += of_faiss(len(known), known, asked) if options.faiss else []
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak {peak_gb:.1f} GB")
    picture = rng.integers(0, 256, (480, 640), np.uint8)
    num_windows = len(parts.of_query(picture)[1])
    hashed_ms = 1000 * least_s(lambda: parts.of_query(picture))
    print(f"{num_windows} windows of a picture hashed in {hashed_ms:.0f} ms")
    if options.out:
        columns = (
            "search",
            "hashes",
            "look-ups a second",
            "ms of one look-up",
            "found",
            "s to build",
            "MB of memory",
            "s to open and check",
            "s from addition to match in a running process (of the processor)",
            "the same of an item of 65,536 hashes",
            f"ms of the {NUM_WINDOWS} windows of a picture",
        )
        setting = f"Random hashes, {NUM_QUERIES} queries, one thread, batches of {BATCH}."
        tables = [Table("Look-ups in banks", columns, rows)]
        write(options.out, Outcome(Path(__file__).name, setting, tables))


if __name__ == "__main__":
    main()
