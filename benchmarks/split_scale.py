"""Time, memory and recall of the near-duplicate join from 10,000 to 1,000,000 clips.

    python benchmarks/split_scale.py --stage --out docs/results/benchmarks/split_scale.json

A clip's fingerprint is 4 hashes of frames and 4 of their mirror images, so a million clips are
8 million hashes. Frames of a clip differ in about 53 bits; unrelated clips are random, which is
the worst case, as no two hashes are equal and none can be left out. In 1 % of the clips (at most
2,000) each, all frames are those of another clip with exactly 10, 20, 30, 40 or 50 of 256 bits
turned; in half of these the copy is mirrored. Every size runs in a process of its own. With
`--stage`, the whole split stage runs on such a manifest too, with its reading, writing and audit.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from outcome import Outcome, Table, write

from pipeline import app
from pipeline.config import SplitApp
from pipeline.copies import duplicates
from pipeline.stages import split
from pipeline.store import manifest
from pipeline.store.manifest import Clip

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
DISTANCES = (10, 20, 30, 40, 50)
LIMIT_S, LIMIT_MB = 120, 4096
_CLIPS_AT_A_TIME = 20_000


def flip(hashes: NDArray[np.uint8], num_bits: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turn exactly `num_bits` bits of each hash."""
    bits = np.unpackbits(hashes, axis=-1)
    order = rng.random(bits.shape, np.float32).argsort(axis=-1)
    return np.packbits(bits ^ (order < num_bits), axis=-1)


def make(num_clips: int) -> tuple[NDArray[np.uint8], dict[int, NDArray[np.int64]]]:
    """Fingerprints (N, 4, 2, 32), and for each distance the originals; clip N - 1 - i copies i."""
    rng = np.random.default_rng(0)
    hashes = np.empty((num_clips, 4, 2, 32), np.uint8)
    for start in range(0, num_clips, _CLIPS_AT_A_TIME):
        block = hashes[start : start + _CLIPS_AT_A_TIME]
        noise = rng.integers(0, 256, (3, *block.shape), np.uint8)
        block[:] = rng.integers(0, 256, (len(block), 1, 2, 32), np.uint8) ^ (
            noise[0] & noise[1] & noise[2]
        )
    num_copies = min(2_000, num_clips // 100)
    copies = {}
    for turn, num_bits in enumerate(DISTANCES):
        originals = np.arange(turn * num_copies, (turn + 1) * num_copies)
        copies[num_bits] = originals
        near = flip(hashes[originals], num_bits, rng)
        near[::2] = near[::2, :, ::-1]
        hashes[num_clips - 1 - originals] = near
    return hashes, copies


def warm_up(num_threads: int) -> None:
    """Compile, so that no size pays for it."""
    hashes, _ = make(100)
    cfg = compose()
    for limit in (0, duplicates.EXACT_COMPARISONS):
        kept, duplicates.EXACT_COMPARISONS = duplicates.EXACT_COMPARISONS, limit
        duplicates.clusters(np.arange(100), hashes, rule(cfg), num_threads=num_threads)
        duplicates.EXACT_COMPARISONS = kept
    groups = np.arange(100, dtype=np.int8)
    duplicates.closest(np.arange(9), groups, hashes, rule(cfg), num_threads=num_threads)


def compose(*overrides: str) -> SplitApp:
    cfg = app.compose("split", "run.progress=false", "unseen_sources=[]", *overrides)
    return cfg


def rule(cfg: SplitApp) -> duplicates.Rule:
    return duplicates.Rule(
        cfg.max_distance, cfg.max_single_distance, cfg.max_half_distance, cfg.num_tables
    )


def measure(num_clips: int, num_threads: int) -> dict[str, float]:
    """Run the join on one size in this process."""
    warm_up(num_threads)
    hashes, copies = make(num_clips)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    found = duplicates.clusters(
        np.arange(num_clips), hashes, rule(compose()), num_threads=num_threads
    )
    row = {
        "clips": num_clips,
        "wall_s": time.perf_counter() - begin,
        "cpu_s": time.process_time() - begin_cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    for num_bits, originals in copies.items():
        row[f"recall_{num_bits}"] = float(
            (found[originals] == found[num_clips - 1 - originals]).mean()
        )
    num_joined = sum(len(originals) for originals in copies.values())
    row["false"] = float(num_clips - len(np.unique(found)) > num_joined)
    return row


def measure_stage(num_clips: int, num_threads: int) -> dict[str, float]:
    """Run the whole stage, without parts, on a manifest with five clips a recording."""
    warm_up(num_threads)
    with tempfile.TemporaryDirectory() as folder:
        clips = Path(folder) / "clips"
        clips.mkdir()
        hashes, _ = make(num_clips)
        np.save(clips / manifest.FINGERPRINTS, hashes)
        del hashes
        manifest.write_rows(clips / manifest.MANIFEST, Clip, map(clip, range(num_clips)))
        paths = [f"paths.{name}={folder}/{name}" for name in ("clips", "splits", "work")]
        cfg = compose(*paths, "find_parts=false", f"run.num_workers={num_threads}")
        begin, begin_cpu = time.perf_counter(), time.process_time()
        split.run(cfg)
        return {
            "clips": num_clips,
            "wall_s": time.perf_counter() - begin,
            "cpu_s": time.process_time() - begin_cpu,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def clip(number: int) -> Clip:
    recording = f"many/{number // 5:07d}"
    return Clip(
        clip_id=f"{number:016x}", parent_id=None, collection="many", path=f"{recording}.mp4",
        source=f"source-{number // 5 % 40}", origin="real" if number // 5 % 2 else "game",
        recording=recording, start_s=number % 5 * 16 / 15, box="0,0,128,128",
        discharge=number % 3 == 0, licence="CC0-1.0", authority="", viewpoint="", notes="",
        pixels_sha256=f"{number:064x}", shard=f"shard-{number // 500:05d}.tar", offset=0, size=1,
    )  # fmt: skip


def plot(rows: list[dict[str, float]], path: Path) -> None:
    """Draw time and memory over clips, both axes logarithmic, as SVG."""
    width, height, left, top = 640, 400, 70, 20
    shapes = []

    def x(clips: float) -> float:
        return left + (np.log10(clips) - 4) / 2 * (width - left - 30)

    def y(value: float) -> float:
        return top + (4 - np.log10(max(value, 0.1))) / 5 * (height - top - 50)

    def line(values: list[float], colour: str, dash: str = "") -> None:
        points = " ".join(
            f"{x(r['clips']):.1f},{y(v):.1f}" for r, v in zip(rows, values, strict=True)
        )
        shapes.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dash}"/>'
        )

    def text(at: tuple[float, float], words: str, colour: str = "black", anchor: str = "") -> None:
        shapes.append(
            f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" fill="{colour}" '
            f'text-anchor="{anchor or "start"}">{words}</text>'
        )

    for power in range(-1, 5):
        line([10**power] * len(rows), "#ddd")
        text((left - 8, y(10**power) + 4), f"{10**power:g}", anchor="end")
    for row in rows:
        text((x(row["clips"]), height - 30), f"{row['clips']:,.0f}", anchor="middle")
    text(((left + width) / 2, height - 8), "clips (8 hashes each)", anchor="middle")
    line([r["wall_s"] for r in rows], "#1f77b4")
    line([r["peak_mb"] for r in rows], "#d62728")
    last = rows[-1]["clips"]
    line([rows[-1]["wall_s"] * r["clips"] / last for r in rows], "#1f77b4", "3 4")
    line([LIMIT_S] * len(rows), "#1f77b4", "8 4")
    line([LIMIT_MB] * len(rows), "#d62728", "8 4")
    text((left + 10, y(rows[0]["wall_s"]) - 40), "seconds (dotted: linear)", "#1f77b4")
    text((left + 10, y(LIMIT_S) - 6), f"limit: {LIMIT_S} s", "#1f77b4")
    text((left + 10, y(rows[0]["peak_mb"]) - 6), "peak memory, MB", "#d62728")
    text((left + 10, y(LIMIT_MB) - 6), f"limit: {LIMIT_MB} MB", "#d62728")
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(shapes)}</svg>\n"
    )


