"""A small causal video network: its answer at a frame depends on no later frame.

Space and time are convolved in turn, as in R(2+1)D (Tran et al., 2018), and time only
backwards, as in WaveNet (van den Oord et al., 2016). A discharge is a transient, so each frame
enters beside its difference from the frame before.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

NAME = "causal-net"
MEAN = (0.45, 0.45, 0.45)
STD = (0.225, 0.225, 0.225)


@dataclass(frozen=True)
class Architecture:
    """What determines every tensor of `CausalNet`."""

    widths: tuple[int, ...]
    """Channels of the stem, then of each block."""
    dilations: tuple[int, ...]
    """Frames between the taps in time of each block."""
    dropout: float
    num_classes: int

    def __post_init__(self) -> None:
        assert len(self.widths) == len(self.dilations) + 1 > 1, (self.widths, self.dilations)


class CausalNet(nn.Module):
    """Class logits at every frame of a clip, given the frames so far.

    The clips are RGB, and the answer for a whole clip is that of its last frame. Normalisation
    of the pixels is part of the network.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        widths = architecture.widths
        self.register_buffer("mean", torch.tensor(MEAN), persistent=False)
        self.register_buffer("std", torch.tensor(STD), persistent=False)
        self.stem = nn.Sequential(
            nn.Conv2d(6, widths[0], 7, stride=4, padding=3, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        self.blocks = nn.ModuleList(
            FactorisedBlock(width_in, width, dilation)
            for width_in, width, dilation in zip(
                widths[:-1], widths[1:], architecture.dilations, strict=True
            )
        )
        self.norm = nn.LayerNorm(4 * widths[-1])
        self.dropout = nn.Dropout(architecture.dropout)
        self.head = nn.Linear(4 * widths[-1], architecture.num_classes)
        # Confident first answers would cost the first epochs to unlearn.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, 3) to (B, T, num_classes)."""
        assert clips.dtype == torch.uint8 and clips.ndim == 5, (clips.dtype, clips.shape)
        num_frames = clips.shape[1]
        frames = self.stem(self.preprocess(clips).flatten(0, 1).movedim(-1, 1))
        for block in self.blocks:
            frames = block(frames, num_frames)
        in_frame = torch.cat([frames.mean((-2, -1)), frames.amax((-2, -1))], dim=1)
        so_far = causal_pool(in_frame.unflatten(0, (-1, num_frames)))
        logits: Tensor = self.head(self.dropout(self.norm(so_far)))
        return logits

    def preprocess(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, 3) to normalised colours and their changes, (B, T, H, W, 6)."""
        colours = clips.float().sub_(255 * self.mean).div_(255 * self.std)
        changes = torch.zeros_like(colours)
        changes[:, 1:] = colours[:, 1:] - colours[:, :-1]
        return torch.cat([colours, changes], dim=-1)


class FactorisedBlock(nn.Module):
    """Halve in space, then look back in time, with a short cut past the second half."""

    def __init__(self, width_in: int, width: int, dilation: int) -> None:
        super().__init__()
        self.space = nn.Sequential(
            nn.Conv2d(width_in, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.num_past = 2 * dilation
        self.time = nn.Conv2d(width, width, (3, 1), dilation=(dilation, 1), bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, frames: Tensor, num_frames: int) -> Tensor:
        """(B*T, C, H, W) to (B*T, width, H/2, W/2)."""
        frames = self.space(frames)
        _, width, height, _ = frames.shape
        # Images of T rows and H*W columns make time an axis of a plain 2D convolution.
        rows = frames.movedim(1, -1).reshape(-1, num_frames, frames[0, 0].numel(), width)
        rows = rows.movedim(-1, 1)
        past = functional.pad(rows, (0, 0, self.num_past, 0))
        rows = functional.relu(rows + self.norm(self.time(past)))
        return rows.movedim(1, -1).reshape(len(frames), height, -1, width).movedim(-1, 1)


def causal_pool(features: Tensor) -> Tensor:
    """Mean and maximum over the frames so far: (B, T, C) to (B, T, 2C)."""
    num_frames = features.shape[1]
    # A matrix, because cumsum has no deterministic CUDA kernel.
    so_far = torch.ones(num_frames, num_frames, device=features.device).tril()
    mean = (so_far / so_far.sum(1, keepdim=True)) @ features
    return torch.cat([mean, features.cummax(dim=1).values], dim=-1)
