"""Folders of scores as `discern score` writes them, and reviews of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import QueueConfig
from pipeline.review import queueing, score_folder
from pipeline.review.record import Record
from pipeline.review.tasks import Decision

MOMENT = pa.struct(
    [
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("score", pa.float64()),
        ("p_discharge", pa.float64()),
        ("heard", pa.bool_()),
    ]
)
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        ("reason", pa.string()),
        pa.field("step", pa.string(), nullable=False),
        ("sha256", pa.string()),
        ("seconds", pa.float64()),
        ("num_clips", pa.int64()),
        ("score", pa.float64()),
        ("p_real", pa.float64()),
        ("p_discharge", pa.float64()),
        ("predicted", pa.string()),
        ("alert_s", pa.float64()),
        ("moments", pa.list_(MOMENT)),
        ("bank", pa.string()),
        ("item", pa.string()),
        ("negative", pa.bool_()),
        ("edit", pa.string()),
        ("embedding", pa.list_(pa.float32())),
        ("pdq", pa.list_(pa.binary())),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("loudness", pa.float64()),
        ("brightness", pa.float64()),
        ("marks", pa.string()),
        ("source", pa.string()),
    ]
)
THRESHOLD = 0.5
SETTINGS = QueueConfig(20, 0.2, 0.2, 0.1, 0, 10.0, 1.0, 0.05, 20.0)


def row(number: int, score: float | None = None, **changes: Any) -> dict[str, Any]:
    """A scored file whose pictures are like no other's."""
    rng = np.random.default_rng(number)
    score = round(float(rng.beta(0.3, 3)), 4) if score is None else score
    values = {
        "id": f"id-{number}",
        "uri": f"clips/{number}.mp4",
        "status": "scored",
        "reason": None,
        "step": "full",
        "sha256": f"{number:064x}",
        "seconds": 12.0,
        "num_clips": 11,
        "score": score,
        "p_real": 0.8,
        "p_discharge": score,
        "predicted": "real_shooting" if score >= THRESHOLD else "real_other",
        "alert_s": 3.2 if score >= THRESHOLD else None,
        "moments": [
            {"start_s": 2.0, "end_s": 4.0, "score": score, "p_discharge": score, "heard": True}
        ],
        "bank": None,
        "item": None,
        "negative": None,
        "edit": None,
        "embedding": rng.normal(size=8).tolist(),
        "pdq": [rng.bytes(32) for _ in range(4)],
        "width": 640,
        "height": 360,
        "loudness": -30.0,
        "brightness": 0.4,
        "marks": "[]",
        "source": None,
    }
    return {**values, **changes}


def near(hashes: Sequence[bytes], num_bits: int, seed: int = 0) -> list[bytes]:
    """Hashes that differ in some bits each."""
    rng, found = np.random.default_rng(seed), []
    for one in hashes:
        bits = np.unpackbits(np.frombuffer(one, np.uint8))
        bits[rng.choice(256, num_bits, replace=False)] ^= 1
        found.append(np.packbits(bits).tobytes())
    return found


def write_scores(
    folder: Path, rows: Sequence[dict[str, Any]], rows_per_part: int = 7, **about: Any
) -> Path:
    (folder / "scores").mkdir(parents=True)
    for number, start in enumerate(range(0, len(rows), rows_per_part)):
        table = pa.Table.from_pylist(rows[start : start + rows_per_part], SCHEMA)
        pq.write_table(table, folder / "scores" / f"part-{number:06}.parquet")
    told = {
        "schema": 1,
        "listing_sha256": "0" * 64,
        "rows": len(rows),
        "weights_sha256": "a" * 64,
        "operating_point": {"threshold": THRESHOLD, "smoothing": "none"},
        **about,
    }
    (folder / "listing.json").write_text(json.dumps(told))
    (folder / "stats.json").write_text("{}")
    return folder


def queued(
    folder: Path, rows: Sequence[dict[str, Any]], settings: QueueConfig = SETTINGS
) -> Record:
    """A review of a queue of scores."""
    record = Record(folder / "review")
    made = queueing.make(score_folder.read(write_scores(folder / "scores", rows)), settings)
    record.add_queue(made.key, made.about, made.tasks, made.places, made.population)
    return record


def decision(task: str, who: str = "Ada", **changes: Any) -> Decision:
    values = {"origin": "real", "discharge": True, "discharges_s": (2.5,), "by": "page"}
    return Decision(task=task, who=who, **{**values, **changes})
