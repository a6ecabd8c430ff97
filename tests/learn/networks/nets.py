from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pipeline.config import ClipFormat
from pipeline.learn.networks.base import Network, Streaming
from pipeline.learn.networks.flash import FlashNet
from pipeline.learn.networks.own import OwnNet
from pipeline.store.manifest import CLASSES
from tests.learn.toy import FORMAT


def small_flash(**changes: Any) -> FlashNet:
    """With an opinion, and spreads that are not 1, which a network has only after training."""
    torch.manual_seed(0)
    values = {"width": 8, "dropout": 0.0, "window": FORMAT.num_frames, "size": FORMAT.size}
    network = FlashNet(**{**values, **changes})
    nn.init.normal_(network.head.weight)
    network.norm.running_mean.normal_(std=0.3)
    network.norm.running_var.uniform_(0.5, 1.5)
    return network


class Framewise(Network):
    """A convolution of single frames: it follows no stream, and draws nothing where it learns."""

    num_features = 16

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 7, stride=4, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(self.num_features, len(CLASSES))

    def architecture(self) -> dict[str, Any]:
        return {"name": "framewise"}

    def embed(self, clips: Tensor) -> Tensor:
        frames = clips.flatten(0, 1).movedim(-1, 1).float() / 64 - 2
        found = self.norm(self.conv(frames)).relu().unflatten(0, clips.shape[:2])
        return torch.cat([found.mean((1, 3, 4)), found.amax((1, 3, 4))], dim=1)

    def classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.head(features)
        return logits


def frame_logits(network: Streaming, clips: Tensor, sounds: Tensor | None = None) -> Tensor:
    """The answer at each frame given the frames so far: (B, T, H, W, 3) to (B, T, 4)."""
    return network.advance(clips, network.start(clips.shape[0]), sounds)[0]


def framewise(clip: ClipFormat) -> Framewise:
    return Framewise()


FRAMEWISE = f"{__name__}:framewise"
"""What `model.name` and a trusted factory name it by."""


def small_framewise() -> OwnNet:
    """With an opinion and a norm that does something."""
    torch.manual_seed(0)
    network = OwnNet(FRAMEWISE, FORMAT)
    inner: Any = network.inner
    nn.init.normal_(inner.head.weight)
    nn.init.uniform_(inner.norm.weight, 0.5, 1.5)
    nn.init.normal_(inner.norm.bias, std=0.3)
    inner.norm.running_mean.normal_(std=0.3)
    inner.norm.running_var.uniform_(0.5, 1.5)
    return network


def random_clips(num_clips: int, num_frames: int, size: int = FORMAT.size) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (num_clips, num_frames, size, size, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
