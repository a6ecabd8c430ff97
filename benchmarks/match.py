"""How many edited copies `discern match` finds in a bank, and how often it names what is no copy.

    python benchmarks/match.py COLLECTION … --out match.json

The files of collections that last long enough become items of a bank; with `--first`, their first
seconds alone, at `copies.WIDTH` pixels. Each is copied with each edit by the ffmpeg command line,
or filmed from a screen by `filmed`, from a place that is drawn by its name, and looked up. A copy
is found where a match names its item, says whether it is mirrored, and is at most 1.5 s off at both
of its ends. Frames found are the share of the looked-up frames of a copy that agree with its item.
Beside it stands what plain vPDQ finds at the industry's thresholds, which names no times. False
matches are counted over all pairs of a file and an item of different recordings; the bound is the
exact 95 % one (Clopper and Pearson), as if pairs were independent, which those of one engine or
place are not.
"""

from __future__ import annotations

import argparse
import csv
import re
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from copies import EDITS, WIDTH, ffmpeg
from filmed import WAYS, film
from outcome import Cell, Outcome, Table, write
from scipy.stats import beta

from pipeline import app
from pipeline.commands import bank, printed_files
from pipeline.config import IngestApp
from pipeline.copies import banks, candidates, hash_index, matches, matching, parts
from pipeline.copies.banks import Bank
from pipeline.copies.hash_index import Index
from pipeline.copies.matching import VideoStretch
from pipeline.copies.records import sound_records
from pipeline.footage.collection import INDEX, read_index
from pipeline.footage.conversion import Unusable
from pipeline.footage.printing import Printed

CUT_S, CUT_LENGTH_S = 7.37, 10.0
CUT = f"{CUT_LENGTH_S:g} s cut out"
CHOSEN = (
    "re-encoded, strongly",
    "half the size",
    "mirrored",
    "letterbox",
    "border all round",
    "caption in a bar above",
    "square, with blurred sides",
    "text",
    "large overlay",
    "cropped by 5 %",
    "cropped by 10 %",
    "cropped by 10 %, in a corner",
    "cropped by 20 %",
    "cropped by 20 %, in a corner",
    "rotated by 3°",
    "filmed from a screen",
    "1.25 times as fast",
    "0.8 times as fast",
    "mirrored, text, cropped by 5 %",
    "mirrored, cropped by 10 %, in a corner",
    "text, cropped by 10 %",
    "border all round, re-encoded, strongly",
    "mirrored, 0.8 times as fast",
    "large overlay, cropped by 5 %",
    "filmed from a screen, 1.25 times as fast",
    *WAYS,
    "screen and wall filmed, up to 10° beside, 1.25 times as fast",
)
_SPEED = re.compile(r"(\S+) times as fast")
COLUMNS = ("edit", "found", "of", "share of frames", "wrong items", "by vPDQ", "wrong by vPDQ")
FIRST_CRF = 16
VPDQ_SHARE = 0.8
"""Of a video's hashes that have to be near some of an item, as the industry has it."""
# A frame may be as far from its partner as the tolerance, and the seconds of both ends are told.
MAX_OFF_S = 1.5


@dataclass
class Source:
    """A file of a collection, by itself and as an item."""

    path: Path
    recording: str
    printed: Printed
    number: int = 0
    """Of the item that it is; 0 if it is none."""


@dataclass
class Found:
    """What became of the copies of one edit."""

    num_copies: int = 0
    num_found: int = 0
    num_by_vpdq: int = 0
    num_wrong: int = 0
    num_wrong_by_vpdq: int = 0
    frames: list[float] = field(default_factory=list)


def shortened(folder: Path, work: Path, seconds: float, min_seconds: float) -> Path:
    """A collection of the first seconds of those files of another that last long enough."""
    target = work / folder.name
    kept = []
    for row in read_index(folder):
        with av.open(str(folder / row.path)) as container:
            if (container.duration or 0) < min_seconds * av.time_base:
                continue
        copy = target / Path(row.path).with_suffix(".mp4")
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            ffmpeg(folder / row.path, copy, f"scale={WIDTH}:-2", FIRST_CRF, seconds)
        path = copy.relative_to(target)
        kept.append([str(path), row.origin, row.source, row.recording, int(row.discharge)])
    with (target / INDEX).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "origin", "source", "recording", "discharge", "licence"))
        writer.writerows([*row, "as its original"] for row in kept)
    return target


