"""What the networks trained from scratch are built of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.store.manifest import CLASSES


class Halve(nn.Module):
    """Half the size of every frame."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, width, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, frames: Tensor) -> Tensor:
        """(N, C, H, W) to (N, width, ceil(H/2), ceil(W/2))."""
        return functional.relu(self.norm(self.conv(frames)))


def whole_frame(frames: Tensor) -> Tensor:
    """Mean and maximum over a frame: (N, C, H, W) to (N, 2C)."""
    return torch.cat([frames.mean((-2, -1)), frames.amax((-2, -1))], dim=1)


def fresh_head(num_features: int) -> nn.Linear:
    """A layer to the logits that begins without an opinion.

    Confident first answers would cost the first epochs to unlearn.
    """
    head = nn.Linear(num_features, len(CLASSES))
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head
