from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.assess.settings import Folders
from pipeline.assess.suites.shortcuts import probe_findings
from pipeline.design import probes
from pipeline.errors import UserError
from tests.conftest import moving_frames

NUM = 400
REAL = np.arange(NUM) % 2 == 0
SOURCES = [f"{side}-{number // 2 % 4}" for number, side in enumerate(REAL)]
CLIPS = [str(number) for number in range(NUM)]


NOTHING: dict[str, Any] = {"auroc": {}, "interval": {}}


def places(folder: Path, **cues: np.ndarray) -> Folders:
    """A folder with what the stage would write of features by cue."""
    auroc, interval = {}, {}
    for cue, features in cues.items():
        told = probes.by_source(features, REAL, SOURCES, CLIPS, num_folds=4, num_rounds=1)
        assert told is not None
        auroc[cue], interval[cue] = (
            told.auroc,
            {"low": told.interval.low, "high": told.interval.high},
        )
    return written(folder, {"train": {"auroc": auroc, "interval": interval, "discharge": NOTHING}})


def written(folder: Path, metrics: dict[str, Any]) -> Folders:
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return Folders(*[folder] * 5)


def one(value: float, low: float, high: float, cue: str = "still") -> dict[str, Any]:
    return {
        "auroc": {cue: {"logistic": 0.3, "boosting": value}},
        "interval": {cue: {"low": low, "high": high}},
        "discharge": NOTHING,
    }


def test_a_codec_that_only_one_class_has_is_red_and_one_of_both_is_green(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    codec = rng.integers(0, 3, NUM)
    shared, leaked = (np.eye(4)[kinds] for kinds in (codec, np.where(REAL, 3, codec)))
    for features, state in ((shared, "green"), (leaked, "red")):
        found = probe_findings.read(places(tmp_path, container=features))
        verdict = probe_findings.judge("container", found)
        assert verdict.state == state, verdict.says
        assert "codec" in verdict.says


def test_a_timestamp_that_only_one_class_has_is_red(tmp_path: Path) -> None:
    clips = [moving_frames(number, 6, 32) for number in range(NUM)]
    for frames, real in zip(clips, REAL, strict=True):
        if real:
            frames[:, 28:31, 2:14] = 255
    features = np.stack([probes.cues(frames, 2).overlay for frames in clips])
    verdict = probe_findings.judge(
        "overlay", probe_findings.read(places(tmp_path, overlay=features))
    )
    assert verdict.state == "red"
    assert "AUROC 1.000" in verdict.says or "AUROC > 0.999" in verdict.says


@pytest.mark.parametrize(
    ("cue", "value", "low", "high", "state"),
    [
        ("still", 0.80, 0.65, 0.90, "red"),
        ("still", 0.80, 0.55, 0.95, "amber"),
        ("still", 0.70, 0.65, 0.74, "amber"),
        ("still", 0.58, 0.45, 0.70, "green"),
        ("still", 0.58, 0.40, 0.80, "amber"),
        ("size", 0.72, 0.66, 0.80, "red"),
        ("size", 0.72, 0.60, 0.80, "amber"),
        ("size", 0.64, 0.60, 0.69, "green"),
    ],
)
def test_a_colour_needs_the_number_and_its_interval(
    tmp_path: Path, cue: str, value: float, low: float, high: float, state: str
) -> None:
    found = probe_findings.read(written(tmp_path, {"train": one(value, low, high, cue)}))
    assert probe_findings.judge(cue, found).state == state


def test_the_graver_of_training_and_test_counts(tmp_path: Path) -> None:
    sets = {"train": one(0.5, 0.45, 0.55), "test": one(0.9, 0.8, 0.95)}
    verdict = probe_findings.judge("still", probe_findings.read(written(tmp_path, sets)))
    assert verdict.state == "red"
    assert "0.500 (0.450 to 0.550) in training and 0.900 (0.800 to 0.950) in test" in verdict.says


def test_sound_that_tells_the_discharge_alone_is_red(tmp_path: Path) -> None:
    told = one(0.5, 0.4, 0.55, "loudness")
    for value, state in ((0.97, "red"), (0.8, "green")):
        loud = {"auroc": {"loudness": {"logistic": value}}}
        loud["interval"] = {"loudness": {"low": value - 0.02, "high": value + 0.02}}
        found = probe_findings.read(written(tmp_path, {"train": told | {"discharge": loud}}))
        verdict = probe_findings.judge("loudness_of_discharge", found)
        assert verdict.state == state
        assert "tells clips with a discharge from others" in verdict.says
        assert probe_findings.judge("loudness", found).state == "green"
        assert probe_findings.judge("track", found).state == "grey"


def test_what_is_shown_has_a_row_a_set_and_cue(tmp_path: Path) -> None:
    sets = {"train": one(0.5, 0.45, 0.55), "test": one(0.9, 0.8, 0.95, "size")}
    assert probe_findings.rows(probe_findings.read(written(tmp_path, sets))).to_pylist() == [
        {"set": "test", "cue": "size", "auroc": 0.9, "low": 0.8, "high": 0.95},
        {"set": "train", "cue": "still", "auroc": 0.5, "low": 0.45, "high": 0.55},
    ]


def test_without_probes_every_cue_is_grey(tmp_path: Path) -> None:
    for where, word in ((None, "not packed"), (Folders(*[tmp_path] * 5), "dvc repro probe")):
        found = probe_findings.read(where)
        verdicts = [probe_findings.judge(cue, found) for cue in probe_findings.CUES]
        assert {verdict.state for verdict in verdicts} == {"grey"}
        assert word in verdicts[0].says
        assert probe_findings.csv(found)[1] == []
        assert probe_findings.rows(found).num_rows == 0
        assert probe_findings.table(found).rows == []


def test_a_cue_that_could_not_be_judged_is_grey_and_its_row_a_dash(tmp_path: Path) -> None:
    nothing = NOTHING | {"discharge": NOTHING}
    found = probe_findings.read(written(tmp_path, {"train": one(0.5, 0.4, 0.55), "test": nothing}))
    assert probe_findings.judge("still", found).state == "green"
    assert probe_findings.judge("colour", found).state == "grey"
    table = probe_findings.table(found)
    (still,) = [row for row in table.rows if row[2].text == "0.500"]
    assert len(still) == len(table.columns) == 4
    assert still[3].text == "–"


@pytest.mark.parametrize(
    "text", ["{", '{"train": {"auroc": {"still": {"logistic": 0.5}}}}', '["train"]']
)
def test_what_the_stage_did_not_write_is_an_error(tmp_path: Path, text: str) -> None:
    where = written(tmp_path, {})
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(UserError, match="run dvc repro probe"):
        probe_findings.read(where)
