from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline import app
from pipeline.commands import compare, dvc_runs
from pipeline.commands.seed_table import TrainingRun
from pipeline.errors import UserError
from tests.commands.test_wandb_runs import changes, ended, write

FOUND = [
    TrainingRun({"train.lr": lr, "train.seed": seed}, {"val_auroc": lr + seed, "x.json:n": 4.0})
    for lr in (0.5, 0.25)
    for seed in (0, 1)
]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[TrainingRun]:
    runs = list(FOUND)
    monkeypatch.setattr(dvc_runs, "read_runs", lambda *_: (runs, ["1 run queued"]))
    monkeypatch.setenv("COLUMNS", "200")
    return runs


def cfg(*overrides: str) -> Any:
    return app.compose("compare", *overrides)


def test_a_row_for_each_setting_and_a_word_on_what_is_left_out(
    found: list[TrainingRun], capsys: pytest.CaptureFixture[str]
) -> None:
    compare.run(cfg=cfg())
    told = capsys.readouterr()
    assert told.err == "compare: 1 run queued\n"
    assert told.out == (
        "train.lr  runs  val_auroc\n"
        "0.25      2     0.750 (-5.603 to 7.103)\n"
        "0.5       2     1.000 (-5.353 to 7.353)\n"
    )


def test_metrics_parameters_and_confidence_can_be_chosen(
    found: list[TrainingRun], capsys: pytest.CaptureFixture[str]
) -> None:
    options = cfg("metrics=['x*']", "over=[train.lr]", "confidence=0.5", "format=markdown")
    compare.run(cfg=options)
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| 0 | 2 | 4.000 (4.000 to 4.000) |",
        "| 1 | 2 | 4.000 (4.000 to 4.000) |",
    ]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("metrics=[val_aurok]", "none is 'val_aurok'; did you mean val_auroc"),
        ("metrics=[nosuch]", "none is 'nosuch'; there are "),
        ("over=[train.sed]", "no parameter 'train.sed'; did you mean train.seed"),
        ("format=html", "'html' is none of table, markdown, csv"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_near(
    found: list[TrainingRun], override: str, told: str
) -> None:
    with pytest.raises(UserError, match=told):
        compare.run(cfg=cfg(override))


def test_without_runs_a_sentence_says_so(found: list[TrainingRun]) -> None:
    found.clear()
    with pytest.raises(UserError, match=r"^main: no finished run with metrics; run dvc exp run"):
        compare.run("main", cfg=cfg())


def test_runs_of_wandb_are_compared_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, value in ((0, 0.5), (1, 0.75)):
        log = [changes("run", {"seed": seed}), changes("summary", {"val_auroc": value}), ended(0)]
        write(tmp_path / str(seed) / f"run-{seed}.wandb", log)
    compare.run(cfg=cfg(f"wandb={tmp_path}", "format=csv"))
    header, row = capsys.readouterr().out.splitlines()
    assert header == "runs,val_auroc,val_auroc.low,val_auroc.high,val_auroc.runs"
    assert row.startswith("2,0.625,")


def test_revisions_and_wandb_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give one of them"):
        compare.run("main", cfg=cfg(f"wandb={tmp_path}"))
