"""JudgedSet clips of a few files, written out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipeline.assess.judged_sets import JudgedSet
from pipeline.detect import scores
from pipeline.store.manifest import CLASSES
from tests.assess import toy

CLIP_S = 1.0


@dataclass(frozen=True)
class File:
    path: str
    origin: str
    score: Sequence[float]
    discharge: Sequence[int | None] = ()
    """Of each clip; none discharges where empty."""
    start_s: Sequence[float] = ()
    """Of each clip; one after the other where empty."""
    recording: str = ""


def table(*files: File) -> pa.Table:
    """Rows of `SCORE_SCHEMA`; clips are `CLIP_S` long."""
    rows = [
        {
            "sample_id": f"{file.path}-{i}",
            "clip_id": f"{file.path}-{i}",
            "path": file.path,
            "collection": "made",
            "source": file.path.split("/")[0],
            "origin": file.origin,
            "recording": file.recording or file.path,
            "split": "test",
            "discharge": file.discharge[i] if file.discharge else 0,
            "start_s": float(file.start_s[i] if file.start_s else i * CLIP_S),
            "licence": "CC0-1.0",
            "authority": "",
            "rendered": False,
            **{f"p_{name}": (1 - score) / 3 for name in CLASSES[1:]},
            "p_real_shooting": score,
            "score": score,
            "stream_score": score,
        }
        for file in files
        for i, score in enumerate(file.score)
    ]
    return pa.Table.from_pylist(rows, schema=scores.SCORE_SCHEMA)


def scored(*files: File, name: str = "test") -> JudgedSet:
    return JudgedSet(name, "Made by hand", table(*files), toy.clip, "0" * 64)