def sources(collections: Sequence[Path], cfg: IngestApp) -> list[Source]:
    """The files of collections that can be hashed, as they are looked up."""
    listed = [
        (folder / row.path, f"{folder.name}/{row.recording}")
        for folder in collections
        for row in read_index(folder)
    ]
    results = printed_files.hash_files(
        [path for path, _ in listed],
        matches.RATE_HZ,
        cfg,
        cfg.run,
        "look up",
        parts=parts.of_query,
    )
    found = []
    for (path, recording), result in zip(listed, results, strict=True):
        if isinstance(result, Unusable):
            print(f"left out: {path}: {result.reason}")
        else:
            found.append(Source(path, recording, result))
    return found


def bank_of(items: list[Source], root: Path, cfg: IngestApp) -> Bank:
    """A bank of some files, which are told their numbers."""
    paths = [item.path for item in items]
    results = printed_files.hash_files(
        paths, bank.RATE_HZ, cfg, cfg.run, "bank", with_changes=True, parts=parts.of_item
    )
    with banks.writing(root, "known", create=True) as writer:
        for source, one in zip(items, results, strict=True):
            assert isinstance(one, Printed)
            source.number = writer.add(
                source.path.name,
                "known",
                one.sha256,
                one.md5,
                one.duration_s,
                printed_files.hash_records(one),
                sound_records(one.sound_times_ms, one.sounds),
                parts=printed_files.part_records(one),
            ).number
    return banks.read(root, "known")


def shown(printed: Printed, index: Index) -> dict[int, list[VideoStretch]]:
    """The stretches of a file that show items, by the number of the item."""
    return candidates.shown_items(
        index,
        np.concatenate([printed.times_ms, printed.part_times_ms]),
        np.concatenate([printed.hashes[:, 0], printed.part_hashes[:, 0]]),
        np.concatenate([np.zeros(len(printed.times_ms), np.uint8), printed.part_kinds]),
        np.repeat([False, True], [len(printed.times_ms), len(printed.part_times_ms)]),
    )


