"""A running mean of weights, which generalises better than where the last step happened to end."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from pipeline.learn.networks.base import Network


class RunningMean(nn.Module):
    """A network whose weights are the exponential mean of those of another one in training.

    As in Polyak averaging; the mean is short at first (Tarvainen & Valpola, 2017), so that the
    first weights are soon forgotten. Statistics of normalisation are averaged too, counters copied.
    """

    def __init__(self, network: Network, decay: float) -> None:
        super().__init__()
        self.network = deepcopy(network).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: Network, num_steps: int) -> None:
        """Take in the weights of `network` after its step number `num_steps`, from 1."""
        decay = min(self.decay, num_steps / (num_steps + 9))
        pairs = list(
            zip(self.network.state_dict().values(), network.state_dict().values(), strict=True)
        )
        means, news = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        get_ema_multi_avg_fn(decay)(means, news, num_steps)
        for counter, new in pairs:
            if not counter.is_floating_point():
                counter.copy_(new)
