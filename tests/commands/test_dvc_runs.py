from __future__ import annotations

import copy
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.commands.dvc_runs import is_fresh, parameters, read_runs
from pipeline.commands.seed_table import merge
from pipeline.errors import UserError

DVC = Path(sys.executable).with_name("dvc")
METRICS = ["models/metrics.json", "reports/headline.json"]


def entry(path: str, md5: str) -> dict[str, Any]:
    return {"path": path, "hash": "md5", "md5": md5}


LOCK: dict[str, Any] = {
    "pack": {
        "params": {"conf/pack.yaml": {"encoding": "raw"}},
        "deps": [entry("pipeline/pack.py", "1" * 32)],
        "outs": [entry("data/packed", "a" * 32)],
    },
    "train": {
        "params": {"conf/train.yaml": {"lr": 0.1, "seed": 3, "model": {"widths": [1, 2]}}},
        "deps": [entry("train.py", "2" * 32), entry("data/packed", "a" * 32)],
        "outs": [entry("models", "b" * 32)],
    },
    "evaluate": {
        "deps": [entry("models", "b" * 32)],
        "outs": [entry("reports", "c" * 32)],
    },
}


def test_parameters_are_those_of_the_lock_and_the_hashes_of_what_no_stage_makes() -> None:
    assert parameters(LOCK) == {
        "pack.encoding": "raw",
        "train.lr": 0.1,
        "train.seed": 3,
        "train.model.widths": [1, 2],
        "pipeline/pack.py": "1111111",
        "train.py": "2222222",
    }


def test_a_run_whose_stages_fit_each_other_is_fresh() -> None:
    assert all(is_fresh(path, LOCK) for path in METRICS)


def test_weights_trained_since_make_the_report_stale_but_not_their_own_metrics() -> None:
    lock = copy.deepcopy(LOCK)
    lock["train"]["outs"][0]["md5"] = "d" * 32
    assert is_fresh("models/metrics.json", lock)
    assert not is_fresh("reports/headline.json", lock)


def test_data_packed_since_make_all_that_follows_stale() -> None:
    lock = copy.deepcopy(LOCK)
    lock["pack"]["outs"][0]["md5"] = "d" * 32
    assert not any(is_fresh(path, lock) for path in METRICS)


TRAIN = """
import json, pathlib, yaml
cfg = yaml.safe_load(open("conf/train.yaml"))
out = pathlib.Path("models")
out.mkdir(exist_ok=True)
(out / "metrics.json").write_text(json.dumps({"val_auroc": cfg["lr"] + cfg["seed"] / 10}))
"""
EVALUATE = """
import json, pathlib
value = json.load(open("models/metrics.json"))["val_auroc"]
out = pathlib.Path("reports")
out.mkdir(exist_ok=True)
(out / "headline.json").write_text(json.dumps({"test": {"auroc.value": value / 2}}))
"""
STAGES = {
    "stages": {
        "train": {
            "cmd": f"{sys.executable} train.py",
            "params": [{"conf/train.yaml": None}],
            "deps": ["train.py"],
            "outs": [{"models": {"persist": True}}],
        },
        "evaluate": {
            "cmd": f"{sys.executable} evaluate.py",
            "deps": ["evaluate.py", "models"],
            "outs": [{"reports": {"persist": True}}],
        },
    },
    "metrics": METRICS,
}


