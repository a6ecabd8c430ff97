"""The first features of a frame: its colours, what changed in it, and what hides in its pixels.

Sensor noise and the traces of rendering (aliasing, dither, flat shading) are faint beside what
a frame shows. A high-pass filter takes the scene away, and a limit keeps edges from drowning the
rest, as in steganalysis (Fridrich and Kodovsky, "Rich models for steganalysis", 2012).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

GREY, SPREAD = 128.0, 64.0
"""What becomes 0, and how much more becomes 1: so that bfloat16 holds every pixel exactly."""
LIMIT = 6.0
"""Grey levels of noise beyond which all is alike: four standard deviations where it is 1."""
PATCH = 8
"""Pixels, across and down, that one place of `Traces` sees."""


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


class Traces(nn.Module):
    """Planes of the luma to features at an eighth of its size: its changes, its noise, or both.

    `in_time`: what differs from the frame before. `residual`: what the high-pass filter finds,
    and, in time, what of it flickers.
    """

    def __init__(self, width: int, *, in_time: bool, residual: bool) -> None:
        super().__init__()
        self.in_time, self.residual = in_time, residual
        num_noises = residual * (1 + in_time)
        self.mix = nn.Linear((in_time + num_noises) * PATCH**2, width, bias=False)
        self.loud = nn.Linear(num_noises, width, bias=False) if residual else None
        self.norm = nn.BatchNorm2d(width)

    def forward(self, luma: Tensor) -> Tensor:
        """Features that are never negative.

        Args:
            luma: (B, T, H, W); (B, T+1, H, W) in time, led by the frame before the first.

        Returns:
            (B*T, width, ceil(H/8), ceil(W/8)), channels last.
        """
        with torch.no_grad():
            seen = patches(self.planes(luma))
        features = self.mix(seen.flatten(-2))
        if self.loud is not None:
            # Grains come and go; how strong they are is what a place keeps.
            rms = torch.linalg.vector_norm(seen[..., self.in_time :, :], dim=-1) / PATCH
            features = features + self.loud(rms)
        return functional.relu(self.norm(features.movedim(-1, 1)))

    def planes(self, luma: Tensor) -> list[Tensor]:
        """What is seen of frames, (B, T, H, W) each, about 1 at most: changes, then noises."""
        seen = [torch.diff(luma, dim=1).mul_(1 / SPREAD)] if self.in_time else []
        if self.residual:
            noise = high_pass(luma)
            seen += [noise[:, 1:], torch.diff(noise, dim=1)] if self.in_time else [noise]
            seen[self.in_time :] = [plane.clamp_(-1, 1) for plane in seen[self.in_time :]]
        return seen


def luma_of(clips: Tensor) -> Tensor:
    """Rec. 601, the one plane that H.264 codes at full size: (..., 3) to (...), float32.

    A sum of products, because mixed precision would round a matrix product to 8 bits.
    """
    red, green, blue = clips.unbind(-1)
    return red.mul(0.299).float().add_(green, alpha=0.587).add_(blue, alpha=0.114)


def high_pass(luma: Tensor) -> Tensor:
    """Noise as a share of `LIMIT`, 0 at the border: (..., H, W) to the same.

    The second difference across of that down, which no brightness, slope or straight edge along
    an axis passes (Immerkær, "Fast noise variance estimation", 1996), halved twice.
    """
    across = (luma[..., 2:] + luma[..., :-2]).sub_(luma[..., 1:-1], alpha=2)
    both = (across[..., 2:, :] + across[..., :-2, :]).sub_(across[..., 1:-1, :], alpha=2)
    return functional.pad(both.mul_(0.25 / LIMIT), (1, 1, 1, 1))


def patches(planes: Sequence[Tensor]) -> Tensor:
    """P planes of (B, T, H, W) to (B*T, ceil(H/8), ceil(W/8), P, 64)."""
    height, width = planes[0].shape[-2:]
    if height % PATCH or width % PATCH:
        margin = (0, -width % PATCH, 0, -height % PATCH)
        planes = [functional.pad(plane, margin) for plane in planes]
    squares = [
        plane.flatten(0, 1).unflatten(-1, (-1, PATCH)).unflatten(-3, (-1, PATCH)).transpose(-3, -2)
        for plane in planes
    ]
    return torch.stack(squares, dim=-3).flatten(-2)
