from __future__ import annotations

import pytest
import torch
from torch import nn

from pipeline import app
from pipeline.config import TrainApp
from pipeline.learn.networks.base import ParameterGroup
from pipeline.learn.optimiser import adamw, schedule
from tests.learn.networks.nets import small_flash


def config(*overrides: str) -> TrainApp:
    cfg = app.compose("train", *overrides)
    assert isinstance(cfg, TrainApp)
    return cfg


def test_the_learning_rate_warms_up_and_ends_near_zero() -> None:
    cfg = config("warmup_fraction=0.1", "lr=0.5")
    optimiser = adamw(small_flash(), cfg)
    scheduler = schedule(optimiser, cfg, 100)
    rates = []
    for _ in range(100):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    assert rates[0] == pytest.approx(0.05)
    assert max(rates) == pytest.approx(0.5)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[-1] < 0.001


def test_norms_and_biases_do_not_decay() -> None:
    cfg = config()
    decayed, free = adamw(small_flash(), cfg).param_groups
    assert decayed["weight_decay"] == cfg.weight_decay
    assert free["weight_decay"] == 0
    assert all(p.ndim > 1 for p in decayed["params"])
    assert all(p.ndim == 1 for p in free["params"])


def test_groups_keep_their_share_of_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    network = small_flash()
    slow, fast = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    groups = [ParameterGroup([slow], 0.25, True), ParameterGroup([fast], 1.0, True)]
    monkeypatch.setattr(network, "parameter_groups", lambda: groups)
    cfg = config("lr=0.5", "warmup_fraction=0.5")
    optimiser = adamw(network, cfg)
    schedule(optimiser, cfg, 4)
    assert [group["lr"] for group in optimiser.param_groups] == [0.0625, 0.25]
