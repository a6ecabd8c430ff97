"""A review of files that can be shown, and of an alert."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.review import queueing, score_folder
from pipeline.review.record import Record
from pipeline.review.serving import DisplaySettings, ReviewPage
from tests.made import scene, write_with_sound
from tests.review.made import SETTINGS, row, write_scores

NUM_FILES = 3


def write_files(folder: Path) -> list[dict[str, Any]]:
    """Rows of three files of 4 s with a tone, and one that is gone."""
    rows = []
    tone = 0.3 * np.sin(np.arange(4 * 48_000) / 20)[None]
    first = write_with_sound(folder / "x.mp4", scene(0, 120, 96, 160), tone, codec="aac")
    for number in range(NUM_FILES):
        path = folder / f"<b>{number}.mp4"
        # Other bytes, and the same video: a box that players read over.
        path.write_bytes(first.read_bytes() + b"\0\0\0\x09free" + bytes([number]))
        moments = [
            {"start_s": 2.0, "end_s": 3.0, "score": 0.9, "p_discharge": 0.9, "heard": True},
            {"start_s": 0.0, "end_s": 0.5, "score": 0.3, "p_discharge": 0.3, "heard": False},
        ]
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        # Relative, as a listing beside its files has it.
        values = {"uri": path.name, "sha256": sha256, "seconds": 4.0, "moments": moments}
        rows.append(row(number, 0.9 - 0.1 * number, **values))
    return [*rows, row(9, 0.2, uri=str(folder / "gone.mp4"))]


def reviewed(folder: Path) -> Record:
    folder.mkdir(parents=True, exist_ok=True)
    settings = replace(SETTINGS, audit=0.0, uncertain=0.0, second=0.0)
    record = Record(folder / "review")
    made = queueing.make(
        score_folder.read(write_scores(folder / "scores", write_files(folder))), settings
    )
    record.add_queue(made.key, made.about, made.tasks, made.places, made.population)
    return record


def page_of(
    record: Record, folder: Path, compose: Callable[..., Any], token: str | None = None
) -> ReviewPage:
    cfg = compose("review", "ingest.max_memory_mb=2048")
    means = DisplaySettings(15.0, cfg.ingest, cfg.run, folder, folder / "work")
    return ReviewPage(record, 0.05, means, token)
