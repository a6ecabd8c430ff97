"""How near to discharges the moments are that `discern review propose` proposes.

    python benchmarks/proposals.py --out docs/results/benchmarks/proposals.json

The recordings of some splits whose times are known are followed as `propose` follows files of which
only a discharge is known, and moments are set beside the times: how many of the discharges lie
within 0.25 s of one, how many of the first moments are right, and how often moments of a confidence
are. Random moments, as far apart, stand beside them: a few cover much of a short file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from outcome import Outcome, Table, write

from pipeline.detect import clips
from pipeline.detect.detector import Detector
from pipeline.review.proposing import Curves, Finder, Proposal
from pipeline.store.manifest import FILES, MANIFEST, File, read_rows
from pipeline.store.manifest import Clip as ClipRow

NEAR_S = 0.25
FIRST = (1, 3, 5)
NUM_DRAWS = 50
APART_S = 0.3
BINS = (0.25, 0.5, 0.75)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Followed:
    """A recording: its times, the moments that are proposed, and the times of its frames."""

    times_s: Sequence[float]
    proposals: Sequence[Proposal]
    frames_s: Floats


def followed(data: Path, models: Path, splits: Sequence[str]) -> Iterator[Followed]:
    """Follow the recordings of some splits whose times are known."""
    detector = Detector.load(models)
    finder, fps = Finder(detector), detector.card.clip.fps
    split_of = {
        (row.collection, row.path): row.split
        for row in read_rows(data / "splits" / MANIFEST, ClipRow)
        if row.split in splits
    }
    given = clips.open_ingested(detector, data / "clips")
    rows = defaultdict(list)
    for number, row in enumerate(given.table.to_pylist()):
        rows[row["collection"], row["path"]].append((row["start_s"], number))
    for file in read_rows(data / "clips" / FILES, File):
        key = file.collection, file.path
        times_s = sorted({*json.loads(file.discharges_s), *json.loads(file.heard_s)})
        if key not in split_of or not times_s or key not in rows:
            continue
        own = sorted(rows[key])
        samples = [given.read(number) for _, number in own]
        frames = np.concatenate([one.frames for one in samples])
        sounds = np.concatenate([one.sound for one in samples])
        within = np.arange(len(samples[0].frames)) / fps
        frames_s = np.concatenate([start_s + within for start_s, _ in own])
        curves: Curves = finder.curves(frames, sounds, frames_s)
        yield Followed(times_s, finder.proposals([curves], max(FIRST)), frames_s)


def near(times_s: Sequence[float], moments_s: Sequence[float]) -> int:
    """How many times lie near any moment."""
    return sum(any(abs(one - moment) <= NEAR_S for moment in moments_s) for one in times_s)


def at_random(frames_s: Floats, rng: np.random.Generator) -> list[float]:
    """Moments that nobody looked for."""
    found: list[float] = []
    for moment in rng.permutation(frames_s).tolist():
        if all(abs(moment - other) > APART_S for other in found):
            found.append(moment)
    return found[: max(FIRST)]


def tables(found: Sequence[Followed], splits: str) -> list[Table]:
    """What was found in some splits, beside what chance finds; and how sure to be of it."""
    rng = np.random.default_rng(0)
    total = sum(len(one.times_s) for one in found)
    drawn = [[at_random(one.frames_s, rng) for _ in range(NUM_DRAWS)] for one in found]
    rows = []
    for num in FIRST:
        hits = sum(near(o.times_s, [p.time_s for p in o.proposals[:num]]) for o in found)
        chance = sum(
            near(one.times_s, moments[:num])
            for one, draws in zip(found, drawn, strict=True)
            for moments in draws
        )
        files = sum(
            any(near([p.time_s], one.times_s) for p in one.proposals[:num]) for one in found
        )
        shares = round(100 * hits / total, 1), round(100 * chance / NUM_DRAWS / total, 1)
        rows.append((num, *shares, files))
    confidence = np.array([p.confidence for one in found for p in one.proposals])
    is_right = np.array([near([p.time_s], one.times_s) for one in found for p in one.proposals])
    place = np.digitize(confidence, BINS)
    sure = [
        (
            int((place == number).sum()),
            round(float(confidence[place == number].mean()), 2),
            round(100 * float(is_right[place == number].mean()), 1),
        )
        for number in np.unique(place)
    ]
    return [
        Table(
            f"Discharges near a proposal, {splits}",
            (
                "proposals of a recording",
                f"near one of {total} discharges, %",
                "near random moments, %",
                f"recordings of {len(found)} with a right one",
            ),
            rows,
        ),
        Table(
            f"Confidence of proposals, {splits}",
            ("proposals", "mean confidence", "right, %"),
            sure,
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument(
        "--splits",
        nargs="+",
        default=["test,unseen", "test_long"],
        help="each of these by itself; with commas between such as are told of together",
    )
    parser.add_argument("--out", type=Path, help="file of JSON for docs/results.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    told, lengths = [], []
    for splits in options.splits:
        found = [*followed(options.data, options.models, splits.split(","))]
        if not found:
            sys.exit(f"{options.data}: no recording of {splits} has times; name other --splits")
        told += tables(found, splits.replace(",", " and "))
        seconds = [float(np.ptp(one.frames_s)) for one in found]
        lengths.append(f"{len(found)} of {splits} ({np.median(seconds):.1f} s at the median)")
    for table in told:
        print(table.title)
        for row in (table.columns, *table.rows):
            print("  ", *row, sep="  ")
    if options.out:
        setting = (
            f"Recordings of the default run whose times are known: {'; '.join(lengths)}. A "
            f"proposal is right that is within {NEAR_S:g} s of a discharge."
        )
        write(options.out, Outcome(Path(__file__).name, setting, told))


if __name__ == "__main__":
    main()
