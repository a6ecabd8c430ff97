from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.learn.classifier import judge, ranking_error
from pipeline.learn.selection import ALL, LOW, History, ranking
from pipeline.store.manifest import REAL_SHOOTING


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


def history(
    folder: Path,
    rows: list[dict[str, float]],
    num_positives: int = 15,
    num_negatives: int = 100,
    patience: int = 0,
) -> History:
    """Of epochs that are as good as `rows` say, on val samples whose answers are chance."""
    made = History(folder, every_s=60, patience=patience, max_fpr=0.1)
    logits, labels = answers(num_positives, num_negatives)
    for one in rows:
        made.add(one, torch.nn.Linear(1, 1), logits, labels)
    return made


def answers(num_positives: int, num_negatives: int) -> tuple[Tensor, Tensor]:
    labels = torch.tensor([REAL_SHOOTING] * num_positives + [REAL_SHOOTING + 1] * num_negatives)
    return torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(0)), labels


def test_ranking_at_low_false_positive_rates_comes_before_that_at_all_and_the_loss() -> None:
    assert ranking(row(0, loss=0.9, low=0.8, auroc=0.7)) == (LOW, 0.8)
    assert ranking(row(0, loss=0.9, auroc=0.7)) == (ALL, 0.7)
    assert ranking(row(0, loss=0.9)) == ("val_loss", -0.9)


@pytest.mark.parametrize(
    ("distances", "best"),
    [
        ([2.5, 0.0, 0.9, 1.1], 2),  # in standard errors below the highest
        ([2.5, 0.0, 1.1, 1.2], 1),
        ([0.0, 0.5, 2.0, 0.9, 3.0], 3),
        ([0.0], 0),
    ],
)
@pytest.mark.parametrize("name", [LOW, ALL])
def test_best_is_the_last_epoch_that_val_cannot_tell_from_the_highest(
    tmp_path: Path, name: str, distances: list[float], best: int
) -> None:
    error = ranking_error(*answers(15, 100), 0.1 if name == LOW else None)
    values = [0.8 - error * distance for distance in distances]
    kind = "low" if name == LOW else "auroc"
    rows = [row(number, 1.0, **{kind: value}) for number, value in enumerate(values)]
    found = history(tmp_path, rows)
    assert found.best["row"]["epoch"] == best
    assert found.highest["epoch"] == distances.index(0.0)


def test_the_lowest_loss_is_best_where_val_cannot_rank(tmp_path: Path) -> None:
    rows = [row(number, loss) for number, loss in enumerate([0.5, 0.3, 0.4])]
    assert history(tmp_path, rows).best["row"]["epoch"] == 1


def test_error_of_ranking_is_that_of_theory() -> None:
    # Of chance it is sqrt((m + n + 1) / (12 m n)) (Mann and Whitney, 1947).
    found = ranking_error(*answers(60, 60), None)
    assert found == pytest.approx(math.sqrt(121 / (12 * 60 * 60)), rel=0.15)
    assert ranking_error(*answers(1, 1), None) == 0


def test_what_is_undefined_is_empty_in_csv_and_null_in_json(tmp_path: Path) -> None:
    made = history(tmp_path, [row(0, 0.75)])
    made.rows.append(row(1, 0.5, low=0.625))
    made.write(tmp_path, {**made.best_metrics(), "val_origin_auroc": None})
    assert (tmp_path / "curves.csv").read_text().splitlines() == [
        "epoch,train_loss,val_loss,val_accuracy,val_auroc,val_auroc_low_fpr",
        "0,1.0,0.75,0.5,,",
        "1,1.0,0.5,0.5,,0.625",
    ]
    kept = json.loads((tmp_path / "metrics.json").read_text())
    assert (kept["val_loss"], kept["val_auroc"], kept["val_origin_auroc"]) == (0.75, None, None)


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
    rows = [row(epoch, loss) for epoch, loss in enumerate(losses)]
    assert history(tmp_path, rows, patience=patience).is_stalled is stalled


def test_epochs_as_good_as_the_highest_do_not_prolong_patience(tmp_path: Path) -> None:
    found = history(tmp_path, [row(number, 1.0, low=0.8) for number in range(3)], patience=2)
    assert found.best["row"]["epoch"] == 2
    assert found.is_stalled


def test_it_is_said_which_metric_chose_and_why(tmp_path: Path) -> None:
    low = [row(0, 1.0, low=0.9), row(1, 1.0, low=0.9)]
    said = "as the last epoch within a standard error (0.050) of epoch 0, which ranks highest"
    found = history(tmp_path, low)
    found.highest["error"] = 0.05
    assert found.chosen_by() == f"val_auroc_low_fpr, {said}"
    found = history(tmp_path, [row(0, 1.0, auroc=0.9)], 15, 75)
    found.highest["error"] = 0.05
    assert found.chosen_by() == (
        f"val_auroc, {said}; val_auroc_low_fpr at max_fpr=0.1 takes 10 samples of real_shooting "
        "and 100 others, and val has 15 and 75"
    )
    assert history(tmp_path, [row(0, 1.0)], 0, 75).chosen_by() == (
        "val_loss alone, because val has no sample of real_shooting, or no other"
    )


@pytest.mark.parametrize(("positives", "negatives"), [(9, 200), (10, 99), (10, 100), (15, 75)])
def test_the_reason_is_true_of_what_judges(tmp_path: Path, positives: int, negatives: int) -> None:
    found = judge(*answers(positives, negatives), 0.1)
    made = history(tmp_path, [{**row(0, 1.0), **found}], positives, negatives)
    assert ("val has" in made.chosen_by()) == math.isnan(found[LOW])


def test_of_the_discharge_alone_its_own_samples_and_error_count(tmp_path: Path) -> None:
    made = History(tmp_path, every_s=60, patience=0, max_fpr=0.1, discharge_alone=True)
    labels = torch.tensor([0] * 3 + [1] * 12 + [2, 3] * 30)
    logits = torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(0))
    made.add(row(0, 1.0, auroc=0.8), torch.nn.Linear(1, 1), logits, labels)
    expected = ranking_error(logits, labels, None, discharge_alone=True)
    assert made.highest["error"] == expected != ranking_error(logits, labels, None)
    assert made.chosen_by().endswith(
        "takes 10 samples of a discharge and 100 others, and val has 15 and 60"
    )
    made.best["row"] = row(0, 1.0)
    assert "has no sample of a discharge, or no other" in made.chosen_by()
