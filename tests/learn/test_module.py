from __future__ import annotations

import math

import pytest
import torch

from pipeline import app
from pipeline.config import TrainApp
from pipeline.errors import UserError
from pipeline.learn.module import Classifier, architecture, judge


def train_config(*overrides: str) -> TrainApp:
    cfg = app.compose("train", *overrides)
    assert isinstance(cfg, TrainApp)
    return cfg


def test_the_learning_rate_warms_up_and_ends_near_zero() -> None:
    cfg = train_config("num_epochs=10", "warmup_fraction=0.1", "lr=0.5", "widths=[4,4]")
    cfg.dilations = [1]
    configured = Classifier(cfg, num_batches=10).configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates[0] == pytest.approx(0.05)
    assert max(rates) == pytest.approx(0.5)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[-1] < 0.001


def test_norms_and_biases_do_not_decay() -> None:
    cfg = train_config()
    optimizer = Classifier(cfg, 1).configure_optimizers()["optimizer"]
    decayed, free = optimizer.param_groups
    assert decayed["weight_decay"] == cfg.weight_decay
    assert free["weight_decay"] == 0
    assert all(p.ndim > 1 for p in decayed["params"])
    assert all(p.ndim == 1 for p in free["params"])


def test_widths_and_dilations_must_fit() -> None:
    with pytest.raises(UserError, match=r"conf/train\.yaml: 4 widths and 1 dilations"):
        architecture(train_config("dilations=[1]"))


def test_equal_seeds_begin_with_equal_weights() -> None:
    first, second = (Classifier(train_config(), 1) for _ in range(2))
    other = Classifier(train_config("seed=8"), 1)
    assert torch.equal(first.network.stem[0].weight, second.network.stem[0].weight)
    assert not torch.equal(first.network.stem[0].weight, other.network.stem[0].weight)


def test_ranking_at_low_false_positive_rates_needs_samples() -> None:
    labels = torch.tensor([0] * 10 + [1, 2, 3] * 40)
    logits = torch.nn.functional.one_hot(labels, 4).float()
    perfect = judge(logits, labels, max_fpr=0.1)
    assert perfect["val_accuracy"] == perfect["val_auroc"] == perfect["val_auroc_low_fpr"] == 1.0
    assert perfect["val_loss"] == pytest.approx(math.log(math.e + 3) - 1)
    few = judge(logits[:40], labels[:40], max_fpr=0.1)
    assert few["val_auroc"] == 1.0
    assert math.isnan(few["val_auroc_low_fpr"])


def test_without_a_positive_nothing_is_ranked() -> None:
    labels = torch.tensor([1, 2, 3])
    judged = judge(torch.zeros(3, 4), labels, max_fpr=0.1)
    assert math.isnan(judged["val_auroc"])
    assert judged["val_loss"] == pytest.approx(math.log(4))
