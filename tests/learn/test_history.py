from __future__ import annotations

import json
import math
from pathlib import Path

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
    history = History(tmp_path)
    history.rows = [row(0, 0.75), row(1, 0.5, low=0.625)]
    history.best = {"row": history.rows[0]}
    history.write(tmp_path)
    assert (tmp_path / "curves.csv").read_text().splitlines() == [
        "epoch,train_loss,val_loss,val_accuracy,val_auroc,val_auroc_low_fpr",
        "0,1.0,0.75,0.5,,",
        "1,1.0,0.5,0.5,,0.625",
    ]
    assert json.loads((tmp_path / "metrics.json").read_text())["val_auroc"] is None
