from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.commands import clean
from pipeline.config import App
from pipeline.store.finished_work import FinishedWork, Piece

CLAIM = """
import sys, time
from pathlib import Path
from pipeline.store import workdir
with workdir.claimed("clips", Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(60)
"""


def write_work(work: Path) -> None:
    with FinishedWork(work, "ingest") as keeping:
        keeping.write("aa", Piece({}, [bytes(10_000_000)]))
    for name in ("train/key/last.ckpt", "wandb/offline-run-1/log", "onnx/models/clip.onnx"):
        (work / name).parent.mkdir(parents=True)
        (work / name).write_bytes(bytes(20_000_000))


def names(work: Path) -> set[str]:
    return {path.name for path in work.iterdir()} - {"locks"}


def test_what_can_be_made_again_goes_and_records_and_exports_stay(
    compose: Callable[..., App], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    write_work(work)
    clean.run(compose("ingest"))
    assert names(work) == {"kept", "wandb", "onnx"}
    assert not list((work / "kept").iterdir())
    assert capsys.readouterr().out.splitlines() == [
        "ingest: removed 0.01 GB",
        "train: removed 0.02 GB",
        f"{work}: 0.03 GB removed; the next run makes it anew",
    ]
    clean.run(compose("ingest"))
    assert capsys.readouterr().out == f"{work}: 0.00 GB removed; the next run makes it anew\n"


def test_what_a_running_process_has_claimed_is_left(
    compose: Callable[..., App], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    write_work(work)
    command = [sys.executable, "-c", CLAIM, str(work)]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    clean.run(compose("ingest"))
    assert "train" in names(work)
    assert "train: left, since a process is at work" in capsys.readouterr().out
    other.kill()
    other.wait()
    clean.run(compose("ingest"))
    assert "train" not in names(work)


def test_an_interrupted_clean_leaves_no_half(
    compose: Callable[..., App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    write_work(work)

    def killed(folder: Path, **_: object) -> None:
        if folder.name.startswith("removed-"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(clean.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            clean.run(compose("ingest"))
    assert "train" not in names(work)
    clean.run(compose("ingest"))
    assert names(work) == {"kept", "wandb", "onnx"}


def test_what_a_killed_process_had_fetched_goes_after_a_day(
    compose: Callable[..., App], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    for name, age_s in (("fetched-old", 90_000), ("fetched-new", 80_000)):
        (work / name).mkdir(parents=True)
        (work / name / "video.mp4").write_bytes(bytes(10_000_000))
        then = time.time() - age_s
        os.utime(work / name, (then, then))
    clean.run(compose("ingest"))
    assert names(work) == {"fetched-new"}
    assert "fetched: removed 0.01 GB" in capsys.readouterr().out


def test_a_project_in_which_nothing_ran_is_clean(
    compose: Callable[..., App], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean.run(compose("ingest"))
    assert "0.00 GB removed" in capsys.readouterr().out
