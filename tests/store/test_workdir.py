from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.store import workdir

PROBES = workdir.OUTPUTS["probe"]
HOLDS = {
    "synthesize": ("stats.json", "bodycam/index.csv"),
    "ingest": ("manifest.parquet", "files.parquet", "format.json", "stats.json", "shard-00000.tar"),
    "split": ("manifest.parquet", "audit.json", "stats.json"),
    "augment": ("manifest.parquet", "stats.json", "shard-00000.tar"),
    "pack": ("index.parquet", "format.json", "stats.json", "shard-00000.tar"),
    "embed": ("index.parquet", "encoder.json", "stats.json", "features-00000.npy"),
    "probe": ("metrics.json",),
    "train": ("model.json", "model.safetensors", "curves.csv", "metrics.json", "stats.json"),
    "evaluate": ("report.html", "headline.json", "metrics.json", "plots/test/roc.csv"),
    "adapt": ("model.json", "model.safetensors", "learning_curve.csv", "report.html"),
    "export": ("export.json", "clip.onnx"),
    "join": ("model.json", "model.safetensors"),
}


def write_files(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def replace(target: Path, work: Path, output: workdir.Output) -> None:
    with workdir.replacing(target, work, output) as fresh:
        (fresh / "new").write_text("2")


def test_the_target_changes_only_as_a_whole(tmp_path: Path) -> None:
    target, work = tmp_path / "out", tmp_path / "work"
    with workdir.replacing(target, work, PROBES) as fresh:
        (fresh / "metrics.json").write_text("1")
        assert not target.exists()
    with workdir.replacing(target, work, PROBES) as fresh:
        (fresh / "b").write_text("2")
    assert [f.name for f in target.iterdir()] == ["b"]
    assert list(work.iterdir()) == []


def test_a_failure_leaves_the_target_as_it_was(tmp_path: Path) -> None:
    target, work = tmp_path / "out", tmp_path / "work"
    target.mkdir()
    (target / "metrics.json").write_text("1")

    def fail() -> None:
        with workdir.replacing(target, work, PROBES) as fresh:
            (fresh / "new").write_text("2")
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        fail()
    assert [f.name for f in target.iterdir()] == ["metrics.json"]
    assert list(work.iterdir()) == []


def test_what_a_killed_run_left_is_cleared_and_a_living_one_s_is_not(tmp_path: Path) -> None:
    work = tmp_path / "work"
    for name in ("out-99999999", "out-99999999-old", "out-1", "other-99999999"):
        (work / name).mkdir(parents=True)
    with workdir.replacing(tmp_path / "out", work, PROBES):
        pass
    assert {f.name for f in work.iterdir()} == {"out-1", "other-99999999"}


def test_an_output_that_a_kill_caught_between_two_renames_is_put_back(tmp_path: Path) -> None:
    target, work = tmp_path / "out", tmp_path / "work"
    moved_away = work / "out-99999999-old"
    moved_away.mkdir(parents=True)
    (moved_away / "earlier").write_text("1")

    def fail() -> None:
        with workdir.replacing(target, work, PROBES):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        fail()
    assert [f.name for f in target.iterdir()] == ["earlier"]
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("writer", workdir.OUTPUTS)
def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path, writer: str) -> None:
    target, output = tmp_path / "mine", workdir.OUTPUTS[writer]
    write_files(target, ["sub/thesis.txt"])
    told = (
        rf"mine: holds files that are no output of {writer} \(such as sub/thesis\.txt\); "
        rf"move them away, or give another {output.key}=…"
    )
    with pytest.raises(UserError, match=told):
        replace(target, tmp_path / "work", output)
    assert files(target) == {"sub/thesis.txt"}


@pytest.mark.parametrize("writer", workdir.OUTPUTS)
def test_an_earlier_output_is_replaced_by_one_of_its_kind_alone(
    tmp_path: Path, writer: str
) -> None:
    target, work = tmp_path / "out", tmp_path / "work"
    write_files(target, HOLDS[writer])
    for other, output in workdir.OUTPUTS.items():
        if other != writer:
            with pytest.raises(UserError, match=f"out: holds files that are no output of {other}"):
                replace(target, work, output)
            assert files(target) == set(HOLDS[writer])
    replace(target, work, workdir.OUTPUTS[writer])
    assert files(target) == {"new"}


