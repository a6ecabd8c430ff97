"""Listings of files scored: is every row accounted for after a kill, what does it cost and miss?

    python benchmarks/score.py --files 1000 --hostile 100 --record docs/results/benchmarks

Scores the judged recordings of the project (`reports/scores.parquet`) twice, by the cascade and by
all of the detector, and says what the cascade costs and misses. Then makes many small files, each
with other bytes, and broken and hostile ones among them, scores them undisturbed and with a kill in
the middle, and compares every byte. Ends with status 1 if a byte differs, a row is missing or a
file that plays is rejected. Arguments of the form key=value go on to `discern score`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import outcome
import pyarrow.parquet as pq
from outcome import Table

from pipeline.store import video

PROJECT = Path(__file__).resolve().parent.parent
_NUM_SCENES = 40
_CPU = re.compile(r"processor time: ([\d.]+) s")


@dataclass(frozen=True)
class Scored:
    """A run to its end."""

    wall_s: float
    cpu_s: float
    rows: list[dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--hostile", type=int, default=100)
    parser.add_argument("--rows-per-part", type=int, default=100)
    parser.add_argument("--only-many", action="store_true", help="leave the judged ones out")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--data", type=Path, default=PROJECT / "data" / "synthetic")
    parser.add_argument("--reports", type=Path, default=PROJECT / "reports")
    args, overrides = parser.parse_known_args()
    overrides.append(f"paths.reports={args.reports.resolve()}")
    with tempfile.TemporaryDirectory(prefix="score-") as folder:
        work = Path(folder)
        table, is_whole = killed(work, args.files, args.hostile, args.rows_per_part, overrides)
        tables = [table]
        if not args.only_many:
            tables.append(judged(work, args.reports, args.data, overrides))
    for one in tables:
        print(one.title, *(dict(zip(one.columns, row, strict=True)) for row in one.rows), sep="\n")
    if args.record:
        setting = (
            f"{args.files} files made by a script, {args.hostile} of them broken or hostile, on "
            f"{os.cpu_count()} processors that others used too"
        )
        found = outcome.Outcome("score.py", setting, tables)
        outcome.write(args.record / "score.json", found)
    sys.exit(0 if is_whole else 1)


def start(listing: Path, out: Path, overrides: Sequence[str]) -> subprocess.Popen[str]:
    """Start to score a listing."""
    command = [sys.executable, "-m", "pipeline", "score", str(listing), f"out={out}"]
    own = [f"paths.work={out.parent / 'work'}"]
    return subprocess.Popen(
        [*command, *own, "run.progress=false", *overrides],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def finish(listing: Path, out: Path, overrides: Sequence[str]) -> Scored:
    """Score a listing to its end."""
    began_s = time.monotonic()
    running = start(listing, out, overrides)
    told, _ = running.communicate()
    if running.returncode:
        sys.exit(f"{listing}: ended with status {running.returncode}")
    found = _CPU.search(told)
    rows = [
        row
        for part in sorted((out / "scores").iterdir())
        for row in pq.read_table(part).to_pylist()
    ]
    return Scored(time.monotonic() - began_s, float(found[1]) if found else 0.0, rows)


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
        *(chosen["miss_rate"], chosen["threshold"], chosen["validation"]["missed_at_most"]),
        *(int((excluded & ~is_shooting).sum()), int((~is_shooting).sum())),
        *(int((excluded & is_shooting).sum()), int(is_shooting.sum())),
        *(int((excluded & alerts).sum()), int(alerts.sum())),
        *(fast.cpu_s, full.cpu_s, full.cpu_s / fast.cpu_s),
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


def killed(
    work: Path, num_files: int, num_hostile: int, rows_per_part: int, overrides: Sequence[str]
) -> tuple[Table, bool]:
    """Score many files undisturbed, and with a kill in the middle."""
    overrides = [*overrides, f"rows_per_part={rows_per_part}"]
    folder = work / "many"
    folder.mkdir()
    good = make_files(folder, num_files - num_hostile)
    bad = make_hostile(folder, good[:_NUM_SCENES], num_hostile)
    files = [*good, *bad]
    random.Random(0).shuffle(files)
    listing = write_listing(work / "many.csv", files)
    whole = finish(listing, work / "undisturbed", overrides)
    running = start(listing, work / "killed", overrides)
    num_parts = -(-len(files) // rows_per_part)
    scores = work / "killed" / "scores"
    while running.poll() is None and len(list(scores.glob("part-*"))) < num_parts // 2:
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    num_done = len(list(scores.glob("part-*")))
    resumed = finish(listing, work / "killed", overrides)
    same = contents(work / "undisturbed") == contents(work / "killed")
    lost = [row["uri"] for row in whole.rows if Path(row["uri"]) in set(good) and row["reason"]]
    is_whole = same and len(whole.rows) == len(files) and not lost and num_done < num_parts
    table = Table(
        "Many small files, with a kill in the middle",
        [
            *("files", "of them broken or hostile", "rows", "scored", "excluded by the cheap pass"),
            *("rejected", "parts at the kill", "parts", "same bytes", "wall s", "processor s"),
            *("wall s after the kill", "files a processor hour"),
        ],
        [
            [
                *(len(files), num_hostile, len(whole.rows)),
                sum(row["status"] == "scored" for row in whole.rows),
                sum(row["step"] == "cheap" and not row["reason"] for row in whole.rows),
                sum(row["status"] == "rejected" for row in whole.rows),
                *(num_done, num_parts, "yes" if same else "no"),
                *(whole.wall_s, whole.cpu_s, resumed.wall_s),
                len(files) / whole.cpu_s * 3600,
            ]
        ],
    )
    return table, is_whole


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make_files(folder: Path, number: int) -> list[Path]:
    """Files of 1.2 s of some scenes, some of which flash, each with bytes of its own."""
    made = []
    scenes: list[bytes] = []
    for seed in range(min(number, _NUM_SCENES)):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(40, 160, (20, 30, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        frames = np.stack([np.roll(coarse, 2 * t, (0, 1))[:120, :160] for t in range(18)])
        if seed % 3 == 0:
            frames[9, 30:80, 40:100] = 255
        track = None
        if seed % 2:
            noise = rng.normal(0, 0.02, (1, 19_200)).astype(np.float32)
            noise[:, 9_600:9_900] += rng.normal(0, 0.6, (1, 300)).astype(np.float32)
            track = video.SoundTrack(noise, 16_000, "aac", 48)
        scenes.append(video.encode(frames, 15, track=track))
    for count in range(number):
        # A box that players skip makes the bytes another file's.
        box = struct.pack(">I4sQ", 16, b"free", count)
        made.append(folder / f"{count:06d}.mp4")
        made[-1].write_bytes(scenes[count % len(scenes)] + box)
    return made


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
