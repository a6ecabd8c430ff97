"""SIGKILL each data stage at random moments; every resumed run must end with the same bytes.

`python benchmarks/kill.py [--kills N] [--files N]` makes a collection of moving textures, runs
ingest, split, augment and pack undisturbed, then kills each of them at seeded random moments of
its running time, starts it again until it ends, and compares every output file. It prints a line a
kill, and ends with status 1 if a byte differs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pipeline.footage.collection import IndexRow, write_index
from pipeline.store import video

PROJECT = Path(__file__).resolve().parent.parent
STAGES = {"ingest": "clips", "split": "splits", "augment": "augmented", "pack": "packed"}
OVERRIDES = {
    "ingest": ["block_files=3"],
    "split": ["unseen_sources=[]"],
    "augment": ["shard_clips=8"],
    "pack": ["shard_samples=32"],
}


def make_collection(folder: Path, num_files: int) -> None:
    """Files of 6 s whose clouds are unlike those of any other file."""
    folder.mkdir(parents=True)
    rows = []
    for seed in range(num_files):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 255, (24, 24, 3), np.uint8).repeat(16, 0).repeat(16, 1)
        frames = np.stack([np.roll(coarse, 3 * t, (0, 1))[:240, :320] for t in range(90)])
        path = f"{seed:03d}.mp4"
        (folder / path).write_bytes(video.encode(frames, 15))
        origin, discharge = ("real", "game")[seed % 2], bool(seed // 2 % 2)
        times = (0.5, 3.0) if discharge else ()
        rows.append(IndexRow(path, origin, f"{origin}-s", discharge, "CC0-1.0", "", times))
    write_index(folder, rows)


def start(stage: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start a stage whose every path lies below `folder`."""
    names = ("footage", "synthetic", "work", *STAGES.values())
    paths = [f"paths.{name}={folder / name}" for name in names]
    command = [sys.executable, "-m", "pipeline", stage, *paths, *OVERRIDES[stage]]
    return subprocess.Popen(
        [*command, "run.progress=false"], cwd=PROJECT, stderr=subprocess.DEVNULL
    )


def finish(stage: str, folder: Path) -> float:
    """Run a stage to its end; returns how many seconds it took."""
    began_s = time.monotonic()
    status = start(stage, folder).wait()
    if status:
        sys.exit(f"{stage}: ended with status {status}")
    return time.monotonic() - began_s


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def num_kept(folder: Path, stage: str) -> int:
    """How many pieces and blocks of a stage survive in the work folder."""
    kept = (folder / "work" / "kept" / stage).glob("*/*")
    return sum(path.suffix != ".partial" for path in kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    different = 0
    with tempfile.TemporaryDirectory(prefix="kill-") as name:
        folder = Path(name)
        make_collection(folder / "footage" / "clouds", arguments.files)
        took_s = {stage: finish(stage, folder) for stage in STAGES}
        whole = {stage: hashes(folder / output) for stage, output in STAGES.items()}
        for number in range(arguments.kills):
            stage = list(STAGES)[number % len(STAGES)]
            output = folder / STAGES[stage]
            # As DVC does before a stage whose outputs do not persist; nothing is done already.
            shutil.rmtree(output)
            shutil.rmtree(folder / "work" / "kept" / stage, ignore_errors=True)
            after_s = rng.uniform(0.1, 1.0) * took_s[stage]
            process = start(stage, folder)
            time.sleep(after_s)
            running = process.poll() is None
            if running:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
            kept = num_kept(folder, stage)
            finish(stage, folder)
            same = hashes(output) == whole[stage]
            different += not same
            print(
                f"{number + 1:3d} {stage:8s} {'killed' if running else 'over  '} after "
                f"{after_s:5.1f} of {took_s[stage]:5.1f} s, {kept:3d} pieces kept: "
                f"{'same bytes' if same else 'OTHER BYTES'}",
                flush=True,
            )
    print(f"{arguments.kills} kills, {different} with other bytes")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
