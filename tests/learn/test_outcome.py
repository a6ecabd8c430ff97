from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from pipeline import app
from pipeline.learn import outcome as outcomes
from pipeline.learn.classifier import discharge_logits
from pipeline.learn.hearing import FittedHearing
from pipeline.learn.networks.base import Network
from pipeline.learn.networks.product import ProductNet, discharge_log_odds
from pipeline.learn.origin import FittedOrigin
from pipeline.learn.outcome import TrainingOutcome, outcome
from pipeline.store.manifest import CLASSES, IS_DISCHARGE, IS_REAL
from tests.learn.encoders.tiny import colour_origin
from tests.learn.networks.nets import random_clips, small_flash
from tests.learn.networks.sounds import hearing

LABELS = torch.arange(40) % len(CLASSES)
RIGHT = 4.0 * torch.nn.functional.one_hot(LABELS, len(CLASSES)).float()
"""Logits that are right, and by far surer than the one in four of the labels that is wrong."""
RIGHT[::4] = RIGHT[::4].roll(1, dims=1)


class History:
    """What `outcome` asks of a history of training."""

    def __init__(self, network: Network) -> None:
        weights = {name: value + 1 for name, value in network.state_dict().items()}
        self.best: dict[str, Any] = {"weights": weights, "logits": RIGHT, "labels": LABELS}

    def best_metrics(self) -> dict[str, float | None]:
        return {"epoch": 3.0}


def finished(
    network: Network, origin: FittedOrigin | None, hearing: FittedHearing | None = None
) -> TrainingOutcome:
    data: Any = SimpleNamespace(val_rows=np.arange(len(LABELS)))
    history: Any = History(network)
    return outcome(app.compose("train"), network, data, origin, hearing, history)


def test_a_network_alone_keeps_the_best_weights_and_is_calibrated() -> None:
    network = small_flash()
    before = network.head.weight.detach().clone()
    found = finished(network, None)
    torch.testing.assert_close(found.network.state_dict()["head.weight"], before + 1)
    assert found.temperature > 1
    assert found.metrics == {"epoch": 3.0}
    assert torch.equal(found.logits, RIGHT)


@torch.no_grad()
def test_with_an_origin_the_product_answers_and_is_calibrated_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outcomes, "origin_weights", lambda data, cfg: np.ones(len(LABELS)))
    log_odds = np.where(np.array(IS_REAL)[LABELS], 2.0, -2.0)
    origin = FittedOrigin(colour_origin(), log_odds)
    found = finished(small_flash(), origin)
    assert isinstance(found.network, ProductNet)
    assert found.temperature == 1.0
    assert found.metrics == {"epoch": 3.0, "val_origin_auroc": 1.0}
    probabilities = found.logits.softmax(-1)
    real = probabilities[:, torch.tensor(IS_REAL)].sum(1)
    torch.testing.assert_close(real, torch.from_numpy(log_odds).sigmoid())
    fired = probabilities[:, torch.tensor(IS_DISCHARGE)].sum(1)
    raw = discharge_logits(RIGHT.double()).softmax(-1)[:, 1]
    assert (fired - 0.5).abs().max() < (raw - 0.5).abs().max()
    assert found.network(random_clips(2, 8)).shape == (2, 4)
    assert not found.network.hears
    assert found.sound_encoders == ()


@torch.no_grad()
def test_what_is_heard_joins_the_answer_on_the_discharge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "origin_weights", lambda data, cfg: np.ones(len(LABELS)))
    origin = FittedOrigin(colour_origin(), np.zeros(len(LABELS)))
    deaf = finished(small_flash(), origin)
    fired = np.array(IS_DISCHARGE)[LABELS]
    ratios = np.where(fired, 3.0, -1.0)
    ratios[:4] = 0
    ears = hearing()
    found = finished(small_flash(), origin, FittedHearing(ears, ratios, 0.75))
    assert found.network.hears
    assert found.sound_encoders == ears.encoder.provenance()
    odds = [discharge_log_odds(one.logits).numpy() for one in (deaf, found)]
    np.testing.assert_allclose(odds[1] - odds[0], ratios, atol=1e-6)
    assert found.metrics["val_heard_auroc"] == 0.75
    assert found.metrics["val_discharge_auroc"] == roc_auc_score(fired, odds[1])