def call(folder: Path, *command: str | Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Git and DVC project of two stages, not yet run."""
    for kind in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{kind}_NAME", "tester")
        monkeypatch.setenv(f"GIT_{kind}_EMAIL", "tester@example.org")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.chdir(tmp_path)
    call(tmp_path, "git", "init", "-q")
    call(tmp_path, DVC, "init", "-q")
    (tmp_path / "conf").mkdir()
    write_conf(tmp_path, seed=0)
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "evaluate.py").write_text(EVALUATE)
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(STAGES, sort_keys=False))
    (tmp_path / ".gitignore").write_text("/models\n/reports\n")
    commit(tmp_path)
    return tmp_path


def write_conf(project: Path, **values: float) -> None:
    (project / "conf" / "train.yaml").write_text(yaml.safe_dump({"lr": 0.5, **values}))


def commit(project: Path) -> None:
    call(project, "git", "add", "-A")
    call(project, "git", "commit", "-qm", "state")


def write_outputs(project: Path) -> None:
    """Run both stages and write `dvc.lock` without DVC, which takes a second for each."""
    for script in ("train.py", "evaluate.py"):
        call(project, sys.executable, script)
    stages = {}
    conf = yaml.safe_load((project / "conf" / "train.yaml").read_text())
    for name, deps, out, made in (
        ("train", ["train.py"], "models", "metrics.json"),
        ("evaluate", ["evaluate.py", "models"], "reports", "headline.json"),
    ):
        file = project / out / made
        md5 = hashlib.md5(file.read_bytes()).hexdigest()
        listing = json.dumps([{"md5": md5, "relpath": made}])
        folder = {**entry(out, f"{hashlib.md5(listing.encode()).hexdigest()}.dir")}
        stages[name] = {
            "cmd": STAGES["stages"][name]["cmd"],  # type: ignore[index]
            "deps": [
                stages["train"]["outs"][0]
                if dep == "models"
                else entry(dep, hashlib.md5((project / dep).read_bytes()).hexdigest())
                for dep in deps
            ],
            "params": {"conf/train.yaml": conf} if name == "train" else {},
            "outs": [{**folder, "size": file.stat().st_size, "nfiles": 1}],
        }
    (project / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def test_a_project_that_never_ran_has_no_run(project: Path) -> None:
    assert read_runs(project, [], METRICS)[0] == []


def test_an_unknown_revision_is_named(project: Path) -> None:
    with pytest.raises(UserError, match=r"nonsense: unknown Git revision.*; name branches, tags"):
        read_runs(project, ["nonsense"], METRICS)


def test_no_project_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not inside of a DVC repository"):
        read_runs(tmp_path, [], METRICS)


def test_the_workspace_is_a_run_with_the_parameters_that_made_it(project: Path) -> None:
    write_outputs(project)
    write_conf(project, seed=9)
    runs, notes = read_runs(project, [], METRICS)
    assert [run.metrics for run in runs] == [{"val_auroc": 0.5, "test.auroc": 0.25}]
    assert runs[0].parameters["train.seed"] == 0
    assert notes == []


def test_metrics_of_other_files_keep_their_path(project: Path) -> None:
    write_outputs(project)
    runs, _ = read_runs(project, [], METRICS[:1])
    assert set(runs[0].metrics) == {"val_auroc", "reports/headline.json:test.auroc"}


def test_what_was_written_by_hand_since_is_left_out_with_a_word(project: Path) -> None:
    write_outputs(project)
    (project / "models" / "metrics.json").write_text('{"val_auroc": 0.99}')
    runs, notes = read_runs(project, [], METRICS)
    assert [run.metrics for run in runs] == [{"test.auroc": 0.25}]
    assert notes == [
        "1 run whose models/metrics.json was made of something else than the rest; run dvc repro"
    ]


@pytest.mark.slow
def test_a_sweep_over_seeds_and_an_experiment_that_was_not_evaluated(project: Path) -> None:
    call(project, DVC, "repro", "-q")
    commit(project)
    call(project, DVC, "exp", "run", "-q", "-S", "conf/train.yaml:seed=1")
    call(project, DVC, "exp", "run", "-q", "-S", "conf/train.yaml:seed=2", "train")
    call(project, DVC, "exp", "run", "-q", "--queue", "-S", "conf/train.yaml:seed=3")
    runs, notes = read_runs(project, [], METRICS)
    found = {run.parameters["train.seed"]: run.metrics for run in merge(runs)}
    assert found == {
        0: {"val_auroc": 0.5, "test.auroc": 0.25},
        1: {"val_auroc": 0.6, "test.auroc": 0.3},
        2: {"val_auroc": 0.7},
    }
    # The workspace is the last experiment, too.
    assert notes == [
        "1 run queued, not in the table",
        "2 runs whose reports/headline.json was made of something else than the rest; "
        "run dvc repro",
    ]
    only_committed, _ = read_runs(project, ["HEAD"], METRICS)
    assert len(only_committed) == 3
