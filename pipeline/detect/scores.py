"""Holds what the detector says of clips and files: the tables that evaluation writes and reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.detect.answers import Answers
from pipeline.detect.side_by_side import side_by_side
from pipeline.errors import UserError
from pipeline.store.manifest import CLASSES, IS_DISCHARGE, IS_REAL, REAL_SHOOTING, Clip
from pipeline.store.output_files import FILES as FILES
from pipeline.store.packed_samples import Sample
from pipeline.store.sound import Samples
from pipeline.store.video import Frames

SCORES, VALIDATION = "scores.parquet", "validation.parquet"
LONG = "long.parquet"
"""Tables in the folder of a report: clips and files of what is judged, clips of validation."""
FloatArray = NDArray[np.float64]
Read = Callable[[int], Sample]
"""Gives what is seen and heard in a row."""
Model = Callable[[Frames, Samples], FloatArray]
"""From frames uint8 (B, T, H, W, 3) RGB and sounds int16 (B, S), zero where there is none, to
probabilities (B, 4) in the order of `CLASSES`."""
PROBABILITIES = tuple(f"p_{name}" for name in CLASSES)
CLIP_SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("collection", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("recording", pa.string(), nullable=False),
        pa.field("cluster", pa.string()),
        pa.field("split", pa.string()),
        pa.field("discharge", pa.int8()),
        pa.field("start_s", pa.float64(), nullable=False),
        pa.field("licence", pa.string(), nullable=False),
        pa.field("authority", pa.string(), nullable=False),
        pa.field("rendered", pa.bool_(), nullable=False),
    ]
)
"""Who a scored clip is; `discharge` is null where the file's label does not tell the clip's.

`cluster` is the first of the recordings that copies join, null where none were looked for.
"""

SCORE_SCHEMA = pa.schema(
    [
        *CLIP_SCHEMA,
        *(pa.field(name, pa.float64(), nullable=False) for name in PROBABILITIES),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("stream_score", pa.float64(), nullable=False),
        pa.field("marks", pa.string(), nullable=False),
    ]
)
"""`SCORES`, `VALIDATION` and `LONG`: a row a clip; `score` is P(real_shooting).