def outcome(results: dict[str, list[dict[str, float]]], threads: int, figure: str) -> Outcome:
    """The rows of the join, with those of the whole stage beside them where it ran."""
    stages = results.get("measure_stage", [None] * len(results["measure"]))
    distances = [name for name in results["measure"][0] if name.startswith("recall_")]
    return Outcome(
        Path(__file__).name,
        f"Hashes are random, which is the worst case, eight a clip; {threads} threads. Of planted "
        "pairs so many bits apart the share that is joined is told, and the share of clips that "
        "are joined falsely.",
        [
            Table(
                "Split of many clips",
                ("clips", "join, s", "join, MB", "whole stage, s", "whole stage, MB"),
                [
                    (
                        int(join["clips"]),
                        round(join["wall_s"], 1),
                        round(join["peak_mb"]),
                        round(stage["wall_s"], 1) if stage else None,
                        round(stage["peak_mb"]) if stage else None,
                    )
                    for join, stage in zip(results["measure"], stages, strict=True)
                ],
            ),
            Table(
                "Share of planted pairs that is joined",
                (
                    "clips",
                    *(f"{name.removeprefix('recall_')} bits apart" for name in distances),
                    "joined falsely",
                ),
                [
                    (
                        int(join["clips"]),
                        *(round(join[name], 3) for name in distances),
                        join["false"],
                    )
                    for join in results["measure"]
                ],
            ),
        ],
        figure,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--stage", action="store_true", help="run the whole stage too")
    parser.add_argument("--out", type=Path, help="file of JSON for docs/results.md; .svg beside it")
    parser.add_argument("--one", choices=("measure", "measure_stage"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(globals()[options.one](options.sizes[0], options.threads)))
        return
    results: dict[str, list[dict[str, float]]] = {}
    for job in ("measure", "measure_stage") if options.stage else ("measure",):
        results[job] = []
        for size in options.sizes:
            command = [sys.executable, __file__, "--one", job, "--sizes", str(size)]
            command += ["--threads", str(options.threads)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            results[job].append(json.loads(done.stdout.splitlines()[-1]))
            print(json.dumps(results[job][-1]), flush=True)
    if options.out:
        write(options.out, outcome(results, options.threads, f"{options.out.stem}.svg"))
        plot(results["measure"], options.out.with_suffix(".svg"))
    last = results["measure"][-1]
    if last["wall_s"] > LIMIT_S or last["peak_mb"] > LIMIT_MB:
        sys.exit(f"over the limit of {LIMIT_S} s and {LIMIT_MB} MB")


if __name__ == "__main__":
    main()
