from __future__ import annotations

import pytest
import torch

from pipeline.learn.ema import RunningMean
from tests.learn.networks.nets import small_causal


def fill(network: torch.nn.Module, value: float) -> None:
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.fill_(value)


def test_the_mean_follows_by_one_minus_the_decay() -> None:
    network = small_causal()
    fill(network, 0.0)
    mean = RunningMean(network, 0.9)
    fill(network, 1.0)
    mean.update(network, 1000)
    assert mean.network.head.weight.unique().item() == pytest.approx(0.1)
    mean.update(network, 1001)
    assert mean.network.head.weight.unique().item() == pytest.approx(0.19)


def test_the_first_weights_are_soon_forgotten() -> None:
    network = small_causal()
    fill(network, 0.0)
    mean = RunningMean(network, 0.9999)
    fill(network, 1.0)
    mean.update(network, 1)
    assert mean.network.head.weight.unique().item() == pytest.approx(0.9)


def test_statistics_are_averaged_and_counters_copied() -> None:
    network = small_causal()
    fill(network, 0.0)
    mean = RunningMean(network, 0.5)
    fill(network, 4.0)
    mean.update(network, 1000)
    kinds = {tensor.dtype: tensor for tensor in mean.network.state_dict().values()}
    assert kinds[torch.int64].unique().item() == 4
    averaged = [t for n, t in mean.network.state_dict().items() if n.endswith("running_var")]
    assert averaged
    assert all(tensor.unique().item() == 2.0 for tensor in averaged)


def test_the_mean_is_not_trained_and_the_network_still_is() -> None:
    network = small_causal()
    mean = RunningMean(network, 0.9)
    assert not any(p.requires_grad for p in mean.parameters())
    assert all(p.requires_grad for p in network.parameters())
