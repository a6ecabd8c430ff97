from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import app
from pipeline.commands import experiment
from pipeline.errors import UserError


def write(conf: Path, text: str) -> None:
    folder = conf / experiment.FOLDER
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(text)


def test_each_value_is_set_in_the_file_of_its_stage(tmp_path: Path) -> None:
    write(
        tmp_path,
        "synthesize:\n  bodycam: {num_recordings: 3, rates_fps: &rates [15.0, 30.0]}\n"
        "  film: {rates_fps: *rates}\nsplit:\n  seed: 5\n  find_parts: false\n",
    )
    told = experiment.arguments(tmp_path, "mine")
    assert set(told[::2]) == {"-S"}
    assert told[1::2] == [
        "conf/synthesize.yaml:bodycam.num_recordings=3",
        "conf/synthesize.yaml:bodycam.rates_fps=[15.0,30.0]",
        "conf/synthesize.yaml:film.rates_fps=[15.0,30.0]",
        "conf/split.yaml:seed=5",
        "conf/split.yaml:find_parts=false",
    ]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("split: {sed: 5}", "split: sed=5: Could not override 'sed'"),
        ("split: {seed: many}", "split: configuration: seed=many"),
        ("splits: {seed: 5}", "splits: no file of conf/"),
        ("split: 5", "5: give key: value lines"),
        ("", "None: give key: value lines"),
    ],
)
def test_what_does_not_fit_is_named_with_its_file(tmp_path: Path, text: str, named: str) -> None:
    write(tmp_path, text)
    with pytest.raises(UserError) as told:
        experiment.arguments(tmp_path, "mine")
    assert str(told.value).startswith(f"{tmp_path / 'experiment' / 'mine.yaml'}: {named}")


def test_an_unknown_experiment_lists_the_known_ones(tmp_path: Path) -> None:
    write(tmp_path, "split: {seed: 5}")
    with pytest.raises(UserError, match=r"no such experiment; there are: mine$"):
        experiment.arguments(tmp_path, "yours")


def git(folder: Path, *arguments: str) -> None:
    told = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    subprocess.run(["git", "-C", str(folder), *told, *arguments], check=True, capture_output=True)


def test_a_project_without_a_commit_is_told_to_make_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, command: became.append(command))
    monkeypatch.setattr(app, "PROJECT", tmp_path)
    git(tmp_path, "init")
    with pytest.raises(UserError, match=r"nothing is committed.*git add -A && git commit"):
        experiment.run("full", [])
    assert not became
    git(tmp_path, "commit", "--allow-empty", "-m", "Begin")
    experiment.run("full", [])
    assert became


def test_dvc_takes_over_with_the_options_that_follow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(app, "PROJECT", tmp_path)
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "Begin")
    monkeypatch.setattr(os, "execv", lambda program, command: became.append(command))
    experiment.run("full", ["--queue"])
    (command,) = became
    assert command[:5] == [sys.executable, "-m", "dvc", "exp", "run"]
    assert command[-1] == "--queue"
    assert "conf/synthesize.yaml:twins.num_recordings=630" in command
