"""The first features of a frame: its colours, and what changed in it since the frame before."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

GREY, SPREAD = 128.0, 64.0
"""What becomes 0, and how much more becomes 1: so that bfloat16 holds every pixel exactly."""
PATCH = 8
"""Pixels, across and down, that one cell of `Changes` sees."""


class Colours(nn.Module):
    """Frames to features at a quarter of their size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 7, stride=4, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, clips: Tensor) -> Tensor:
        """(B, T, H, W, 3) in [0, 255] to (B*T, width, ceil(H/4), ceil(W/4)), channels last."""
        colours = torch.sub(clips, GREY).mul_(1 / SPREAD).flatten(0, 1).movedim(-1, 1)
        return functional.relu(self.norm(self.conv(colours)))


class Changes(nn.Module):
    """Differences of the luma from frame to frame, to features at an eighth of its size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Linear(PATCH**2, width, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, luma: Tensor) -> Tensor:
        """Features that are never negative.

        Args:
            luma: (B, T+1, H, W), led by the frame before the first.

        Returns:
            (B*T, width, ceil(H/8), ceil(W/8)), channels last.
        """
        with torch.no_grad():
            seen = patches(torch.diff(luma, dim=1).mul_(1 / SPREAD))
        return functional.relu(self.norm(self.mix(seen).movedim(-1, 1)))


def luma_of(clips: Tensor) -> Tensor:
    """Rec. 601, the one plane that H.264 codes at full size: (..., 3) to (...), float32.

    A sum of products, because mixed precision would round a matrix product to 8 bits.
    """
    red, green, blue = clips.unbind(-1)
    return red.mul(0.299).float().add_(green, alpha=0.587).add_(blue, alpha=0.114)


def patches(plane: Tensor) -> Tensor:
    """Cuts frames into squares of 8 by 8 pixels: (B, T, H, W) to (B*T, ceil(H/8), ceil(W/8), 64).

    Zeros fill the squares that reach over the right and the lower edge.
    """
    height, width = plane.shape[-2:]
    if height % PATCH or width % PATCH:
        plane = functional.pad(plane, (0, -width % PATCH, 0, -height % PATCH))
    squares = plane.flatten(0, 1).unflatten(-1, (-1, PATCH)).unflatten(-3, (-1, PATCH))
    return squares.transpose(-3, -2).flatten(-2)
