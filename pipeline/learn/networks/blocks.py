"""What the networks trained from scratch are built of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.manifest import CLASSES


def spatial_norm(width: int, *, instance_norm: bool) -> nn.Module:
    """A norm of (N, width, H, W): `HalfInstanceNorm`, or a batch norm."""
    return HalfInstanceNorm(width) if instance_norm else nn.BatchNorm2d(width)


class HalfInstanceNorm(nn.Module):
    """Normalise half of the channels by their own frame, and the others by the batch.

    As in IBN-Net (Pan et al., "Two at once: enhancing learning and generalization capacities via
    IBN-Net", 2018). The first half forgets how bright, contrasty and tinted a frame is, which
    differs between cameras and renderers without end; the second keeps it. A frame is
    normalised alone, so that a stream gets what a clip gets.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_instance = width // 2
        # A group a channel is an instance norm, and keeps channels last.
        self.instance = nn.GroupNorm(self.num_instance, self.num_instance)
        self.batch = nn.BatchNorm2d(width - self.num_instance)

    def forward(self, frames: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        alone, together = frames.tensor_split([self.num_instance], dim=1)
        return torch.cat([self.instance(alone), self.batch(together)], dim=1)


class Halve(nn.Module):
    """Half the size of every frame."""

    def __init__(self, width_in: int, width: int, *, instance_norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, width, 3, stride=2, padding=1, bias=False)
        self.norm = spatial_norm(width, instance_norm=instance_norm)

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
