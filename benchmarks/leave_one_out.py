"""How well a game is told from real footage by a detector that never saw it.

    python benchmarks/leave_one_out.py --leave arcade --leave freedoom,vizdoom --leave cinema

Needs the packed samples of `dvc repro`. For each group of sources (name prefixes between commas)
it trains with the committed configuration, without the group, and prints the AUROC of origin for
the clips of test and unseen, real ones against those of the group; beside it that of the
committed weights, which saw other clips of the group. Intervals are over recordings.
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
from pipeline.assess import scores, wording
from pipeline.assess.bootstrap import Bootstrap
from pipeline.assess.questions import Question, judge_auroc
from pipeline.config import Paths
from pipeline.learn import weights
from pipeline.manifest import FORMAT
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


def judged(packed: Packed, group: tuple[str, ...]) -> list[int]:
    """Rows that no training saw: real clips, and those of a group, of test and unseen."""
    return [
        number
        for number, row in enumerate(packed.index.to_pylist())
        if row["variant"] is None
        and row["split"] in ("test", "unseen")
        and (row["origin"] == "real" or row["source"].startswith(group))
    ]


def origin_auroc(packed: Packed, models: Path, rows: list[int]) -> str:
    """AUROC of P(real) between the real and the other ones of some rows."""
    index = packed.index.to_pylist()
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
        scores.marginals(probabilities)[0],
        np.unique(recordings, return_inverse=True)[1].astype(np.int64),
    )
    found = judge_auroc(question, BOOTSTRAP)
    interval = wording.interval("auroc", found)
    return f"{wording.number('auroc', found['value'])} {interval}".strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--leave", action="append", required=True, metavar="PREFIX[,PREFIX]")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for train.py")
    arguments = parser.parse_args()
    paths: Paths = app.compose("train").paths
    packed = Packed.open(Path(paths.packed))
    print("left out | its clips | trained without it | committed weights")
    for names in arguments.leave:
        group = tuple(names.split(","))
        rows = judged(packed, group)
        origins = [packed.index["origin"][row].as_py() for row in rows]
        num_clips = sum(origin != "real" for origin in origins)
        if num_clips == 0 or num_clips == len(rows):
            sys.exit(
                f"{packed.folder / INDEX}: test and unseen hold no real clip or none of {names}"
            )
        work = Path(paths.work, "leave-one-out", "-".join(group))
        without(packed, group, work / "packed")
        command = [sys.executable, "train.py", f"paths.packed={work / 'packed'}"]
        command += [f"paths.models={work / 'models'}", *arguments.overrides]
        subprocess.run(command, check=True, env=os.environ | {"WANDB_MODE": "disabled"})
        held_out = origin_auroc(packed, work / "models", rows)
        known = origin_auroc(packed, Path(paths.models), rows)
        print(f"{names} | {num_clips} | {held_out} | {known}", flush=True)


if __name__ == "__main__":
    main()
