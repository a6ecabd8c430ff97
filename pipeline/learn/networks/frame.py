"""The baseline that motion must beat: a network that sees single frames, whatever their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from pipeline.config import ClipFormat, ModelConfig
from pipeline.errors import UserError
from pipeline.learn.networks.base import Kind, Network, Rebuilding
from pipeline.learn.networks.layers import Halve, fresh_head, whole_frame
from pipeline.learn.networks.stem import Colours


class FrameNet(Network):
    """The mean over a clip of each frame's logits.

    As large and as costly as a `CausalNet` of the same widths, whose taps in time lie in space.
    """

    def __init__(self, *, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        assert len(widths) > 1, widths
        self.widths = tuple(widths)
        self.colours = Colours(widths[0])
        self.halves = nn.ModuleList(Halve(width_in, width) for width_in, width in pairwise(widths))
        self.asides = nn.ModuleList(
            SpaceTaps(width, across=number % 2 == 1) for number, width in enumerate(widths[1:])
        )
        self.num_features = 2 * widths[-1]
        self.norm = nn.LayerNorm(self.num_features)
        self.dropout = nn.Dropout(dropout)
        self.head = fresh_head(self.num_features)

    def architecture(self) -> dict[str, Any]:
        """JSON values that the same network is rebuilt from, weights apart."""
        return {
            "name": "frame",
            "widths": list(self.widths),
            "dropout": self.dropout.p,
        }

    def embed(self, clips: Tensor) -> Tensor:
        """Clips to features, (B, D): the mean over the frames.

        Its logits are the mean of the frames' logits, since the head is linear.
        """
        frames = self.colours(clips)
        for halve, aside in zip(self.halves, self.asides, strict=True):
            frames = aside(halve(frames))
        return self.norm(whole_frame(frames)).unflatten(0, clips.shape[:2]).mean(1)

    def classify(self, features: Tensor) -> Tensor:
        """Features (B, D) to logits (B, 4)."""
        return self.head(self.dropout(features))


class SpaceTaps(nn.Module):
    """Add to every cell what three taps beside each other find around it."""

    def __init__(self, width: int, *, across: bool) -> None:
        super().__init__()
        shape, margin = ((1, 3), (0, 1)) if across else ((3, 1), (1, 0))
        self.conv = nn.Conv2d(width, width, shape, padding=margin, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, frames: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        return functional.relu(frames + self.norm(self.conv(frames)))


def _build(model: ModelConfig, clip: ClipFormat) -> FrameNet:
    if len(model.frame.widths) < 2:
        raise UserError(
            f"conf/train.yaml: model.frame.widths={model.frame.widths}; "
            "give one width for the stem and one for each layer"
        )
    return FrameNet(widths=model.frame.widths, dropout=model.dropout)


def _rebuild(values: Mapping[str, Any], rebuilding: Rebuilding) -> FrameNet:
    return FrameNet(**values)


KIND = Kind(build=_build, rebuild=_rebuild)
