from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.detect import operating_point, scores
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.review import levels, training
from pipeline.store.manifest import FILES, File, write_rows

WEIGHTS = "a" * 64


def write_reports(folder: Path) -> Path:
    """What an evaluation leaves: two clips of one file of validation, and one of another."""
    folder.mkdir()
    point = {"weights_sha256": WEIGHTS, "threshold": 0.5, "smoothing": "none", "refractory_s": 1.0}
    (folder / operating_point.FILE).write_text(json.dumps(point))
    rows = [("a.mp4", 0.2, 0.5), ("a.mp4", 0.9, 0.7), ("b.mp4", 0.1, 0.3)]
    nothing = {
        field.name: False if field.type == pa.bool_() else 0 if field.type != pa.string() else ""
        for field in scores.SCORE_SCHEMA
    }
    told = [
        nothing | {"path": path, "stream_score": score, "p_real_other": real}
        for path, score, real in rows
    ]
    pq.write_table(pa.Table.from_pylist(told, scores.SCORE_SCHEMA), folder / scores.VALIDATION)
    return folder


def test_what_is_known_of_files_and_of_validation_is_told(tmp_path: Path) -> None:
    about = ("s", "real", "CC0-1.0", "")
    files = [
        File("own", "a.mp4", "own/a", *about, height=240, duration_s=2.0, num_clips=1),
        File(
            *("own", "b.mp4", "own/b", *about),
            height=480,
            duration_s=4.0,
            sound_codec="aac",
            num_clips=3,
        ),
        File("own", "bad.mp4", "own/c", *about),
    ]
    (tmp_path / "clips").mkdir()
    write_rows(tmp_path / "clips" / FILES, File, files)
    found = training.inputs(tmp_path / "clips", write_reports(tmp_path / "reports"), WEIGHTS)
    told = {name: values.tolist() for name, values in found.numbers.items()}
    assert told == {
        "score": [0.9, 0.1],
        "p_real": pytest.approx([0.6, 0.3]),
        "height": [240, 480],
        "seconds": [2.0, 4.0],
        "has sound": [0.0, 1.0],
    }
    assert found.sources == ["s", "s"]


def test_scores_of_other_weights_and_what_is_not_there_tell_nothing(tmp_path: Path) -> None:
    reports = write_reports(tmp_path / "reports")
    found = training.inputs(tmp_path / "clips", reports, "b" * 64)
    assert (found.numbers, found.sources) == ({}, ())
    (reports / scores.VALIDATION).write_text("damaged")
    with pytest.raises(UserError, match=r"validation\.parquet: not readable"):
        training.inputs(tmp_path / "clips", reports, WEIGHTS)


def test_levels_are_those_of_what_is_seen_and_heard() -> None:
    assert levels.brightness(np.full((2, 4, 4, 3), 51, np.uint8)) == pytest.approx(0.2)
    wave = (32768 * 0.1 * np.sqrt(2) * np.sin(np.arange(48_000) / 10)).astype(np.int16)
    assert levels.loudness(wave) == pytest.approx(-20, abs=0.1)
    assert levels.loudness(np.zeros(9, np.int16)) is None


@pytest.mark.slow
def test_a_whole_project_can_be_compared_in_everything(whole_project: Path) -> None:
    detector = Detector.load(whole_project / "models")
    found = training.inputs(whole_project / "clips", whole_project / "reports", detector.sha256)
    assert found.numbers.keys() == {
        *("score", "p_real", "height", "seconds", "has sound", "brightness", "loudness"),
    }
    assert 0.2 < np.median(found.numbers["brightness"]) < 0.8
    # Every second file has a track of noise.
    assert 0.3 < np.isfinite(found.numbers["loudness"]).mean() < 0.7
    assert np.nanmedian(found.numbers["loudness"]) == pytest.approx(-20, abs=6)
