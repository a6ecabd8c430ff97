from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from pipeline.learn.history import WINDOW, History, merit
from pipeline.learn.module import REAL_SHOOTING, judge


def row(
    epoch: int, loss: float, low: float = math.nan, auroc: float = math.nan
) -> dict[str, float]:
    return {
        "epoch": epoch,
        "train_loss": 1.0,
        "val_loss": loss,
        "val_accuracy": 0.5,
        "val_auroc": auroc,
        "val_auroc_low_fpr": low,
    }


def test_ranking_at_low_false_positive_rates_decides_before_that_at_all_and_the_loss() -> None:
    better, worse = row(0, loss=0.9, low=0.8, auroc=0.1), row(0, loss=0.1, low=0.7, auroc=0.9)
    assert merit([better]) > merit([worse])
    assert merit([row(0, loss=0.1, low=1.0)]) > merit([row(0, loss=0.2, low=1.0)])
    assert merit([row(0, loss=0.9, auroc=0.8)]) > merit([row(0, loss=0.1, auroc=0.7)])


def test_the_loss_decides_where_ranking_is_undefined() -> None:
    assert merit([row(0, loss=0.1)]) > merit([row(1, loss=0.2)])


def best(*lows: float) -> int:
    rows = [row(epoch, 1.0, low) for epoch, low in enumerate(lows)]
    return max(range(len(rows)), key=lambda epoch: merit(rows[: epoch + 1]))


def test_one_lucky_epoch_does_not_win() -> None:
    assert best(0.5, 0.5, 0.5, 0.7, 0.5, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.55) == 10
    assert best(0.9, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6) == 4
    assert best(0.9, 0.5, 0.4) == 2


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


def last_best(rows: list[dict[str, float]]) -> dict[str, float]:
    return rows[max(range(len(rows)), key=lambda number: merit(rows[: number + 1]))]


@pytest.mark.parametrize(
    ("patience", "losses", "stalled"),
    [
        (2, [0.5] * WINDOW + [0.6, 0.7], True),
        (2, [0.7] * WINDOW + [0.5, 0.6], False),
        (2, [0.7] * WINDOW + [0.5, 0.9, 0.9], True),
        (3, [0.5] * WINDOW + [0.6, 0.7], False),
        (0, [0.5] * WINDOW + [0.6, 0.7], False),
        (1, [0.5, 0.6, 0.7], False),
        (1, [], False),
    ],
)
def test_patience_ends_so_many_epochs_after_the_best(
    tmp_path: Path, patience: int, losses: list[float], stalled: bool
) -> None:
    history = History(tmp_path, every_s=60, patience=patience)
    history.rows = [row(epoch, loss) for epoch, loss in enumerate(losses)]
    if history.rows:
        history.best = {"row": last_best(history.rows)}
    assert history.is_stalled is stalled


def chosen(
    folder: Path, num_positives: int, num_negatives: int, *lows: float, auroc: float = 0.6
) -> str:
    """What `History` says of epochs whose loss falls, given their ranking."""
    history = History(folder, every_s=60, patience=0)
    history.rows = [row(epoch, 1 / (1 + epoch), low, auroc) for epoch, low in enumerate(lows)]
    labels = [REAL_SHOOTING] * num_positives + [REAL_SHOOTING + 1] * num_negatives
    history.best = {"row": last_best(history.rows), "labels": torch.tensor(labels)}
    return history.chosen_by(max_fpr=0.1)


def test_it_is_said_which_metric_chose_and_why(tmp_path: Path) -> None:
    assert chosen(tmp_path, 15, 75, math.nan, math.nan) == (
        "val_auroc, in the mean of 2 epochs up to it, because val_auroc_low_fpr at max_fpr=0.1 "
        "takes 10 samples of real_shooting and 100 others, and val has 15 and 75"
    )
    assert chosen(tmp_path, 0, 75, math.nan, auroc=math.nan) == (
        "val_loss alone, because val has no sample of real_shooting, or no other"
    )
    assert chosen(tmp_path, 15, 100, 0.7, *[0.9] * WINDOW, 0.8) == (
        f"val_auroc_low_fpr, in the mean of {WINDOW} epochs up to it"
    )
    tied = "val_loss, because val_auroc_low_fpr is highest in 2 epochs alike"
    assert chosen(tmp_path, 15, 100, *[1.0] * (WINDOW + 1), 0.8) == tied


@pytest.mark.parametrize(("positives", "negatives"), [(9, 200), (10, 99), (10, 100), (15, 75)])
def test_the_reason_is_true_of_what_judges(tmp_path: Path, positives: int, negatives: int) -> None:
    labels = torch.tensor([REAL_SHOOTING] * positives + [REAL_SHOOTING + 1] * negatives)
    logits = torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(0))
    low = judge(logits, labels, 0.1)["val_auroc_low_fpr"]
    reason = chosen(tmp_path, positives, negatives, low)
    assert reason.startswith("val_auroc,") == math.isnan(low)
