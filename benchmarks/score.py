"""Listings of files scored: is every row accounted for after a kill, what does it cost and miss?

    python benchmarks/score.py --files 100000 --compared 2000 --record docs/results/benchmarks

Makes many small files, each with other bytes, and broken and hostile ones among them, and scores
them with a kill of all processes in the middle. Its first parts are scored undisturbed too, and
compared byte by byte, and by all of the detector, to say what the cascade saves and misses. Then it
scores the judged recordings of the project (`reports/scores.parquet`) both ways. Ends with status 1
if a byte differs, a row is missing or a file that plays is rejected. With `--most-s` a listing that
takes longer is left as far as it came. Arguments of the form key=value go on to `discern score`;
`miss_rate=1`, which excludes what cannot raise an alert, is what few shootings of validation allow.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import outcome
import pyarrow.parquet as pq
from outcome import Table

from pipeline.store import video

PROJECT = Path(__file__).resolve().parent.parent
_NUM_SCENES = 1000
_SIDES = (64, 96, 128, 160)
_NUM_FRAMES = 15
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
    parser.add_argument("--most-s", type=float, default=math.inf, help="of the run with a kill")
    parser.add_argument("--only-many", action="store_true", help="leave the judged ones out")
    parser.add_argument("--work", type=Path, help="folder for files, kept; else a temporary one")
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
            f"{os.cpu_count()} processors that others used too"
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
    rows = [
        row
        for part in sorted((out / "scores").glob("part-*"))
        for row in pq.read_table(part).to_pylist()
    ]
    return Scored(time.monotonic() - began_s, cpu_s, rows)


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


def write_listing(path: Path, files: Sequence[Path]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "uri"])
        writer.writerows((number, str(one)) for number, one in enumerate(files))
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
    listing = write_listing(work / "judged.csv", files)
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
    """Score many files with a kill in the middle, and the first of them in other ways too."""
    overrides = [*overrides, f"rows_per_part={args.rows_per_part}"]
    good = make_files(work / "many", args.files - args.hostile)
    bad = make_hostile(work / "many", good, args.hostile)
    files = [*good, *bad]
    random.Random(0).shuffle(files)
    listing, out = write_listing(work / "many.csv", files), work / "killed"
    num_parts, began_s = -(-len(files) // args.rows_per_part), time.monotonic()

    def num_done() -> int:
        return len(list((out / "scores").glob("part-*")))

    def is_half() -> bool:
        passed_s = time.monotonic() - began_s
        return 2 * num_done() >= num_parts or 2 * passed_s >= args.most_s

    before = finish(listing, out, overrides, is_half)
    at_kill = num_done()
    after = finish(listing, out, overrides, lambda: time.monotonic() - began_s >= args.most_s)
    accounted = [row["id"] for row in after.rows] == [str(n) for n in range(len(after.rows))]

    some = files[: min(args.compared, len(after.rows))]
    first = write_listing(work / "first.csv", some)
    whole = finish(first, work / "undisturbed", overrides)
    parts = contents(work / "undisturbed" / "scores")
    same = all(contents(out / "scores")[name] == data for name, data in parts.items())
    full = finish(first, work / "full", [*overrides, "miss_rate=null"])
    plays = set(map(str, good))
    lost = [row["uri"] for row in after.rows if row["uri"] in plays and row["reason"]]
    cpu_s = before.cpu_s + after.cpu_s
    killed = Table(
        "Many small files, with a kill of all processes in the middle",
        [
            *("files", "of them broken or hostile", "rows", "scored", "excluded by the cheap pass"),
            *("rejected", "files that play among them", "parts at the kill", "parts"),
            *("rows compared", "same bytes", "wall s", "processor s", "files a processor hour"),
        ],
        [
            [
                *(len(files), len(bad), len(after.rows)),
                sum(row["status"] == "scored" for row in after.rows),
                sum(is_excluded(row) for row in after.rows),
                sum(row["status"] == "rejected" for row in after.rows),
                *(len(lost), at_kill, num_parts, len(some), "yes" if same else "no"),
                *(round(before.wall_s + after.wall_s), round(cpu_s)),
                round(len(after.rows) / cpu_s * 3600),
            ]
        ],
    )
    is_whole = same and accounted and not lost and 0 < at_kill < num_parts
    return [killed, beside(whole, full)], is_whole


def is_excluded(row: dict[str, Any]) -> bool:
    return row["step"] == "cheap" and not row["reason"]


def beside(fast: Scored, full: Scored) -> Table:
    """What the cascade saves and misses, of small files."""
    missed = [whole for row, whole in zip(fast.rows, full.rows, strict=True) if is_excluded(row)]
    return Table(
        "The cascade beside all of the detector, on the first of them",
        [
            *("files", "excluded", "with an alert", "alerts excluded", "highest score excluded"),
            *("processor s", "processor s of all of the detector", "times as fast"),
        ],
        [
            [
                *(len(fast.rows), len(missed)),
                sum(row["alert_s"] is not None for row in full.rows),
                sum(row["alert_s"] is not None for row in missed),
                round(max((row["score"] for row in missed), default=0.0), 3),
                *(round(fast.cpu_s, 1), round(full.cpu_s, 1), round(full.cpu_s / fast.cpu_s, 2)),
            ]
        ],
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make_files(folder: Path, number: int) -> list[Path]:
    """Files of a second, of a thousand scenes, each with bytes of its own."""
    folder.mkdir(exist_ok=True)
    made = []
    scenes = [make_scene(seed) for seed in range(min(number, _NUM_SCENES))]
    for count in range(number):
        # A box that players skip makes the bytes another file's.
        box = struct.pack(">I4sQ", 16, b"free", count)
        made.append(folder / f"{count:06d}.mp4")
        made[-1].write_bytes(scenes[count % len(scenes)] + box)
    return made


def make_scene(seed: int) -> bytes:
    """A second in which something crosses a slope of colours; now and then it flashes or bangs."""
    rng = np.random.default_rng(seed)
    width, height = (int(rng.choice(_SIDES)) for _ in range(2))
    corners = rng.uniform(20, 180, (4, 3))
    down, right = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    top, bottom = (corners[n] * (1 - right) + corners[n + 1] * right for n in (0, 2))
    slope = top * (1 - down) + bottom * down
    frames = np.repeat(slope[None], _NUM_FRAMES, 0)
    colour, start = corners.mean(0) + rng.uniform(-30, 30, 3), rng.uniform(0, 0.4, 2)
    for number, frame in enumerate(frames):
        y, x = (int((start[n] + 0.03 * number) * side) for n, side in enumerate((height, width)))
        frame[y : y + height // 5, x : x + width // 5] = colour
    if seed % 20 == 0:
        frames[7, height // 3 : height // 2, width // 3 : width // 2] = 255
    track = None
    if seed % 5 == 0:
        noise = rng.normal(0, 0.01, (1, 16_000)).astype(np.float32)
        if seed % 40 == 0:
            fading = np.exp(-np.arange(3_000) / 600)
            noise[:, 7_500:10_500] += (rng.normal(0, 0.6, 3_000) * fading).astype(np.float32)
        track = video.SoundTrack(noise, 16_000, "aac", 48)
    return video.encode(frames.clip(0, 255).astype(np.uint8), 15, track=track)


def make_hostile(folder: Path, good: Sequence[Path], number: int) -> list[Path]:
    """Files that are broken, are something else, or would harm a reader, each in its own way."""
    rng = random.Random(1)
    made = []
    for count in range(number):
        data = bytearray(good[count % len(good)].read_bytes())
        kind = count % 10
        if kind == 0:
            data = data[: rng.randrange(len(data))]
        elif kind == 1:
            for _ in range(200):
                data[rng.randrange(len(data))] = rng.randrange(256)
        elif kind == 2:
            data[4:8] = rng.randbytes(4)
        elif kind == 3:
            data = bytearray(rng.randbytes(rng.randrange(1, 50_000)))
        elif kind == 4:
            data = bytearray(struct.pack(">I4s", 2**31, b"moov") + bytes(data[8:]))
        elif kind == 5:
            place = data.find(b"avcC")
            data[place : place + 40] = rng.randbytes(40)
        elif kind == 6:
            data = bytearray(b"#EXTM3U\nfile:///etc/passwd\nhttp://127.0.0.1/x%d\n" % count)
        elif kind == 7:
            data = bytearray(b"<html>%d</html>" % count) * rng.randrange(1, 999)
        elif kind == 8:
            place = data.find(b"stts")
            data[place : place + 24] = b"stts" + b"\xff" * 20
        else:
            data = bytearray(rng.randrange(0, 3) * 4096)
        made.append(folder / f"hostile-{count:04d}.mp4")
        made[-1].write_bytes(bytes(data))
    return made


if __name__ == "__main__":
    main()
