from __future__ import annotations

from typing import Any

import torch

from pipeline.learn.networks.causal import CausalNet
from pipeline.learn.networks.flash import FlashNet
from pipeline.learn.networks.frame import FrameNet
from tests.learn.toy import FORMAT


def small_causal(**changes: Any) -> CausalNet:
    """With an opinion and norms that do something, which a network has only after training."""
    torch.manual_seed(0)
    values = {"widths": (8, 8, 16), "dilations": (1, 2), "dropout": 0.0}
    values |= {"window": FORMAT.num_frames, "size": FORMAT.size}
    return opinionated(CausalNet(**{**values, **changes}))


def small_frame(**changes: Any) -> FrameNet:
    torch.manual_seed(0)
    values = {"widths": (8, 8, 16), "dropout": 0.0}
    return opinionated(FrameNet(**{**values, **changes}))


def small_flash(**changes: Any) -> FlashNet:
    """With an opinion, and spreads that are not 1."""
    torch.manual_seed(0)
    values = {"width": 8, "dropout": 0.0, "window": FORMAT.num_frames, "size": FORMAT.size}
    network = FlashNet(**{**values, **changes})
    torch.nn.init.normal_(network.head.weight)
    network.norm.running_mean.normal_(std=0.3)
    network.norm.running_var.uniform_(0.5, 1.5)
    return network


def opinionated(network: Any) -> Any:
    torch.nn.init.normal_(network.head.weight)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.3)
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.5, 1.5)
    return network


def random_clips(num_clips: int, num_frames: int, size: int = FORMAT.size) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (num_clips, num_frames, size, size, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
