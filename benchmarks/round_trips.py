"""Do frames survive the way to the libraries of Label Studio and FiftyOne, and back?

    python benchmarks/round_trips.py --label-studio PYTHON --fiftyone PYTHON --record FOLDER

Each PYTHON is that of an environment of its own in which the package is installed
(`pip install label-studio`, `pip install fiftyone`); what is not given is left out. Tasks about
videos of 15, 25, 30 and 29.97 frames a second are exported, loaded and edited there by the tool's
own code, exported by it, and imported. Every frame has to come back as it was; the same is done
with a fault, in which the tool counts frames from 0, and the check has to find it. Ends with status
1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import outcome
from outcome import Table

from pipeline.review.exchange import fiftyone, label_studio
from pipeline.review.exchange.entries import Entry, ExchangeTerms
from pipeline.review.tasks import FILE, Moment, QueuePlace, ReviewTask

HERE = Path(__file__).resolve().parent
_FPS = 15.0
_RATES = (Fraction(15), Fraction(25), Fraction(30), Fraction(30_000, 1001))
_SECONDS = 8
_FRAMES = (0, 1, 7, 14, 15, 16, 29, 44, 59, 74, 100, 118)


@dataclass(frozen=True)
class Trip:
    """Frames of discharges, counted from 0, by the name of the task."""

    found: Mapping[str, Sequence[int]]
    version: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--label-studio", help="Python of an environment with label-studio")
    parser.add_argument("--fiftyone", help="Python of an environment with fiftyone")
    parser.add_argument("--record", type=Path)
    args = parser.parse_args()
    tools = {"Label Studio": args.label_studio, "FiftyOne": args.fiftyone}
    trips = {"Label Studio": through_label_studio, "FiftyOne": through_fiftyone}
    rows, is_sound = [], True
    with tempfile.TemporaryDirectory(prefix="round-trips-") as folder:
        work = Path(folder)
        entries = [make_task(work, rate) for rate in _RATES]
        for name, python in tools.items():
            if not python:
                continue
            for moved in (0, -1):
                trip = trips[name](work, python, entries, moved)
                meant = set(frames_of(moved))
                num_same = sum(set(frames) == meant for frames in trip.found.values())
                is_same = num_same == len(entries)
                is_sound &= is_same if moved == 0 else num_same == 0
                rows.append(
                    [
                        *(f"{name} {trip.version}", "none" if moved == 0 else "frames from 0"),
                        *(len(trip.found), num_same),
                        sum(len(frames) for frames in trip.found.values()),
                    ]
                )
    columns = ["tool", "fault", "videos", "with the same frames", "discharges"]
    table = Table("Frames that came back from a tool", columns, rows)
    print(table.title, *(dict(zip(columns, row, strict=True)) for row in rows), sep="\n")
    if args.record:
        rates = ", ".join(f"{float(rate):.4g}" for rate in _RATES)
        setting = (
            f"videos of {rates} frames a second, {len(_FRAMES)} discharges each, some in "
            "neighbouring frames, in the first, and near the last"
        )
        outcome.write(
            args.record / "round_trips.json", outcome.Outcome("round_trips.py", setting, [table])
        )
    sys.exit(0 if is_sound and rows else 1)


def make_task(work: Path, rate: Fraction) -> Entry:
    """A video in which a square moves, and a task about it."""
    name = f"{round(float(rate) * 100):016x}"
    path = work / f"{name}.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(int(_SECONDS * rate)):
            picture = np.full((64, 64, 3), 60, np.uint8)
            picture[number % 48 :][:16, 8:24] = 200
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    moment = Moment(2.0, 3.0666, 0.8, 0.9, True)
    place = QueuePlace(1, name, ("cost",), "alerts", None, True, 1.0)
    task = ReviewTask(
        *(name, FILE, name, str(path), None, float(_SECONDS), 0.8, 0.9, 0.9, "real_shooting", 3.2),
        *((moment,), (), 1, "a" * 64, 0.5),
    )
    return Entry(1, place, task)


def through_label_studio(work: Path, python: str, entries: Sequence[Entry], moved: int) -> Trip:
    terms, path = ExchangeTerms(_FPS, by="Ada"), work / "tasks.json"
    label_studio.write(path, entries, terms)
    back = work / "from-label-studio.json"
    arguments = [path, path.with_suffix(".xml"), edits(work, entries, moved), back]
    version = run(python, "round_trips_label_studio.py", arguments)
    return Trip(decided(label_studio.read, back, entries, terms), version)


def through_fiftyone(work: Path, python: str, entries: Sequence[Entry], moved: int) -> Trip:
    terms, folder, back = ExchangeTerms(_FPS, by="Ada"), work / "fiftyone", work / "labels.json"
    fiftyone.write(folder, entries, terms)
    arguments = [folder, edits(work, entries, moved), back]
    version = run(python, "round_trips_fiftyone.py", arguments)
    return Trip(decided(fiftyone.read, back, entries, terms), version)


def edits(work: Path, entries: Sequence[Entry], moved: int) -> Path:
    """What a person does in the tool."""
    path = work / "edits.json"
    told = {"frames": {one.task.name: frames_of(moved) for one in entries}, "moved": moved}
    path.write_text(json.dumps(told))
    return path


def frames_of(moved: int) -> Sequence[int]:
    """Frames that a person means; none is before the first, to which a fault would move one."""
    return _FRAMES[1:] if moved < 0 else _FRAMES


def run(python: str, script: str, arguments: Sequence[Path]) -> str:
    """Run a script with the other environment, and return the version of the tool."""
    command = [python, str(HERE / script), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{script}: ended with status {done.returncode}")
    return str(json.loads(done.stdout.strip().splitlines()[-1])["version"])


def decided(
    read: Callable, back: Path, entries: Sequence[Entry], terms: ExchangeTerms
) -> dict[str, list[int]]:
    tasks = {entry.task.name: entry.task for entry in entries}
    return {
        one.task: [round(time_s * _FPS) for time_s in one.discharges_s]
        for one in read(back, tasks, terms)
    }


if __name__ == "__main__":
    main()
