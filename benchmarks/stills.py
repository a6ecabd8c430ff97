"""How well pictures of videos find these in a bank, and pictures in a bank the videos.

    python benchmarks/stills.py COLLECTION … --out docs/results/benchmarks/stills.json

Of each file that can be hashed three pictures are taken, from the middle of each third, and written
as JPEG with each edit. They are looked up in a bank of all files, as `discern match` does. One is
found where its item is told, with a place at most 1 s off and the right side of the mirror; an item
of another recording is wrong. Then the same pictures are a bank, and all files are looked up in it:
by all pictures that change, as `match` does, and by one picture a second, as `watch` looks streams
up. A picture is found where its file is told at a place at most 1 s off. Distances are those of the
nearest pictures; intervals are over recordings, as those of `false_matches`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from false_matches import interval
from numpy.typing import NDArray
from outcome import Cell, Outcome, Table, write

from pipeline import app
from pipeline.commands import bank, printed_files
from pipeline.config import IngestApp
from pipeline.copies import banks, hash_index, matches, stills
from pipeline.copies.hash_index import Index
from pipeline.copies.records import sound_records
from pipeline.footage.collection import read_index
from pipeline.footage.printing import Printed
from pipeline.footage.still_matches import StillMatch, each_second, similar

PLACES = (1 / 6, 1 / 2, 5 / 6)
"""Of a file that pictures are taken from, as shares of its length."""
MAX_OFF_S = 1.0
DISTANCES = (15, 19, 23, 27, 31)
WIDTHS = (0, 400, 800, 100_000)
"""Of files that are told apart, in pixels."""

Picture = NDArray[np.uint8]


def _smaller(picture: Picture, factor: float) -> Picture:
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


EDITS: dict[str, tuple[Callable[[Picture], Picture], int, bool]] = {
    # name: (what is done to it, quality of JPEG, whether it is mirrored)
    "half the size, JPEG 60": (lambda one: _smaller(one, 0.5), 60, False),
    "quarter of the size, JPEG 40": (lambda one: _smaller(one, 0.25), 40, False),
    "mirrored, half the size, JPEG 60": (lambda one: _smaller(one[:, ::-1], 0.5), 60, True),
}


@dataclass(frozen=True)
class Source:
    """A file, how many pixels it is wide, and the item of a bank that it is."""

    path: Path
    recording: str
    width: int
    number: int


@dataclass(frozen=True)
class Still:
    """A picture of a file, written with an edit."""

    path: Path
    source: Source
    at_s: float


@dataclass(frozen=True)
class Told:
    """What was told of one picture: the least distance of what is right, and of wrong items."""

    source: Source
    right: float
    wrong: tuple[float, ...]


def bank_of(files: Sequence[tuple[Path, str]], root: Path, cfg: IngestApp) -> list[Source]:
    """Write a bank of files, without parts; those that cannot be hashed are left out."""
    results = printed_files.hash_files(
        [path for path, _ in files], bank.RATE_HZ, cfg, cfg.run, "bank", with_changes=True
    )
    found = []
    with banks.writing(root, "files", create=True) as writer:
        for (path, recording), one in zip(files, results, strict=True):
            if not isinstance(one, Printed):
                print(f"left out: {path}: {one.reason}")
                continue
            sounds = sound_records(one.sound_times_ms, one.sounds)
            known = path.name, "file", one.sha256, one.md5, one.duration_s
            item = writer.add(*known, printed_files.hash_records(one), sounds)
            with av.open(str(path)) as container:
                width = container.streams.video[0].width
            found.append(Source(path, recording, width, item.number))
    return found


def pictures_of(path: Path) -> list[tuple[float, Picture]]:
    """Pictures of a file at `PLACES`, as OpenCV orders colours, and when they are on the screen."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        start_s = (container.start_time or 0) / av.time_base
        times = [f.time - start_s for f in container.decode(video=0) if f.time is not None]
    wanted = {round(place * (len(times) - 1)) for place in PLACES}
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        shown = (frame for frame in container.decode(video=0) if frame.time is not None)
        return [
            (times[number], np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
            for number, frame in enumerate(shown)
            if number in wanted
        ]


def written(sources: Sequence[Source], folder: Path) -> dict[str, list[Still]]:
    """The stills of files by their edit."""
    found: dict[str, list[Still]] = {edit: [] for edit in EDITS}
    for source in sources:
        for number, (at_s, picture) in enumerate(pictures_of(source.path)):
            for place, (edit, (change, quality, _)) in enumerate(EDITS.items()):
                path = folder / f"{source.number}-{number}-{place}.jpg"
                assert cv2.imwrite(str(path), change(picture), [cv2.IMWRITE_JPEG_QUALITY, quality])
                found[edit].append(Still(path, source, at_s))
    return found


def looked_up(
    some: Sequence[Still], sources: Sequence[Source], index: Index, edit: str, cfg: IngestApp
) -> list[Told]:
    """Look stills up in the bank of all files; flat ones are left out."""
    paths = [one.path for one in some]
    results = printed_files.hash_files(paths, matches.RATE_HZ, cfg, cfg.run, edit)
    recordings = {source.number: source.recording for source in sources}
    told = []
    for still, one in zip(some, results, strict=True):
        assert isinstance(one, Printed), one
        if not len(one.times_ms):
            continue
        right, wrong = np.inf, dict[int, float]()
        for match in similar(one, [index]).matches:
            assert isinstance(match, StillMatch)
            number, place = match.item.number, match.stretch
            if number == still.source.number:
                at_s = stills.nearest_s(place, file_is_still=True, item_is_still=False)
                assert at_s is not None
                is_right = abs(at_s - still.at_s) <= MAX_OFF_S and place.mirrored == EDITS[edit][2]
                right = min(right, place.median_distance) if is_right else right
            elif recordings[number] != still.source.recording:
                wrong[number] = min(wrong.get(number, np.inf), place.median_distance)
        told.append(Told(still.source, right, tuple(wrong.values())))
    return told


def bank_of_stills(some: Sequence[Still], root: Path, cfg: IngestApp) -> dict[int, Still]:
    """Write a bank of stills; those that have a hash by their number."""
    paths = [one.path for one in some]
    results = printed_files.hash_files(paths, bank.RATE_HZ, cfg, cfg.run, "stills")
    held: dict[int, Still] = {}
    with banks.writing(root, "stills", create=True) as writer:
        for still, one in zip(some, results, strict=True):
            assert isinstance(one, Printed)
            known = still.path.name, "still", one.sha256, one.md5, one.duration_s
            none = sound_records(one.sound_times_ms, one.sounds)
            item = writer.add(*known, printed_files.hash_records(one), none)
            if len(one.times_ms):
                held[item.number] = still
    return held


def told_back(
    files: Sequence[tuple[Source, Printed]], held: Mapping[int, Still], index: Index
) -> tuple[list[Told], list[Told]]:
    """Look files up in a bank of stills.

    Returns:
        Of each still, at which distance its file finds it; and of each file, at which distances it
        is told to show stills of other recordings.
    """
    nearest, by_file = dict.fromkeys(held, np.inf), []
    for source, one in files:
        wrong: dict[int, float] = {}
        for match in similar(one, [index]).matches:
            # A file with one picture that is hashed has no seconds either.
            if not isinstance(match, StillMatch) or match.file_is_still:
                continue
            number, place = match.item.number, match.stretch
            still = held[number]
            if still.source == source:
                is_near = place.start_s - MAX_OFF_S <= still.at_s <= place.end_s + MAX_OFF_S
                if is_near and not place.mirrored:
                    nearest[number] = min(nearest[number], place.median_distance)
            elif still.source.recording != source.recording:
                wrong[number] = min(wrong.get(number, np.inf), place.median_distance)
        by_file.append(Told(source, np.inf, tuple(wrong.values())))
    return [Told(held[number].source, bits, ()) for number, bits in nearest.items()], by_file


def rows_of(found: Sequence[Told], asked: Sequence[Told], seed: int) -> list[list[Cell]]:
    """For each distance: what was found with its share, and wrong items of what was asked."""
    rows: list[list[Cell]] = []
    _, groups = np.unique([one.source.recording for one in found], return_inverse=True)
    sizes = np.bincount(groups)
    for distance in DISTANCES:
        is_found = np.array([one.right <= distance for one in found])
        missed = np.bincount(groups, weights=~is_found).astype(np.int64)
        low, high = interval(missed, sizes, seed)
        num_wrong = [sum(bits <= distance for bits in one.wrong) for one in asked]
        rows.append(
            [
                distance,
                int(is_found.sum()),
                len(found),
                f"{100 * is_found.mean():.1f} %",
                f"{100 * (1 - high):.1f} to {100 * (1 - low):.1f} %",
                sum(num_wrong),
                sum(map(bool, num_wrong)),
                len(asked),
            ]
        )
    return rows


def rows_by_width(told: Sequence[Told], seed: int) -> list[list[Cell]]:
    """The same at the largest distance, for files of some widths."""
    rows = []
    for least, end in pairwise(WIDTHS):
        some = [one for one in told if least <= one.source.width < end]
        if some:
            pixels = f"{least:,} and more" if end == WIDTHS[-1] else f"{least} to {end - 1}"
            num = len({one.source.recording for one in some})
            rows.append([pixels, num, *rows_of(some, some, seed)[-1]])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file of JSON")
    options = parser.parse_args()
    cfg = app.compose("ingest", "run.progress=false")
    files = [
        (folder / row.path, f"{folder.name}/{row.recording}")
        for folder in options.collections
        for row in read_index(folder)
    ]
    rows: list[Sequence[Cell]] = []
    by_width: list[Sequence[Cell]] = []
    with tempfile.TemporaryDirectory() as work:
        root = Path(work)
        sources = bank_of(files, root, cfg)
        held = banks.read(root, "files")
        index = hash_index.open_index(root, held)
        some = written(sources, root)
        for edit, of_edit in some.items():
            told = looked_up(of_edit, sources, index, edit, cfg)
            rows += [["stills in videos", edit, *row] for row in rows_of(told, told, options.seed)]
            by_width += [[edit, *row] for row in rows_by_width(told, options.seed)]
        edit = next(iter(EDITS))
        of_stills = bank_of_stills(some[edit], root, cfg)
        in_stills = hash_index.open_index(root, banks.read(root, "stills"))
        paths = [source.path for source in sources]
        results = printed_files.hash_files(
            paths, matches.RATE_HZ, cfg, cfg.run, "files", with_changes=True
        )
        dense = [
            (source, one)
            for source, one in zip(sources, results, strict=True)
            if isinstance(one, Printed)
        ]
        sparse = [(source, each_second(one)) for source, one in dense]
        for what, those in (
            ("videos in stills", dense),
            ("videos in stills, a picture a second", sparse),
        ):
            back = rows_of(*told_back(those, of_stills, in_stills), options.seed)
            rows += [[what, edit, *row] for row in back]
        num_hashes = len(held.hashes)
    for row in [*rows, *by_width]:
        print(*row, sep="  ")
    if options.out:
        names = ", ".join(folder.name for folder in options.collections)
        setting = (
            f"{len(sources)} files of {len({one.recording for one in sources})} recordings of "
            f"{names}, of which a bank holds {num_hashes:,} hashes; three pictures of each."
        )
        shares = "bits of 256", "found", "of", "share", "95 % over recordings"
        columns = *shares, "wrong items", "look-ups with one", "look-ups"
        tables = [
            Table(
                "Stills in banks of videos, and videos in banks of stills",
                ("looked up", "edit", *columns),
                rows,
            ),
            Table(
                "Stills in videos, by the width of these",
                ("edit", "pixels", "recordings", *columns),
                by_width,
            ),
        ]
        write(options.out, Outcome(Path(__file__).name, setting, tables))


if __name__ == "__main__":
    main()
