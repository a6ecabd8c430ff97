from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pipeline.commands import wandb_runs
from pipeline.errors import UserError
from pipeline.store import tracking
from pipeline.store.tracking import folder_md5, locked_md5, wandb_logger

LABELS = torch.tensor([0, 3])
LOGITS = torch.tensor([[4.0, 0, 0, 0], [0, 0, 0, 2.0]])


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`data/packed` as `dvc.lock` in the working folder describes it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    folder = Path("data/packed")
    folder.mkdir(parents=True)
    (folder / "samples.raw").write_bytes(bytes(100))
    (folder / "format.json").write_text("{}")
    out = {"path": "data/packed", "md5": "ab12.dir", "size": 102, "nfiles": 2}
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": {"pack": {"outs": [out]}}}))
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    (folder / "more").mkdir(parents=True)
    (folder / "model.json").write_text("{}")
    (folder / "more" / "b").write_text("b")
    (folder / "more.txt").write_text("c")
    return folder


def test_an_unknown_mode_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'loud' is none of offline, online, disabled"):
        wandb_logger("loud", tmp_path, "id", {}, tmp_path)


def test_disabled_leaves_nothing(tmp_path: Path) -> None:
    assert wandb_logger("disabled", tmp_path, "id", {}, tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_only_the_first_of_several_processes_has_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking.rank_zero_only, "rank", 1)
    assert wandb_logger("offline", tmp_path, "id", {}, tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_tracker_that_cannot_start_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr("wandb.init", fail)
    with caplog.at_level(logging.WARNING):
        assert wandb_logger("offline", tmp_path, "id", {}, tmp_path) is None
    assert "not recorded there: no space" in caplog.text


@pytest.fixture
def recorded(data: Path, models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    """The folder of an offline run that was logged to and finished."""
    logger = wandb_logger("offline", Path("work"), "abc", {"seed": 3, "hf": {"rank": 8}}, data)
    assert logger is not None
    for epoch, value in enumerate([0.75, 0.5]):
        logger.log_metrics({"epoch": epoch, "val_auroc": value}, step=epoch)
    tracking.finish(
        logger,
        best={"epoch": 0, "val_auroc": 0.75, "val_auroc_low_fpr": None},
        sample_ids=["sample-1", "sample-2"],
        labels=LABELS,
        logits=LOGITS,
        temperature=2.0,
        models=models,
    )
    assert capfd.readouterr() == ("", "")
    (found,) = tmp_path.glob("work/wandb/offline-run-*")
    return found


def test_an_offline_record_holds_what_it_should_and_nothing_of_the_machine(
    recorded: Path, models: Path, tmp_path: Path
) -> None:
    (path,) = recorded.glob("run-abc.wandb")
    records = list(wandb_runs.records(path))
    kinds = [record.WhichOneof("record_type") for record in records]
    assert kinds.count("history") == 3
    assert "stats" in kinds
    assert "environment" not in kinds
    (start,) = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    assert start.host == ""

    references = {
        record.artifact.name: [entry.ref for entry in record.artifact.manifest.contents]
        for record in records
        if record.WhichOneof("record_type") == "artifact"
        and record.artifact.type in (tracking.DATA, tracking.MODEL)
    }
    assert references == {
        "packed": ["dvc://md5/ab12.dir"],
        "models": [f"dvc://md5/{folder_md5(models)}"],
    }
    (table,) = recorded.glob("files/media/table/val_scores_*.json")
    content: dict[str, Any] = json.loads(table.read_text())
    assert content["columns"] == ["sample_id", "class", "score"]
    scores = (LOGITS.double() / 2).softmax(1)[:, 0]
    assert content["data"] == [
        ["sample-1", "real_shooting", pytest.approx(float(scores[0]), abs=1e-6)],
        ["sample-2", "fictional_other", pytest.approx(float(scores[1]), abs=1e-6)],
    ]
    kept = {file.suffix for file in recorded.rglob("*") if file.is_file()}
    assert kept == {".json", ".log", ".txt", ".wandb"}

    (run,), notes = wandb_runs.read_runs(tmp_path / "work")
    assert run.parameters == {"train.seed": 3, "train.hf.rank": 8, "packed": "ab12.di"}
    assert run.metrics == {"epoch": 0.0, "val_auroc": 0.75}
    assert notes == []


def test_a_record_that_cannot_be_closed_is_a_warning(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        @property
        def experiment(self) -> object:
            raise OSError("no space")

    with caplog.at_level(logging.WARNING):
        tracking.finish(
            Broken(),  # type: ignore[arg-type]
            best={},
            sample_ids=[],
            labels=LABELS,
            logits=LOGITS,
            temperature=1.0,
            models=models,
        )
    assert "not whole: no space" in caplog.text


def test_queued_experiments_record_into_the_project_they_come_from(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []

    def fail(**settings: Any) -> None:
        folders.append(settings["dir"])
        assert os.environ["WANDB_ERROR_REPORTING"] == "false"
        raise OSError

    monkeypatch.setattr("wandb.init", fail)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "project"))
    wandb_logger("offline", Path("work"), "id", {}, data)
    assert folders == [tmp_path / "project" / "work"]


@pytest.mark.parametrize("change", ["size", "number", "lock", "path"])
def test_data_that_the_lock_does_not_describe_have_no_reference(data: Path, change: str) -> None:
    assert locked_md5(data) == "ab12.dir"
    if change == "size":
        (data / "samples.raw").write_bytes(bytes(101))
    elif change == "number":
        (data / "more").touch()
    elif change == "lock":
        Path("dvc.lock").unlink()
    else:
        data = data.rename("elsewhere")
    assert locked_md5(data) is None


def test_a_folder_is_hashed_as_dvc_does(models: Path, tmp_path: Path) -> None:
    from dvc.repo import Repo

    Repo.init(str(tmp_path), no_scm=True)
    with Repo(str(tmp_path)) as repo:
        (stage,) = repo.add(str(models))
        assert folder_md5(models) == stage.outs[0].hash_info.value


def test_an_evaluation_is_a_run_of_numbers_curves_and_the_page(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking.record_evaluation(
        "offline",
        Path("work"),
        "evaluate-1",
        config={"seed": 3},
        summary={"test.auroc.value": 0.75},
        curves={"test.roc": (["fpr", "tpr"], [[0.0, 0.0], [1.0, 1.0]])},
        page="<p>the page</p>",
    )
    (run,) = (tmp_path / "work" / "wandb").glob("offline-run-*-evaluate-1")
    assert (run / "run-evaluate-1.wandb").stat().st_size > 0
    (table,) = run.rglob("test.roc_*.table.json")
    assert json.loads(table.read_text())["data"] == [[0.0, 0.0], [1.0, 1.0]]

    records = list(wandb_runs.records(run / "run-evaluate-1.wandb"))
    artifacts = [one.artifact for one in records if one.WhichOneof("record_type") == "artifact"]
    (report,) = [one for one in artifacts if one.type == tracking.REPORT]
    (page,) = report.manifest.contents
    assert page.path == "report.html"
    assert Path(page.local_path).read_text() == "<p>the page</p>"
    assert {one.type for one in artifacts} == {tracking.REPORT, "run_table"}
    kept = {file.suffix for file in run.rglob("*") if file.is_file()}
    assert kept == {".json", ".log", ".txt", ".wandb"}, "no picture"

    (found,), notes = wandb_runs.read_runs(tmp_path / "work")
    assert found.metrics == {"test.auroc": 0.75}
    assert found.parameters == {"train.seed": 3}
    assert notes == []


def test_disabled_records_no_evaluation(tmp_path: Path) -> None:
    tracking.record_evaluation(
        "disabled", tmp_path, "id", config={}, summary={}, curves={}, page=""
    )
    assert not list(tmp_path.iterdir())
