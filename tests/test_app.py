from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from pipeline import app
from pipeline.config import EvaluateApp, SplitApp, SplitConfig, tracked
from pipeline.errors import UserError


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=app.PROJECT)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("sed=1", "Could not override 'sed'"),
        ("seed=abc", "full_key: seed"),
        ("seed=???", "no value for seed"),
        ("paths.work=null", "full_key: paths.work"),
        ("val_fraction=1.5", "val_fraction=1.5 must be at least 0 and at most 1"),
        ("run.num_workers=-1", "run.num_workers=-1 must be at least 0"),
    ],
)
def test_a_wrong_override_fails_at_once_with_its_full_name(override: str, named: str) -> None:
    result = run("split", override)
    assert result.returncode == 1
    assert named in result.stderr
    assert "Traceback" not in result.stderr


def test_a_mistake_of_the_user_is_one_sentence_and_a_failure() -> None:
    result = run("split", "paths.clips=nowhere")
    assert result.returncode == 1
    assert result.stderr == (
        f"split: {app.PROJECT}/nowhere/manifest.parquet: missing; "
        "run the stage that writes it (dvc repro)\n"
    )


def test_another_working_folder_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(app.PROJECT / "evaluate.py")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 1
    assert "run it in the folder of the project" in result.stderr


def test_an_unknown_stage_lists_the_known_ones() -> None:
    result = run("nonsense")
    assert result.returncode == 1
    assert "{synthesize,ingest,split,augment,pack,probe}" in result.stderr


def test_tracked_keys_are_the_stage_s_own() -> None:
    cfg = app.compose("split", "seed=5")
    assert isinstance(cfg, SplitApp)
    assert tracked(cfg)["seed"] == 5
    assert set(tracked(cfg)) == {f.name for f in fields(SplitConfig)}


@pytest.mark.parametrize("revision", ["HEAD~1", "HEAD^", "some/branch~2^", "a.b-c@x~"])
def test_a_revision_of_git_needs_no_quotes(revision: str) -> None:
    cfg = app.compose("evaluate", f"against={revision}")
    assert isinstance(cfg, EvaluateApp)
    assert cfg.against == revision


def test_nor_does_it_on_the_command_line() -> None:
    assert "nowhere~1/manifest.parquet: missing" in run("split", "paths.clips=nowhere~1").stderr


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(UserError, match="no_such_key"):
        app.compose("split", "no_such_key=5")