def shown_by_vpdq(printed: Printed, known: Bank) -> set[int]:
    """The items that plain vPDQ names: four in five hashes are near one, whenever that is shown."""
    _, first = np.unique(printed.times_ms, return_index=True)
    query = printed.hashes[first, 0]
    found = set()
    for item in known.items.values():
        records = known.hashes_of(item)
        _, each_second = np.unique(records["time_ms"] // 1000, return_index=True)
        hashes = records["pdq"][each_second]
        bits = np.bitwise_count(query[:, None] ^ hashes[None]).sum(axis=-1)
        if bits.size and (bits.min(axis=1) <= matching.MAX_DISTANCE).mean() >= VPDQ_SHARE:
            found.add(item.number)
    return found


def is_right(stretch: VideoStretch, edit: str) -> bool:
    """Whether what is said of a copy is so."""
    named = _SPEED.search(edit)
    start_s, speed = CUT_S if edit == CUT else 0.0, float(named[1]) if named else 1.0
    off_s = max(
        abs(start_s + stretch.start_s * speed - stretch.item_start_s),
        abs(start_s + stretch.end_s * speed - stretch.item_end_s),
    )
    return off_s <= MAX_OFF_S and stretch.mirrored == ("mirrored" in edit)


def make_copy(source: Path, copy: Path, edit: str, seconds: float) -> None:
    """Copy a file with an edit."""
    named = _SPEED.search(edit)
    way = WAYS.get(edit.removesuffix(f", {named[0]}") if named else edit)
    if way:
        seed = zlib.crc32(source.name.encode())
        film(source, copy, way, seed, float(named[1]) if named else 1.0)
        return
    filters, crf = EDITS.get(edit, ("null", 23))
    if edit == CUT:
        filters = f"trim=start={CUT_S}:duration={CUT_LENGTH_S:g},setpts=PTS-STARTPTS"
    ffmpeg(source, copy, filters, crf, seconds)


def look_up_copies(
    items: list[Source], index: Index, edit: str, work: Path, cfg: IngestApp
) -> Found:
    """Copy every item with an edit, and look the copies up."""
    name = re.sub(r"\W+", "-", edit)
    copies = [work / f"{item.number}" / f"{name}.mp4" for item in items]
    for item, copy in zip(items, copies, strict=True):
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            make_copy(item.path, copy, edit, cfg.max_duration_s)
    found = Found()
    results = printed_files.hash_files(
        copies, matches.RATE_HZ, cfg, cfg.run, edit, parts=parts.of_query
    )
    for item, result in zip(items, results, strict=True):
        assert isinstance(result, Printed)
        by_item = shown(result, index)
        right = [one for one in by_item.get(item.number, ()) if is_right(one, edit)]
        by_vpdq = shown_by_vpdq(result, index.bank)
        same = {one.number for one in items if one.recording == item.recording}
        found.num_copies += 1
        found.num_found += bool(right)
        found.num_by_vpdq += item.number in by_vpdq
        found.num_wrong += len(by_item.keys() - same)
        found.num_wrong_by_vpdq += len(by_vpdq - same)
        num_frames = sum(one.num_frames for one in right)
        times_ms = np.concatenate([result.times_ms, result.part_times_ms])
        found.frames.append(num_frames / max(1, len(np.unique(times_ms))))
        if not right:
            print(f"  missed: {item.path.name}")
        for number in by_item.keys() - same:
            print(f"  wrong: {item.path.name}: item {number}: {by_item[number][0]}")
    return found


def false_matches(files: list[Source], items: list[Source], index: Index) -> list[Sequence[Cell]]:
    """Pairs of a file and an item that match though they are no copies: of one collection, and of
    two.
    """
    rows: list[Sequence[Cell]] = []
    for name, is_same in (("one collection", True), ("different collections", False)):
        num_pairs = num_hashes = num_wrong = 0
        for file in files:
            by_item = shown(file.printed, index)
            for item in items:
                same = file.recording.split("/")[0] == item.recording.split("/")[0]
                if file.recording == item.recording or same != is_same:
                    continue
                num_pairs += 1
                num_hashes += len(file.printed.times_ms)
                if stretches := by_item.get(item.number):
                    num_wrong += 1
                    print(f"false: {file.path} in {item.path}: {stretches[0]}")
        bound = bound_of(num_wrong, num_pairs)
        rows.append((name, num_pairs, num_hashes, num_wrong, bound and round(bound, 5)))
    return rows


def bound_of(num_wrong: int, num: int) -> float | None:
    """The exact upper bound of a share, at 95 %; None of nothing."""
    if num_wrong == num:
        return 1.0 if num else None
    return float(beta.ppf(0.95, num_wrong + 1, num - num_wrong))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--min-seconds", type=float, default=20.0, help="of an item")
    parser.add_argument("--first", type=float, help="seconds of each file that are its item")
    parser.add_argument("--most", type=int, default=100, help="items of a collection")
    parser.add_argument("--edits", nargs="*", default=[*CHOSEN, CUT], help="only these")
    parser.add_argument("--copies", type=Path, help="folder in which copies are kept")
    parser.add_argument("--out", type=Path, help="file of JSON")
    options = parser.parse_args()
    cfg = app.compose("ingest")
    with tempfile.TemporaryDirectory() as folder:
        write_results(options, Path(folder), cfg)


def write_results(options: argparse.Namespace, work: Path, cfg: IngestApp) -> None:
    """Run the benchmark with a folder to work in."""
    collections = options.collections
    if options.first:
        first = options.copies or work
        collections = [
            shortened(folder, first, options.first, options.min_seconds) for folder in collections
        ]
    files = sources(collections, cfg)
    least_s = 0 if options.first else options.min_seconds
    items = [
        file
        for folder in collections
        for file in [
            file
            for file in files
            if file.path.is_relative_to(folder) and file.printed.duration_s >= least_s
        ][: options.most]
    ]
    known = bank_of(items, work, cfg)
    index = hash_index.open_index(work, known)
    hours = sum(item.printed.duration_s for item in items) / 3600
    size = f"{len(items)} items of {hours:.2f} h with {len(known.hashes)} hashes"
    print(size, flush=True)
    wrong = false_matches(files, items, index)
    for row in wrong:
        print(*row, sep="  ", flush=True)
    names = ", ".join(folder.name for folder in collections)
    of = f"the first {options.first:g} s of " if options.first else ""
    setting = f"Copies of {size}, and {of}{len(files)} files of {names}."
    columns = ("files and items of", "pairs", "look-ups", "matched", "bound of their share")
    shares: list[Sequence[Cell]] = []
    for edit in options.edits:
        found = look_up_copies(items, index, edit, options.copies or work, cfg)
        frames = round(float(np.mean(found.frames)), 3)
        nums = found.num_found, found.num_copies, frames, found.num_wrong
        shares.append((edit, *nums, found.num_by_vpdq, found.num_wrong_by_vpdq))
        print(*shares[-1], sep="  ", flush=True)
        # A run of hours that is stopped leaves what it has.
        if options.out:
            tables = [
                Table("Copies found", COLUMNS, shares),
                Table("Files taken for copies", columns, wrong),
            ]
            write(options.out, Outcome(Path(__file__).name, setting, tables))


if __name__ == "__main__":
    main()
