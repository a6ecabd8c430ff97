"""Moves weights with AdamW, at a rate that warms up and then follows a cosine to zero."""

from __future__ import annotations

import math

from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from pipeline.config import TrainConfig
from pipeline.learn.networks.base import Network


def adamw(network: Network, cfg: TrainConfig) -> AdamW:
    """An optimiser over the network's parameter groups, each with its `lr_scale` of the rate."""
    return AdamW(
        [
            {
                "params": list(group.parameters),
                "lr": cfg.lr * group.lr_scale,
                "lr_scale": group.lr_scale,
                "weight_decay": cfg.weight_decay if group.decays else 0.0,
            }
            for group in network.parameter_groups()
        ],
        lr=cfg.lr,
    )


def schedule(optimiser: AdamW, cfg: TrainConfig, num_steps: int) -> LambdaLR:
    """Set the rates of `optimiser` for each of `num_steps` steps, relative to its own ones."""
    num_warmup = max(1, round(cfg.warmup_fraction * num_steps))

    def factor(step: int) -> float:
        if step < num_warmup:
            return (step + 1) / num_warmup
        done = (step - num_warmup) / max(1, num_steps - num_warmup)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    return LambdaLR(optimiser, factor)
