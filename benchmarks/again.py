"""What a change of a collection costs that was ingested before, against a run from nothing.

`python benchmarks/again.py [--files N] [--workers N] [--out FILE]` ingests N files of moving
textures, adds one in front, corrects the label of one, removes one, and runs once more with nothing
new. After each change it runs ingest twice, with the work folder of before and with an empty one.
It prints the seconds of both, how many times as fast the first is, how many files it decoded, and
whether all bytes are equal, and ends with status 1 if they are not.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from outcome import Cell, Outcome, Table, write

from pipeline import app
from pipeline.footage.collection import IndexRow, read_index, write_index
from pipeline.stages import ingest
from pipeline.store import video, workdir


def write_file(folder: Path, number: int) -> IndexRow:
    """Write a file of 3 s whose clouds are unlike those of any other file; returns its row."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 255, (24, 24, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    frames = np.stack([np.roll(coarse, 3 * t, (0, 1))[:144, :192] for t in range(45)])
    path = f"{number:05d}.mp4"
    (folder / path).write_bytes(video.encode(frames, 15))
    origin, discharge = ("real", "game")[number % 2], bool(number // 2 % 2)
    return IndexRow(
        path, origin, f"{origin}-s", discharge, "CC0-1.0", "", (0.5, 2.5) if discharge else ()
    )


def add(folder: Path) -> None:
    rows = read_index(folder)
    write_index(folder, [write_file(folder, len(rows)), *rows])


def correct(folder: Path) -> None:
    rows = read_index(folder)
    at = next(number for number, row in enumerate(rows) if row.discharge)
    rows[at] = replace(rows[at], discharges_s=(1.5,))
    write_index(folder, rows)


def remove(folder: Path) -> None:
    rows = read_index(folder)
    gone = rows.pop(len(rows) // 2)
    (folder / gone.path).unlink()
    write_index(folder, rows)


CHANGES: dict[str, Callable[[Path], None]] = {
    "one file added": add,
    "one label changed": correct,
    "one file removed": remove,
    "nothing changed": lambda folder: None,
}


def ingest_s(folder: Path, name: str, num_workers: int) -> float:
    """Ingest with the work folder `name`; returns how many seconds it took."""
    places = {
        "footage": "footage",
        "synthetic": "synthetic",
        "work": name,
        "clips": f"{name}-clips",
    }
    paths = [f"paths.{key}={folder / place}" for key, place in places.items()]
    run = [f"run.num_workers={num_workers}", "run.progress=false"]
    cfg = app.compose("ingest", *paths, *run)
    began_s = time.monotonic()
    ingest.run(cfg)
    return time.monotonic() - began_s


def finished(folder: Path) -> set[str]:
    """Names of the work that is kept of files."""
    return {path.name for path in (folder / "kept" / workdir.KEPT / "ingest").glob("*/*")}


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="file of JSON for docs/results.md")
    arguments = parser.parse_args()
    are_equal = True
    rows: list[Sequence[Cell]] = []
    with tempfile.TemporaryDirectory(prefix="again-") as name:
        folder = Path(name)
        collection = folder / "footage" / "clouds"
        collection.mkdir(parents=True)
        write_index(collection, [write_file(collection, n) for n in range(arguments.files)])
        first_s = ingest_s(folder, "kept", arguments.workers)
        print(f"{arguments.files} files from nothing: {first_s:.2f} s", flush=True)
        rows.append(("all files new", None, round(first_s, 2), None, None))
        for change, make in CHANGES.items():
            make(collection)
            before = finished(folder)
            again_s = ingest_s(folder, "kept", arguments.workers)
            nothing_s = ingest_s(folder, "empty", arguments.workers)
            same = hashes(folder / "kept-clips") == hashes(folder / "empty-clips")
            shutil.rmtree(folder / "empty")
            are_equal &= same
            ratio = nothing_s / again_s
            rows.append((change, round(again_s, 2), round(nothing_s, 2), round(ratio, 1), same))
            says = "same bytes" if same else "OTHER BYTES"
            print(
                f"{change}: {again_s:.2f} s against {nothing_s:.2f} s from nothing, "
                f"{ratio:.1f} times as fast, {len(finished(folder) - before)} decoded: {says}",
                flush=True,
            )
    if arguments.out:
        columns = ("change", "seconds", "seconds from nothing", "times as fast", "same bytes")
        write(
            arguments.out,
            Outcome(
                Path(__file__).name,
                f"{arguments.files} files of 3 s, {arguments.workers} workers.",
                [Table("Ingest of a collection that was ingested before", columns, rows)],
            ),
        )
    sys.exit(not are_equal)


if __name__ == "__main__":
    main()
