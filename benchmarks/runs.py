"""What benchmarks of trained weights share: training runs that outlive a kill, and their scores."""

from __future__ import annotations

import fcntl
import json
import math
import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import t as student

from pipeline import app
from pipeline.assess import wording
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.questions import Question, judge_auroc, judge_share
from pipeline.detect import scores
from pipeline.detect.clips import of_ingested, of_packed
from pipeline.detect.detector import Detector
from pipeline.detect.files import file_table
from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow, read_index
from pipeline.footage.ingestion import ingest
from pipeline.footage.tombstones import forgotten
from pipeline.learn.checkpoints import run_key
from pipeline.numbers.metrics import BoolArray, FloatArray
from pipeline.store import features, storage, workdir
from pipeline.store.manifest import (
    IS_DISCHARGE,
    IS_REAL,
    MANIFEST,
    REAL_SHOOTING,
    class_index,
    read_rejects,
)
from pipeline.store.packed_samples import Packed

CONFIDENCE = 0.95
BOOTSTRAP = Bootstrap(1000, CONFIDENCE, 0)
BATCH = 16
MEASURES = {
    "origin": "AUROC of the origin, real against fictional",
    "discharge": "AUROC of the discharge, seen or heard",
    "score": "AUROC of the score, real shootings against all else",
    "false_alarms": "False alarms, of what is no real shooting",
}
# Whatever runs beside it, so that no number depends on how many runs go at a time.
_ONE_THREAD = ("num_threads=1", "run.num_workers=0", "run.progress=false")

Results = dict[str, dict[str, dict[str, Any]]]
"""By column and by one of `MEASURES`: `value`, `low` and `high`, None where there is none."""


def make(result: Path, log: Path, *commands: Sequence[str]) -> None:
    """Run the project's programs, one after the other with one thread each, unless `result` exists.

    Programs that outlive a killed benchmark hold `log` locked, and are waited for.

    Raises:
        UserError: one of them failed; its last line says why.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    # Networks of benchmarks are found by train.py too.
    places = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "WANDB_MODE": "disabled",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, places)),
    }
    with log.open("a") as output:
        fcntl.flock(output, fcntl.LOCK_EX)
        if result.exists():
            return
        for command in commands:
            done = subprocess.run(
                [sys.executable, *command],
                cwd=app.PROJECT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
            if done.returncode:
                last = log.read_text().strip().rpartition("\n")[2]
                raise UserError(f"{' '.join(command)}: {last} (all it said is in {log})")


@dataclass(frozen=True)
class Training:
    """A run of train.py in a folder of its own, where it goes on after a kill."""

    folder: Path
    command: Sequence[str]
    factory: str | None
    """Of a network of the user's own, whose code may run to load its weights."""

    @property
    def models(self) -> Path:
        """Where the weights are, once it ran."""
        return self.folder / "models"

    def run(self) -> Path:
        """Train, unless it is done, and say where the weights are.

        Raises:
            UserError: it failed.
        """
        make(self.models, self.folder / "train.log", self.command)
        return self.models


def training(packed: Packed, overrides: Sequence[str], work: Path) -> Training:
    """Training on packed samples, with a folder in `work` named by its config, data and code.

    Raises:
        UserError: an override is wrong.
    """
    cfg = app.compose("train", *overrides, *_ONE_THREAD)
    seen, sounds = (
        features.read(cfg.paths.features, packed, kind)
        for kind in (features.PICTURES, features.SOUND)
    )
    recipe = workdir.file_sha256(app.PROJECT / "train.py")
    folder = work / workdir.key(run_key(cfg, packed, seen, sounds), recipe)
    paths = {"packed": packed.root, "models": folder / "models", "work": folder / "work"}
    places = [f"paths.{name}={path}" for name, path in paths.items()]
    own = cfg.model.name if ":" in cfg.model.name else None
    return Training(folder, ["train.py", *overrides, *_ONE_THREAD, *places], own)


@dataclass(frozen=True)
class Clips:
    """Clips to score, as one column of a table or, where they are of a collection, as two."""

    name: str
    table: pa.Table
    """Rows of `scores.CLIP_SCHEMA`."""
    read: scores.Read
    sha256: str
    files: Sequence[IndexRow] = ()
    """Of the collection, which is judged by file and by recording; others are by clip."""

    @property
    def columns(self) -> list[str]:
        """What the results are called."""
        units = ("file", "recording")
        return [f"{self.name}, by {unit}" for unit in units] if self.files else [self.name]


def packed_clips(name: str, packed: Packed, rows: Sequence[int]) -> Clips:
    """Some of the packed samples."""
    given = of_packed(packed, np.asarray(rows))
    sha256 = workdir.key(packed.index_sha256, [int(row) for row in rows])
    return Clips(name, given.table, given.read, sha256)


def collection_clips(collection: str, work: Path) -> Clips:
    """The canonical clips of a footage collection, as evaluate.py makes them."""
    cfg = app.compose("evaluate")
    name = storage.name(collection)
    with storage.fetched_index(collection, work) as folder:
        index = read_index(folder)
    folder = work / "collections" / name
    lenient = replace(cfg.ingest, max_reject_rate=1.0)
    tombstones = forgotten(Path(cfg.paths.footage))
    ingest([collection], str(folder), lenient, work, cfg.run, tombstones)
    given = of_ingested(folder)
    rejected = {reject.path for reject in read_rejects(folder)}
    return Clips(
        name,
        given.table,
        given.read,
        workdir.file_sha256(folder / MANIFEST),
        [row for row in index if row.path not in rejected],
    )


