"""Makes what the detector says of whole files of what it says of their clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.detect.alarm import Alarm, Choice
from pipeline.detect.scores import PROBABILITIES, marginals
from pipeline.footage.collection import IndexRow
from pipeline.numbers.rounding import rounded
from pipeline.store.manifest import CLASSES, Reject, class_index

FILE_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("recording", pa.string(), nullable=False),
        pa.field("discharge", pa.int8(), nullable=False),
        pa.field("licence", pa.string(), nullable=False),
        pa.field("authority", pa.string(), nullable=False),
        pa.field("rendered", pa.bool_(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("num_clips", pa.int64(), nullable=False),
        pa.field("score", pa.float64()),
        pa.field("p_real", pa.float64()),
        pa.field("p_discharge", pa.float64()),
        pa.field("predicted", pa.string()),
        pa.field("alert_s", pa.float64()),
        pa.field("marks", pa.string(), nullable=False),
    ]
)
"""`FILES`: a row a file of the index; `reason` where it was rejected, else its scores.

`alert_s` is when the operating point raises the first alert, null where it raises none or there is
no operating point. `marks` is a JSON list of what is odd about the file: `damaged`, `short`, ….
"""


def file_table(
    index: Sequence[IndexRow],
    scores: pa.Table,
    rejects: Sequence[Reject],
    alerts_s: Mapping[str, float],
    marks: Mapping[str, str],
) -> pa.Table:
    """Rows of `FILE_SCHEMA`, one a row of the index, from the scores of its clips.

    One second of shooting makes a file a shooting: `score` and `p_discharge` are maxima over
    clips, the score that of a stream, on which alerts are raised. The origin is that of the whole
    file: `p_real` is a mean. `alerts_s` and `marks` are those columns by path.
    """
    clips: dict[str, list[dict[str, Any]]] = {}
    for row in scores.to_pylist():
        clips.setdefault(row["path"], []).append(row)
    reasons = {reject.path: reject.reason for reject in rejects}
    rows = [
        {
            **{name: getattr(file, name) for name in ("path", "origin", "source", "recording")},
            "discharge": int(file.discharge),
            "licence": file.licence,
            "authority": file.authority,
            "rendered": file.rendered,
            "alert_s": alerts_s.get(file.path),
            "marks": marks.get(file.path, "[]"),
            **_file_scores(clips.get(file.path, []), reasons.get(file.path, "no_clip")),
        }
        for file in index
    ]
    return pa.Table.from_pylist(rows, schema=FILE_SCHEMA)


def first_alerts(choice: Choice, clips: pa.Table, clip_s: float) -> dict[str, float]:
    """Seconds into each file of a collection at which its first alert opens, by path.

    Args:
        choice: is applied to each file as to a stream of its own, before which it was quiet.
        clips: rows of `SCORE_SCHEMA` of one collection.
        clip_s: length of a clip; an alert opens at the end of one.

    Returns:
        Only the files with an alert.
    """
    files: dict[str, list[tuple[float, float]]] = {}
    for path, start_s, score in zip(
        *(clips[name].to_pylist() for name in ("path", "start_s", "stream_score")), strict=True
    ):
        files.setdefault(path, []).append((start_s, score))
    found = {}
    for path, played in files.items():
        alarm = Alarm(choice, 1)
        for start_s, score in sorted(played):
            at_s = start_s + clip_s
            if alarm.push(np.array([score]), np.array([at_s])).opened[0]:
                found[path] = rounded(at_s)
                break
    return found


def _file_scores(clips: list[dict[str, Any]], reason: str) -> dict[str, Any]:
    if not clips:
        return {"status": "rejected", "reason": reason, "num_clips": 0}
    probabilities = np.array([[clip[name] for name in PROBABILITIES] for clip in clips])
    real, shooting = marginals(probabilities)
    p_real, p_discharge = float(real.mean()), float(shooting.max())
    predicted = class_index("real" if p_real >= 0.5 else "game", p_discharge >= 0.5)
    return {
        "status": "scored",
        "num_clips": len(clips),
        "score": max(clip["stream_score"] for clip in clips),
        "p_real": p_real,
        "p_discharge": p_discharge,
        "predicted": CLASSES[predicted],
    }
