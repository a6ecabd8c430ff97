"""Time and memory of an evaluation without inference, over the number of scored clips.

    python benchmarks/evaluation.py --clips 25000,50000,100000

Each size runs in a process of its own: scores of a fair detector are made up, and every suite that
does not run the network judges them, with the metrics, plots and page that `evaluate.py` writes.
Prints seconds by step and the peak of memory, and the limits: 60 s and 2 GB at 100,000 clips.
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
import pyarrow as pa

from pipeline.assess import registry
from pipeline.assess.evidence import Evidence
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.page.contents import Provenance
from pipeline.assess.results import write_results
from pipeline.assess.settings import JudgingSettings
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.suites.streams.threshold_choice import choose
from pipeline.config import ClipFormat
from pipeline.detect import scores
from pipeline.store.manifest import ABSENT
from pipeline.store.packed_samples import Sample
from pipeline.store.sound import num_samples

LIMIT_S, LIMIT_GB, LIMIT_CLIPS = 60.0, 2.0, 100_000
# These run the network, on a number of clips that does not grow.
WITH_INFERENCE = ("shortcuts", "robustness", "attribution")
CLIPS_A_RECORDING, NUM_SOURCES = 5, 24
ORIGINS = ("real", "game", "film")


def made_up(num_clips: int, seed: int) -> pa.Table:
    """Rows of `SCORE_SCHEMA`: recordings of some sources, scored by a fair detector."""
    rng = np.random.default_rng(seed)
    recording = np.arange(num_clips) // CLIPS_A_RECORDING
    source = recording % NUM_SOURCES
    origin = np.array(ORIGINS)[source % len(ORIGINS)]
    discharge = (recording // NUM_SOURCES) % 2
    p_real, p_discharge = (
        1 / (1 + np.exp(-np.where(truth, 1.5, -1.5) - rng.normal(0, 1.5, num_clips)))
        for truth in (origin == "real", discharge == 1)
    )
    names = [f"{seed}-{i}" for i in range(num_clips)]
    clips = pa.table(
        {
            "sample_id": names,
            "clip_id": names,
            "path": [f"{seed}/{i}.mp4" for i in recording],
            "collection": pa.array(["made-up"] * num_clips),
            "source": [f"{o}-{s}" for o, s in zip(origin, source, strict=True)],
            "origin": origin,
            "recording": [f"made-up/{seed}-{i}" for i in recording],
            "cluster": [f"made-up/{seed}-{i}" for i in recording],
            "split": pa.array(["test"] * num_clips),
            "discharge": discharge.astype(np.int8),
            "start_s": (np.arange(num_clips) % CLIPS_A_RECORDING) * 16 / 15,
            "licence": pa.array(["CC0-1.0"] * num_clips),
            "authority": pa.array([""] * num_clips),
            "rendered": pa.array([False] * num_clips),
        },
        schema=scores.CLIP_SCHEMA,
    )
    joint = np.stack(
        [
            p_real * p_discharge,
            (1 - p_real) * p_discharge,
            p_real * (1 - p_discharge),
            (1 - p_real) * (1 - p_discharge),
        ],
        axis=1,
    )
    return scores.score_table(clips, joint)


def noise(number: int) -> Sample:
    """A clip of 16 frames of 32 pixels, without sound."""
    frames = np.random.default_rng(number).integers(0, 256, (16, 32, 32, 3), np.uint8)
    return Sample(frames, np.zeros(num_samples(16, 15.0), np.int16), ABSENT)


def measure(num_clips: int) -> dict[str, float]:
    """Seconds of every step and the peak of memory in GB, in this process."""
    unseen = num_clips // 4
    parts = [
        JudgedSet("test", "New recordings", made_up(num_clips - unseen, 0), noise, "0" * 64),
        JudgedSet("unseen", "New sources", made_up(unseen, 1), noise, "1" * 64),
    ]
    val = JudgedSet("val", "Validation", made_up(num_clips // 4, 2), noise, "2" * 64)
    clip, settings = (
        ClipFormat(16, 32, 15.0, 18),
        JudgingSettings(Bootstrap(1000, 0.95, 0), 10, 8, "protected"),
    )
    start_s = time.monotonic()
    point = choose(val, None, clip.num_frames / clip.fps, settings.operating, settings.bootstrap)
    seconds = {"operating point": time.monotonic() - start_s}
    evidence = Evidence(
        judged_sets=parts,
        val=val,
        variants=None,
        predict=lambda clips, sounds: np.full((len(clips), 4), 0.25),
        batch_size=16,
        clip=clip,
        settings=settings,
        folders=None,
        point=point,
    )
    found = []
    for name in registry.SUITES:
        if name not in WITH_INFERENCE:
            start_s = time.monotonic()
            found += registry.examine(evidence, [name])
            seconds[name] = time.monotonic() - start_s
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        write_results(
            Path(folder), "Benchmark", evidence, [], found, Provenance("", "", "", {}, "")
        )
    seconds["metrics, plots, page"] = time.monotonic() - start_s
    seconds["total"] = sum(seconds.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return seconds | {"GB": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", default=f"25000,50000,{LIMIT_CLIPS}")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    sizes = [int(size) for size in arguments.clips.split(",")]
    columns = []
    for size in sizes:
        command = [sys.executable, __file__, "--measure", str(size)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        columns.append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{'':22}" + "".join(f"{size:>12,}" for size in sizes))
    for name in columns[0]:
        print(f"{name:22}" + "".join(f"{column[name]:12.2f}" for column in columns))
    per_clip = [column["total"] / size for column, size in zip(columns, sizes, strict=True)]
    print(f"seconds a clip, largest against smallest: {per_clip[-1] / per_clip[0]:.2f}")
    share = LIMIT_CLIPS / sizes[-1]
    print(f"of the limit of {LIMIT_S:g} s: {columns[-1]['total'] * share / LIMIT_S:.2f}")
    print(f"of the limit of {LIMIT_GB:g} GB: {columns[-1]['GB'] / LIMIT_GB:.2f}")


if __name__ == "__main__":
    main()
