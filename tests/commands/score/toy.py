"""Files to score with a detector in miniature, and the settings for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.commands import score
from pipeline.commands.score import rows
from pipeline.config import ScoreApp
from pipeline.detect import operating_point, scores
from pipeline.detect.detector import Detector
from pipeline.store.manifest import CLASSES
from tests.conftest import compose_below, textured

CLIP = ("ingest.clip.num_frames=8", "ingest.clip.size=32", "ingest.stride_frames=8")


def configured(folder: Path, *overrides: str) -> ScoreApp:
    cfg = compose_below(folder, "score", *CLIP, *overrides)
    assert isinstance(cfg, ScoreApp)
    return cfg


def write_files(folder: Path, number: int, num_frames: int = 20) -> list[str]:
    """Names of files of moving textures, every second with a track of noise."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for seed in range(number):
        names.append(f"{seed}.mp4")
        (folder / names[-1]).write_bytes(textured(seed, num_frames))
    return names


def write_listing(path: Path, uris: Sequence[str], **columns: Sequence[str]) -> Path:
    """A listing of CSV whose ids count."""
    header = ",".join(["id", "uri", *columns])
    lines = [
        ",".join([f"n{number}", uri, *(values[number] for values in columns.values())])
        for number, uri in enumerate(uris)
    ]
    path.write_text("\n".join([header, *lines, ""]))
    return path


def scored(folder: Path, listing: Path, out: str, *overrides: str) -> list[dict[str, Any]]:
    """Score a listing into a folder below another one, and read what was written."""
    score.run(str(listing), cfg=configured(folder, f"out={folder / out}", *overrides))
    return read(folder / out)


def read(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for part in sorted((out / "scores").iterdir()):
        table = pq.read_table(part)
        assert table.schema.equals(rows.SCHEMA)
        found += table.to_pylist()
    return found


def contents(out: Path) -> dict[str, bytes]:
    files = (path for path in sorted(out.rglob("*")) if path.is_file())
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def write_evaluation(
    folder: Path, discharges: Sequence[float], others: Sequence[float], threshold: float = 0.9
) -> None:
    """What an evaluation leaves: an operating point, and clips of validation with such answers.

    Args:
        folder: of the project.
        discharges: P(discharge) of real shootings, a recording each.
        others: the same of what is none.
        threshold: of the operating point.
    """
    reports = folder / "reports"
    reports.mkdir(exist_ok=True)
    record = {
        "threshold": threshold,
        "smoothing": "none",
        "refractory_s": 60.0,
        "says": "Chosen by hand.",
        "weights_sha256": Detector.load(folder / "models").sha256,
    }
    (reports / operating_point.FILE).write_text(json.dumps(record))
    found = []
    for number, p_discharge in enumerate([*discharges, *others]):
        name = f"v{number}"
        is_shooting = number < len(discharges)
        found.append(
            {
                **dict.fromkeys(scores.SCORE_SCHEMA.names, name),
                "origin": "real",
                "discharge": int(is_shooting),
                "split": "val",
                "start_s": 0.0,
                "rendered": False,
                **{f"p_{one}": 0.0 for one in CLASSES},
                "p_real_shooting": p_discharge / 2,
                "p_fictional_shooting": p_discharge / 2,
                "p_real_other": 1 - p_discharge,
                "score": p_discharge / 2,
                "stream_score": p_discharge / 2,
            }
        )
    table = pa.Table.from_pylist(found, schema=scores.SCORE_SCHEMA)
    pq.write_table(table, reports / scores.VALIDATION)