`stream_score` is what alerts are raised on: the highest of a stream that began with the clip's file
at any of the clip's frames; that at the clip's end where it is the file's first one, or where the
network answers for clips only.
`marks` is a JSON list of what is odd about the clip, as in the manifest: `damaged`, `short`, ….
"""


def clip_table(clips: Iterable[Clip]) -> pa.Table:
    """Rows of `CLIP_SCHEMA` for the clips of a manifest."""
    columns: dict[str, list[Any]] = {name: [] for name in CLIP_SCHEMA.names}
    for clip in clips:
        row = asdict(clip) | {"sample_id": clip.clip_id}
        row["discharge"] = None if clip.discharge is None else int(clip.discharge)
        for name, column in columns.items():
            column.append(row[name])
    return pa.table(columns, schema=CLIP_SCHEMA)


def predict(
    clips: pa.Table,
    read: Read,
    model: Model,
    *,
    batch_size: int,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
    samples: Sequence[str] = (),
    answers: Answers | None = None,
    workers: int = 1,
) -> tuple[FloatArray, str]:
    """Run `model` over all clips, in order.

    Args:
        clips: rows of `CLIP_SCHEMA`.
        read: gives the clip of a row number.
        model: what is asked.
        batch_size: B, at most.
        progress: wraps the starts of the batches, to show how far the work is.
        samples: hash of what each clip is decoded from; without, nothing is kept.
        answers: what `model` said before; nothing is known without it.
        workers: batches that `model` is asked about at once, in threads.

    Returns:
        Probabilities (N, 4), and the SHA-256 of all labels, pixels and sounds that were judged:
        the same for the same data, however they are stored.

    Raises:
        UserError: the model says something that is no probability.
    """
    digest, answers = hashlib.sha256(), answers or Answers()
    labels = clips.to_pylist()
    of_all = ["data", labels, list(samples)] if samples else []
    known = answers.get(of_all)

    def asked(numbers: range) -> list[Any]:
        return ["clips", *(samples[number] for number in numbers)] if samples else []

    def hash_clip(number: int, sample: Sample) -> None:
        digest.update(digested(labels[number], sample))

    probabilities = answered(
        clips.num_rows,
        read,
        model,
        asked,
        batch_size=batch_size,
        answers=answers,
        progress=progress,
        workers=workers,
        observe=hash_clip if known is None else None,
    )
    if known is None:
        known = np.frombuffer(digest.digest(), np.uint8)
        answers.put(of_all, known)
    check(clips["clip_id"].to_pylist(), probabilities)
    return probabilities, known.tobytes().hex()


def answered(
    num_clips: int,
    read: Read,
    model: Model,
    asked: Callable[[range], Sequence[Any]],
    *,
    batch_size: int,
    answers: Answers,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
    workers: int = 1,
    observe: Callable[[int, Sample], None] | None = None,
) -> FloatArray:
    """Run `model` over clips batch by batch, but for batches that an answer is kept of.

    Args:
        num_clips: N.
        read: gives the clip of a number; called in order, by the calling thread alone.
        model: what is asked.
        asked: the question, as `Answers` takes it, of the clips of some numbers.
        batch_size: B, at most.
        answers: what `model` said before.
        progress: wraps the starts of the batches, to show how far the work is.
        workers: batches that `model` is asked about at once, in threads.
        observe: is shown every clip in order. Without, no clip is read of which the answer is kept.

    Returns:
        Probabilities (N, 4), unchecked.
    """
    found = np.zeros((num_clips, len(CLASSES)))

    def jobs() -> Iterator[tuple[slice, Callable[[], FloatArray]]]:
        for start in progress(range(0, num_clips, batch_size)):
            numbers = range(start, min(start + batch_size, num_clips))
            question = asked(numbers)
            said = answers.get(question)
            batch = [read(number) for number in numbers] if said is None or observe else []
            if observe:
                for number, sample in zip(numbers, batch, strict=True):
                    observe(number, sample)
            rows = slice(numbers.start, numbers.stop)
            if said is None:
                yield rows, partial(answers.made, question, partial(_ask, model, batch))
            else:
                found[rows] = said

    for rows, said in side_by_side(jobs(), workers):
        found[rows] = said
    return found


def digested(labels: dict[str, Any], sample: Sample) -> bytes:
    """Return what a hash of judged clips takes of one: its labels, pixels and sound."""
    parts = (np.ascontiguousarray(one).tobytes() for one in (sample.frames, sample.sound))
    return b"".join([json.dumps(labels, sort_keys=True).encode(), *parts])


def check(clip_ids: Sequence[str], probabilities: FloatArray) -> None:
    """Raise `UserError` unless what is said of N clips are probabilities, (N, ..., 4)."""
    wrong = ~np.isfinite(probabilities) | (probabilities < 0)
    for number in np.flatnonzero(wrong.reshape(len(clip_ids), -1).any(axis=1))[:1]:
        raise UserError(
            f"clip {clip_ids[number]}: the model gives no probabilities "
            f"({probabilities[number]}); its weights are broken, train again"
        )


def _ask(model: Model, batch: Sequence[Sample]) -> FloatArray:
    """Return what a model says of some samples, (B, 4)."""
    return model(np.stack([one.frames for one in batch]), np.stack([one.sound for one in batch]))


def score_table(
    clips: pa.Table,
    probabilities: FloatArray,
    marks: Sequence[str] = (),
    in_streams: FloatArray | None = None,
) -> pa.Table:
    """Rows of `SCORE_SCHEMA` for rows of `CLIP_SCHEMA`.

    Args:
        clips: N of them.
        probabilities: (N, 4) of each by itself.
        marks: of each, as in the manifest; without, there is nothing odd about any.
        in_streams: (N,) scores of streams at their ends; those of the clips if not given.
    """
    columns: dict[str, Any] = {name: clips[name] for name in CLIP_SCHEMA.names}
    columns |= {name: probabilities[:, i] for i, name in enumerate(PROBABILITIES)}
    columns["score"] = probabilities[:, REAL_SHOOTING]
    columns["stream_score"] = columns["score"] if in_streams is None else in_streams
    columns["marks"] = list(marks) if marks else ["[]"] * clips.num_rows
    return pa.table(columns, schema=SCORE_SCHEMA)


def clusters(table: pa.Table) -> list[str]:
    """Names of what is resampled as a whole, of rows of `CLIP_SCHEMA` or of files.

    The cluster of copies where it is known, else the recording.
    """
    if "cluster" not in table.column_names:
        return list(table["recording"].to_pylist())
    return list(pc.coalesce(table["cluster"], table["recording"]).to_pylist())


def marginals(probabilities: FloatArray) -> tuple[FloatArray, FloatArray]:
    """P(real) and P(discharge), each (N,), from the joint probabilities (N, 4)."""
    real, discharge = (probabilities[:, np.array(one)] for one in (IS_REAL, IS_DISCHARGE))
    return real.sum(axis=1), discharge.sum(axis=1)


def joint(table: pa.Table) -> FloatArray:
    """Probabilities (N, 4) of rows of `SCORE_SCHEMA`."""
    return np.column_stack([table[name].to_numpy() for name in PROBABILITIES])
