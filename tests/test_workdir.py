from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import workdir
from pipeline.errors import UserError


def test_the_target_changes_only_as_a_whole(tmp_path: Path) -> None:
    target, work = tmp_path / "out", tmp_path / "work"
    with workdir.replacing(target, work) as fresh:
        (fresh / "a").write_text("1")
        assert not target.exists()
    with workdir.replacing(target, work) as fresh:
        (fresh / "b").write_text("2")
    assert [f.name for f in target.iterdir()] == ["b"]
    assert list(work.iterdir()) == []


def test_a_failure_leaves_the_target_as_it_was(tmp_path: Path) -> None:
    target, work = tmp_path / "out", tmp_path / "work"
    target.mkdir()
    (target / "old").write_text("1")

    def fail() -> None:
        with workdir.replacing(target, work) as fresh:
            (fresh / "new").write_text("2")
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        fail()
    assert [f.name for f in target.iterdir()] == ["old"]
    assert list(work.iterdir()) == []


def test_what_a_killed_run_left_is_cleared_and_a_living_one_s_is_not(tmp_path: Path) -> None:
    work = tmp_path / "work"
    for name in ("out-99999999", "out-99999999-old", "out-1", "other-99999999"):
        (work / name).mkdir(parents=True)
    with workdir.replacing(tmp_path / "out", work):
        pass
    assert {f.name for f in work.iterdir()} == {"out-1", "other-99999999"}


def test_an_output_that_a_kill_caught_between_two_renames_is_put_back(tmp_path: Path) -> None:
    target, work = tmp_path / "out", tmp_path / "work"
    moved_away = work / "out-99999999-old"
    moved_away.mkdir(parents=True)
    (moved_away / "earlier").write_text("1")

    def fail() -> None:
        with workdir.replacing(target, work):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        fail()
    assert [f.name for f in target.iterdir()] == ["earlier"]
    assert list(work.iterdir()) == []


def test_keys_do_not_depend_on_the_order_of_a_dict() -> None:
    assert workdir.key({"a": 1, "b": 2}) == workdir.key({"b": 2, "a": 1})
    assert workdir.key(1) != workdir.key(2)


def test_the_code_hash_changes_with_the_code() -> None:
    assert workdir.code_sha256("video.py") != workdir.code_sha256("video.py", "engines")
    with pytest.raises(FileNotFoundError):
        workdir.code_sha256("engines/absent")


def test_a_block_is_there_once_it_is_whole(tmp_path: Path) -> None:
    blocks = workdir.Blocks(tmp_path / "blocks")

    def fail() -> None:
        with blocks.writing("a") as folder:
            (folder / "x").write_text("1")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        fail()
    assert "a" not in blocks
    again = workdir.Blocks(tmp_path / "blocks")
    with again.writing("a") as folder:
        assert list(folder.iterdir()) == []
        (folder / "x").write_text("2")
    assert "a" in workdir.Blocks(tmp_path / "blocks")
    assert (again["a"] / "x").read_text() == "2"
    again.clear()
    assert list(tmp_path.iterdir()) == []


def test_of_two_processes_at_one_folder_the_first_that_is_done_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "block"
    with workdir.becoming(folder) as slow:
        (slow / "x").write_text("same")
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 1)
            with workdir.becoming(folder) as fast:
                (fast / "x").write_text("same")
        assert folder.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["block"]
    assert (folder / "x").read_text() == "same"


def test_a_kill_amid_the_clearing_leaves_no_half_of_the_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = workdir.Blocks(tmp_path / "blocks")
    with blocks.writing("a"):
        pass

    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(workdir.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            blocks.clear()
    assert "a" not in workdir.Blocks(tmp_path / "blocks")
    assert [path.name for path in tmp_path.iterdir()] == ["blocks"]


CLAIM = """
import sys, time
from pathlib import Path
from pipeline import workdir
with workdir.claimed(sys.argv[1], Path(sys.argv[2])):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_one_process_at_a_time_works_on_a_folder(tmp_path: Path) -> None:
    work = tmp_path / "work"
    command = [sys.executable, "-c", CLAIM, str(tmp_path / "out"), str(work)]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    expected = pytest.raises(UserError, match=f"out: process {other.pid} is at work on it; wait")
    with expected, workdir.claimed(tmp_path / "work" / ".." / "out", work):
        pass
    with workdir.claimed(tmp_path / "another", work):
        pass
    other.kill()
    other.wait()
    with workdir.claimed(tmp_path / "out", work):
        pass
