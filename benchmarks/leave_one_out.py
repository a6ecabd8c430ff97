"""How well a game is told from real footage by a detector that never saw it.

    python benchmarks/leave_one_out.py --leave arcade --leave freedoom,vizdoom --leave cinema

Needs the packed samples of `dvc repro`. For each group of sources (name prefixes between commas)
it trains with the committed configuration, without the group, and prints the AUROC of origin: the
real clips that training did not see (test and unseen) against all clips of the group; beside it
that of the committed weights against the group's test clips, which did see others of the group.
Intervals are over recordings.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import app
from pipeline.assess import scores
from pipeline.assess.bootstrap import Bootstrap
from pipeline.assess.questions import Question, judge_auroc
from pipeline.config import Paths
from pipeline.learn import weights
from pipeline.manifest import CLASSES, FORMAT
from pipeline.packed import INDEX, SAMPLES, Packed

BOOTSTRAP = Bootstrap(1000, 0.95, 0)
BATCH = 16


def without(packed: Packed, group: tuple[str, ...], folder: Path) -> None:
    """Write the samples once more, with those of a group of sources out of training's reach."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (SAMPLES, FORMAT):
        (folder / name).unlink(missing_ok=True)
        os.link((packed.folder / name).resolve(), folder / name)
    index = packed.index
    splits = [
        "unseen" if source.startswith(group) else split
        for source, split in zip(
            index["source"].to_pylist(), index["split"].to_pylist(), strict=True
        )
    ]
    place = index.schema.get_field_index("split")
    pq.write_table(index.set_column(place, "split", pa.array(splits)), folder / INDEX)


def origin_auroc(packed: Packed, models: Path, group: tuple[str, ...], splits: set[str]) -> str:
    """AUROC of P(real) between unseen real clips and the group's clips of some splits."""
    index = packed.index.to_pylist()
    rows = [
        number
        for number, row in enumerate(index)
        if row["variant"] is None
        and (
            (row["origin"] == "real" and row["split"] in ("test", "unseen"))
            or (row["source"].startswith(group) and row["split"] in splits)
        )
    ]
    clips = packed.index.take(rows).select(scores.CLIP_SCHEMA.names)
    probabilities, _ = scores.predict(
        clips,
        lambda number: packed.read(rows[number]),
        weights.load(models).predict,
        batch_size=BATCH,
    )
    real = np.array([index[row]["origin"] == "real" for row in rows])
    recordings = [index[row]["recording"] for row in rows]
    question = Question(
        real,
        probabilities[:, CLASSES.index("real_shooting")]
        + probabilities[:, CLASSES.index("real_other")],
        np.unique(recordings, return_inverse=True)[1].astype(np.int64),
    )
    found = judge_auroc(question, BOOTSTRAP)
    interval = "" if found["low"] is None else f" ({found['low']:.3f} to {found['high']:.3f})"
    return f"{found['value']:.3f}{interval}, {int((~real).sum())} clips"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--leave", action="append", required=True, metavar="PREFIX[,PREFIX]")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for train.py")
    arguments = parser.parse_args()
    paths: Paths = app.compose("train").paths
    packed = Packed.open(Path(paths.packed))
    print("left out | trained without it, all its clips | committed weights, its test clips")
    for names in arguments.leave:
        group = tuple(names.split(","))
        if not any(source.startswith(group) for source in packed.index["source"].to_pylist()):
            sys.exit(f"no source in {packed.folder / INDEX} begins with {' or '.join(group)}")
        work = Path(paths.work, "leave-one-out", "-".join(group))
        without(packed, group, work / "packed")
        command = [sys.executable, "train.py", f"paths.packed={work / 'packed'}"]
        command += [f"paths.models={work / 'models'}", *arguments.overrides]
        subprocess.run(command, check=True, env=os.environ | {"WANDB_MODE": "disabled"})
        everything = {"train", "val", "test", "unseen"}
        held_out = origin_auroc(packed, work / "models", group, everything)
        known = origin_auroc(packed, Path(paths.models), group, {"test"})
        print(f"{names} | {held_out} | {known}", flush=True)


if __name__ == "__main__":
    main()
