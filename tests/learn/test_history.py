from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from pipeline.learn.history import History, merit


def row(epoch: int, loss: float, low: float = math.nan) -> dict[str, float]:
    return {
        "epoch": epoch,
        "train_loss": 1.0,
        "val_loss": loss,
        "val_accuracy": 0.5,
        "val_auroc": math.nan,
        "val_auroc_low_fpr": low,
    }


def test_ranking_at_low_false_positive_rates_decides_before_the_loss() -> None:
    assert merit(row(0, loss=0.9, low=0.8)) > merit(row(1, loss=0.1, low=0.7))
    assert merit(row(0, loss=0.1, low=1.0)) > merit(row(1, loss=0.2, low=1.0))


def test_the_loss_decides_where_ranking_is_undefined() -> None:
    assert merit(row(0, loss=0.1)) > merit(row(1, loss=0.2))


def test_what_is_undefined_is_empty_in_csv_and_null_in_json(tmp_path: Path) -> None:
    history = History(tmp_path, every_s=60, patience=0)
    history.rows = [row(0, 0.75), row(1, 0.5, low=0.625)]
    history.best = {"row": history.rows[0]}
    history.write(tmp_path)
    assert (tmp_path / "curves.csv").read_text().splitlines() == [
        "epoch,train_loss,val_loss,val_accuracy,val_auroc,val_auroc_low_fpr",
        "0,1.0,0.75,0.5,,",
        "1,1.0,0.5,0.5,,0.625",
    ]
    assert json.loads((tmp_path / "metrics.json").read_text())["val_auroc"] is None


@pytest.mark.parametrize(
    ("patience", "losses", "stalled"),
    [
        (2, [0.5, 0.6, 0.7], True),
        (2, [0.7, 0.5, 0.6], False),
        (3, [0.5, 0.6, 0.7], False),
        (0, [0.5, 0.6, 0.7], False),
        (1, [], False),
    ],
)
def test_patience_ends_so_many_epochs_after_the_best(
    tmp_path: Path, patience: int, losses: list[float], stalled: bool
) -> None:
    history = History(tmp_path, every_s=60, patience=patience)
    history.rows = [row(epoch, loss) for epoch, loss in enumerate(losses)]
    history.best = {"row": max(history.rows, key=merit, default=None)}
    assert history.is_stalled is stalled