def test_without_an_encoder_features_are_an_output_as_well(tmp_path: Path) -> None:
    write_files(tmp_path / "out", ["stats.json"])
    replace(tmp_path / "out", tmp_path / "work", workdir.OUTPUTS["embed"])
    assert files(tmp_path / "out") == {"new"}


# It takes a whole project, which the slow tests make anyway.
@pytest.mark.slow
def test_the_outputs_of_real_runs_are_recognised(whole_project: Path) -> None:
    for output in workdir.OUTPUTS.values():
        folder = whole_project / output.key.removeprefix("paths.")
        if output.writer not in ("synthesize", "adapt", "export", "join"):
            assert files(folder)
            assert output.stranger(folder) is None


def test_a_file_beside_those_of_an_output_of_few_files_is_not_deleted(tmp_path: Path) -> None:
    write_files(tmp_path / "mine", ["metrics.json", "thesis.txt"])
    with pytest.raises(UserError, match=r"such as thesis\.txt\)"):
        replace(tmp_path / "mine", tmp_path / "work", PROBES)
    assert files(tmp_path / "mine") == {"metrics.json", "thesis.txt"}


def test_what_a_file_manager_leaves_is_no_reason_to_keep_an_output(tmp_path: Path) -> None:
    write_files(tmp_path / "out", ["metrics.json", ".DS_Store"])
    replace(tmp_path / "out", tmp_path / "work", PROBES)
    assert files(tmp_path / "out") == {"new"}


def test_an_empty_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    replace(tmp_path / "out", tmp_path / "work", PROBES)
    assert files(tmp_path / "out") == {"new"}


def test_an_output_that_was_checked_out_as_links_is_replaced(tmp_path: Path) -> None:
    write_files(tmp_path / "cache", ["md5"])
    (tmp_path / "cache" / "md5").chmod(0o444)
    (tmp_path / "out").mkdir()
    for cached in ("md5", "collected"):
        link = tmp_path / "out" / "metrics.json"
        link.symlink_to(tmp_path / "cache" / cached)
        replace(tmp_path / "out", tmp_path / "work", PROBES)
        assert files(tmp_path / "out") == {"new"}
        (tmp_path / "out" / "new").unlink()
    assert (tmp_path / "cache" / "md5").read_text() == "md5"


def test_a_file_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    write_files(tmp_path, ["README.md"])
    with pytest.raises(UserError, match=r"README\.md: no folder; .* give another paths\.probes=…"):
        replace(tmp_path / "README.md", tmp_path / "work", PROBES)
    below = tmp_path / "README.md" / "below" / "out"
    with pytest.raises(UserError, match=r"below: no folder can be made there; .*paths\.probes=…"):
        replace(below, tmp_path / "work", PROBES)
    with pytest.raises(UserError, match=r"README\.md: no folder can be made.*paths\.work=…"):
        replace(tmp_path / "out", tmp_path / "README.md", PROBES)
    assert files(tmp_path) == {"README.md"}


def test_a_work_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    write_files(tmp_path, ["README.md"])
    told = pytest.raises(UserError, match=r"README\.md: no folder can be made.*paths\.work=…")
    with told, workdir.claimed(tmp_path / "out", tmp_path / "README.md"):
        pass


def test_keys_do_not_depend_on_the_order_of_a_dict() -> None:
    assert workdir.key({"a": 1, "b": 2}) == workdir.key({"b": 2, "a": 1})
    assert workdir.key(1) != workdir.key(2)


def test_the_code_hash_changes_with_the_code() -> None:
    assert workdir.code_sha256("store/video.py") != workdir.code_sha256("store/video.py", "engines")
    with pytest.raises(FileNotFoundError):
        workdir.code_sha256("engines/absent")


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


CLAIM = """
import sys, time
from pathlib import Path
from pipeline.store import workdir
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