@dataclass(frozen=True)
class Examples:
    """Clips, files or recordings: what they are, and what a detector says of them."""

    is_real: BoolArray
    is_fired: BoolArray
    p_real: FloatArray
    p_fired: FloatArray
    score: FloatArray
    is_alarm: BoolArray
    """Looks most like a real shooting."""
    recordings: Sequence[str]

    def judge(self) -> dict[str, dict[str, Any]]:
        """Each of `MEASURES`, with its interval over recordings where it has one."""
        clusters = np.unique(self.recordings, return_inverse=True)[1].astype(np.int64)
        is_shooting = self.is_real & self.is_fired
        quiet = ~is_shooting
        questions = {
            "origin": (self.is_real, self.p_real),
            "discharge": (self.is_fired, self.p_fired),
            "score": (is_shooting, self.score),
        }
        found = {
            name: judge_auroc(Question(positive, said, clusters), BOOTSTRAP)
            for name, (positive, said) in questions.items()
        }
        alarms = judge_share(self.is_alarm[quiet], clusters[quiet], BOOTSTRAP)
        return {name: one.to_json() for name, one in [*found.items(), ("false_alarms", alarms)]}


def by_clip(table: pa.Table) -> Examples:
    """Rows of `scores.SCORE_SCHEMA`, each for itself."""
    probabilities = scores.joint(table)
    labels = [class_index(row["origin"], bool(row["discharge"])) for row in table.to_pylist()]
    return Examples(
        np.array([IS_REAL[label] for label in labels]),
        np.array([IS_DISCHARGE[label] for label in labels]),
        *scores.marginals(probabilities),
        probabilities[:, REAL_SHOOTING],
        probabilities.argmax(axis=1) == REAL_SHOOTING,
        table["recording"].to_pylist(),
    )


def by_group(files: pa.Table, column: str) -> Examples:
    """Rows of `FILE_SCHEMA` that agree in `column`: means of origin, maxima of the rest."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in files.to_pylist():
        if row["status"] == "scored":
            groups.setdefault(row[column], []).append(row)
    origins = [{row["origin"] for row in group} for group in groups.values()]
    is_real = np.array([origin == {"real"} for origin in origins])
    p_real = np.array([np.mean([row["p_real"] for row in group]) for group in groups.values()])
    fired = np.array([max(row["discharge"] for row in group) > 0 for group in groups.values()])
    p_fired = np.array([max(row["p_discharge"] for row in group) for group in groups.values()])
    return Examples(
        is_real,
        fired,
        p_real,
        p_fired,
        np.array([max(row["score"] for row in group) for group in groups.values()]),
        (p_real >= 0.5) & (p_fired >= 0.5),
        [group[0]["recording"] for group in groups.values()],
    )


def judged(
    models: Path, wanted: Sequence[Clips], work: Path, factory: str | None = None
) -> Results:
    """What weights are worth on clips, by column; kept in `work`.

    Args:
        factory: the one that the weights may need, as `Detector.load` takes it.
    """
    code = [workdir.code_sha256("assess", "detect", "learn"), workdir.file_sha256(Path(__file__))]
    detector = Detector.load(models, "cpu", factory)
    results: Results = {}
    for clips in wanted:
        key = workdir.key(detector.made_by(), clips.name, clips.sha256, code)
        kept = work / "results" / f"{key}.json"
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            part = kept.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
            part.write_text(json.dumps(judge(detector.predict, clips), indent=2) + "\n")
            part.replace(kept)
        results |= json.loads(kept.read_text())
    return results


def judge(model: scores.Model, clips: Clips) -> Results:
    """What a model is worth on clips, by column."""
    probabilities, _ = scores.predict(clips.table, clips.read, model, batch_size=BATCH)
    table = scores.score_table(clips.table, probabilities)
    if not clips.files:
        return {clips.name: by_clip(table).judge()}
    files = file_table(clips.files, table, [], {}, {})
    ways = [by_group(files, "path"), by_group(files, "recording")]
    return {name: way.judge() for name, way in zip(clips.columns, ways, strict=True)}


def cell(measure: str, found: Sequence[Mapping[str, Any]]) -> str:
    """Mean over seeds ± half of its interval (Student's t), and the mean interval over recordings.

    Args:
        measure: one of `MEASURES`.
        found: what `Examples.judge` says of it, for each seed.
    """
    values = [one["value"] for one in found]
    if not values or None in values:
        return wording.DASH
    text, half = number(measure, statistics.fmean(values)), half_width(values)
    if half is not None:
        text += f" ± {number(measure, half)}"
    if all(one["low"] is not None for one in found):
        ends = [statistics.fmean(one[end] for one in found) for end in ("low", "high")]
        text += f" ({number(measure, ends[0])} to {number(measure, ends[1])})"
    return text


def half_width(values: Sequence[float]) -> float | None:
    """Half of the interval of a mean of independent values; None of fewer than two."""
    if len(values) < 2:
        return None
    quantile = student.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
    return float(quantile * statistics.stdev(values) / math.sqrt(len(values)))


def number(measure: str, value: float) -> str:
    """A measure, or a width of one, in words of the report."""
    return wording.percent(value) if measure == "false_alarms" else wording.decimal(value)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
