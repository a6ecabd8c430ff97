"""Listings of files scored: is every row accounted for after a kill, what does it cost and miss?

    python benchmarks/score.py --files 100000 --compared 5000 --record docs/results/benchmarks

Makes many small files, and broken and hostile ones among them, and scores them on two workers with
a kill of all processes in the middle. Some rows, drawn at random, are scored undisturbed too, by
one worker, and compared byte by byte; and a few of them by all of the detector, to say what the
cascade saves and misses. Then it scores the judged recordings of the project
(`reports/scores.parquet`) both ways. Ends with status 1 if a byte differs, a row is missing or a
file that plays is rejected. With `--most-s` a listing that takes longer is left as far as it came.
Arguments of the form key=value go on to `discern score`; `miss_rate=1`, which excludes what cannot
raise an alert, is what few shootings of validation allow.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import outcome
import pyarrow.parquet as pq
import small_files
from outcome import Table

from pipeline.commands.score import rows

PROJECT = Path(__file__).resolve().parent.parent
_EVERY_S = 0.5


@dataclass(frozen=True)
class Scored:
    """A run, which may have been ended on the way."""

    wall_s: float
    cpu_s: float
    """Of all its processes, starting and imports included."""
    rows: list[dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--hostile", type=int, default=100)
    parser.add_argument("--rows-per-part", type=int, default=100)
    parser.add_argument("--compared", type=int, default=500, help="rows scored undisturbed too")
    parser.add_argument("--beside", type=int, default=300, help="of them, by all of the detector")
    parser.add_argument("--most-s", type=float, default=math.inf, help="of the run with a kill")
    parser.add_argument("--only-many", action="store_true", help="leave the judged ones out")
    parser.add_argument("--work", type=Path, help="folder for files, kept and taken again")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--data", type=Path, default=PROJECT / "data" / "synthetic")
    parser.add_argument("--reports", type=Path, default=PROJECT / "reports")
    args, given = parser.parse_known_args()
    overrides = ["miss_rate=1", f"paths.reports={args.reports.resolve()}", *given]
    with tempfile.TemporaryDirectory(prefix="score-") as folder:
        work = args.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        tables, is_whole = many(work, args, overrides)
        if not args.only_many:
            tables.append(judged(work, args.reports, args.data, overrides))
    for one in tables:
        print(one.title, *(dict(zip(one.columns, row, strict=True)) for row in one.rows), sep="\n")
    if args.record:
        setting = (
            f"{args.files:,} files made by a script, {args.hostile} of them broken or hostile, on "
            f"{os.cpu_count()} processors that others used too, with miss_rate=1"
        )
        found = outcome.Outcome("score.py", setting, tables)
        outcome.write(args.record / "score.json", found)
    sys.exit(0 if is_whole else 1)


def start(listing: Path, out: Path, overrides: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start to score a listing."""
    command = [sys.executable, "-m", "pipeline", "score", str(listing), f"out={out}"]
    own = [f"paths.work={out.parent / 'work'}"]
    return subprocess.Popen(
        [*command, *own, "run.progress=false", *overrides],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def finish(
    listing: Path, out: Path, overrides: Sequence[str], ends: Callable[[], bool] = lambda: False
) -> Scored:
    """Score a listing to its end, or kill every process once `ends`."""
    began_s, cpu_s = time.monotonic(), 0.0
    running = start(listing, out, overrides)
    while running.poll() is None and not ends():
        cpu_s = max(cpu_s, cpu_of(running.pid))
        time.sleep(_EVERY_S)
    if running.poll() is None:
        os.killpg(running.pid, signal.SIGKILL)
    elif running.returncode:
        sys.exit(f"{listing}: ended with status {running.returncode}")
    running.wait()
    found = [
        row
        for part in sorted((out / "scores").glob("part-*"))
        for row in pq.read_table(part).to_pylist()
    ]
    return Scored(time.monotonic() - began_s, cpu_s, found)


def cpu_of(session: int) -> float:
    """Processor seconds of all processes of a session, and of those that they have waited for."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            values = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(values[3]) == session:
            ticks += sum(map(int, values[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def write_listing(path: Path, files: Mapping[int, Path]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "uri"])
        writer.writerows((number, str(one)) for number, one in files.items())
    return path


def judged(work: Path, reports: Path, data: Path, overrides: Sequence[str]) -> Table:
    """What the cascade costs and misses on recordings that no threshold was chosen on."""
    truth: dict[Path, bool] = {}
    for clip in pq.read_table(reports / "scores.parquet").to_pylist():
        path = data / clip["collection"] / clip["path"]
        if path.is_file():
            is_shooting = clip["origin"] == "real" and bool(clip["discharge"])
            truth[path] = truth.get(path, False) or is_shooting
    files = sorted(truth)
    listing = write_listing(work / "judged.csv", dict(enumerate(files)))
    full = finish(listing, work / "judged-full", [*overrides, "miss_rate=null"])
    out = work / "judged-cascade"
    fast = finish(listing, out, overrides)
    chosen = json.loads((out / "listing.json").read_text())["cheap_pass"]
    excluded = np.array([row["step"] == "cheap" for row in fast.rows])
    is_shooting = np.array([truth[path] for path in files])
    alerts = np.array([row["alert_s"] is not None for row in full.rows])
    found = [
        *(chosen["miss_rate"], round(chosen["threshold"], 3)),
        round(chosen["validation"]["missed_at_most"], 3),
        *(int((excluded & ~is_shooting).sum()), int((~is_shooting).sum())),
        *(int((excluded & is_shooting).sum()), int(is_shooting.sum())),
        *(int((excluded & alerts).sum()), int(alerts.sum())),
        *(round(fast.cpu_s, 1), round(full.cpu_s, 1), round(full.cpu_s / fast.cpu_s, 2)),
    ]
    return Table(
        "What the cheap pass excludes, misses and saves, on judged recordings",
        [
            *("miss_rate", "threshold", "missed at most, by validation"),
            *("others excluded", "others", "shootings excluded", "shootings"),
            *("alerts lost", "alerts", "processor s", "processor s of all of the detector"),
            "times as fast",
        ],
        [found],
    )


def many(
    work: Path, args: argparse.Namespace, overrides: Sequence[str]
) -> tuple[list[Table], bool]:
    """Score many files with a kill in the middle, and some of them in other ways too."""
    overrides = [*overrides, f"rows_per_part={args.rows_per_part}"]
    good = small_files.make_files(work / "many", args.files - args.hostile)
    bad = small_files.make_hostile(work / "many", good, args.hostile)
    files = [*good, *bad]
    random.Random(0).shuffle(files)
    listing, out = write_listing(work / "many.csv", dict(enumerate(files))), work / "killed"
    num_parts, began_s = -(-len(files) // args.rows_per_part), time.monotonic()

    def num_done() -> int:
        return len(list((out / "scores").glob("part-*")))

    def is_half() -> bool:
        passed_s = time.monotonic() - began_s
        return 2 * num_done() >= num_parts or 2 * passed_s >= args.most_s

    on_two = [*overrides, "run.num_workers=2"]
    before = finish(listing, out, on_two, is_half)
    at_kill = num_done()
    after = finish(listing, out, on_two, lambda: time.monotonic() - began_s >= args.most_s)
    accounted = [row["id"] for row in after.rows] == [str(n) for n in range(len(after.rows))]

    num_compared = min(args.compared, len(after.rows))
    drawn = sorted(random.Random(1).sample(range(len(after.rows)), num_compared))
    some = write_listing(work / "some.csv", {number: files[number] for number in drawn})
    finish(some, work / "some", [*overrides, "run.num_workers=1"])
    parts = sorted((work / "some" / "scores").glob("part-*"))
    is_same = [
        part.read_bytes() == written([after.rows[n] for n in numbers])
        for part, numbers in zip(parts, batched(drawn, args.rows_per_part), strict=True)
    ]
    plays = set(map(str, good))
    lost = [row["uri"] for row in after.rows if row["uri"] in plays and row["reason"]]
    seen = {row["uri"] for row in after.rows}
    cpu_s = before.cpu_s + after.cpu_s
    killed = Table(
        "Many small files, with a kill of all processes in the middle",
        [
            *("files", "of equal bytes", "broken or hostile", "rows"),
            *("of broken or hostile files", "scored", "excluded by the cheap pass"),
            *("rejected", "files that play among them", "parts at the kill", "parts"),
            *("rows compared, drawn at random", "same bytes"),
            *("wall s", "processor s", "files a processor hour"),
        ],
        [
            [
                *(len(files), small_files.num_copies(len(good)), len(bad), len(after.rows)),
                sum(str(path) in seen for path in bad),
                sum(row["status"] == "scored" for row in after.rows),
                sum(is_excluded(row) for row in after.rows),
                sum(row["status"] == "rejected" for row in after.rows),
                *(len(lost), at_kill, num_parts),
                *(num_compared, "yes" if all(is_same) else "no"),
                *(round(before.wall_s + after.wall_s), round(cpu_s)),
                round(len(after.rows) / cpu_s * 3600),
            ]
        ],
    )
    is_whole = all(is_same) and accounted and not lost and 0 < at_kill < num_parts
    tables = [killed]
    if args.beside:
        few = random.Random(2).sample(drawn, min(args.beside, num_compared))
        tables.append(beside(work, {number: files[number] for number in few}, overrides))
    return tables, is_whole


def batched(numbers: Sequence[int], size: int) -> list[Sequence[int]]:
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def written(found: Sequence[dict[str, Any]]) -> bytes:
    """What a part of these rows holds."""
    buffer = io.BytesIO()
    pq.write_table(rows.table(found), buffer)
    return buffer.getvalue()


def is_excluded(row: dict[str, Any]) -> bool:
    return row["step"] == "cheap" and not row["reason"]


def beside(work: Path, files: Mapping[int, Path], overrides: Sequence[str]) -> Table:
    """What the cascade saves and misses, of small files."""
    first = write_listing(work / "first.csv", dict(list(files.items())[:1]))
    listing, both = write_listing(work / "few.csv", files), []
    for name, more in (("cascade", []), ("full", ["miss_rate=null"])):
        start_s = finish(first, work / f"first-{name}", [*overrides, *more]).cpu_s
        found = finish(listing, work / f"few-{name}", [*overrides, *more])
        both.append((found, found.cpu_s - start_s))
    (fast, fast_s), (full, full_s) = both
    missed = [whole for row, whole in zip(fast.rows, full.rows, strict=True) if is_excluded(row)]
    return Table(
        "The cascade beside all of the detector, on some of them drawn at random",
        [
            *("files", "excluded", "with an alert", "alerts excluded", "highest score excluded"),
            *("processor s", "processor s of all of the detector", "times as fast"),
            *("ms a file", "ms a file of all of the detector"),
        ],
        [
            [
                *(len(fast.rows), len(missed)),
                sum(row["alert_s"] is not None for row in full.rows),
                sum(row["alert_s"] is not None for row in missed),
                round(max((row["score"] for row in missed), default=0.0), 3),
                *(round(fast_s, 1), round(full_s, 1), round(full_s / fast_s, 2)),
                *(round(1000 * one / len(fast.rows)) for one in (fast_s, full_s)),
            ]
        ],
    )


if __name__ == "__main__":
    main()
