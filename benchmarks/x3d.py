"""A network of the size of X3D-XS (Feichtenhofer, 2020, table 3), as a rival that others know.

    python benchmarks/generalisation.py --rows "as configured" --row "X3D: model.name=x3d:X3D"

X3D-XS, S and M share these layers and differ in the clips they take. Here those are the canonical
ones, so that all networks of a comparison see the same pixels.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from pipeline.config import ClipFormat
from pipeline.learn.networks.base import Network
from pipeline.store.manifest import CLASSES

WIDTHS, DEPTHS = (24, 48, 96, 192), (3, 5, 11, 7)
STEM, WIDENING, FEATURES = 24, 2.25, 2048


class X3D(Network):
    """3.0 million parameters; a head of 400 classes makes it the 3.8 million of the paper.

    Args:
        clip: any format.
    """

    num_features = FEATURES

    def __init__(self, clip: ClipFormat, num_classes: int = len(CLASSES)) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, STEM, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False),
            nn.Conv3d(STEM, STEM, (5, 1, 1), padding=(2, 0, 0), groups=STEM, bias=False),
            nn.BatchNorm3d(STEM),
            nn.ReLU(),
        )
        blocks: list[nn.Module] = []
        before = STEM
        for width, depth in zip(WIDTHS, DEPTHS, strict=True):
            for place in range(depth):
                stride = 2 if place == 0 else 1
                blocks.append(Bottleneck(before, width, stride, squeezes=place % 2 == 0))
                before = width
        self.blocks = nn.Sequential(*blocks)
        inner = round(WIDENING * before)
        self.widen = nn.Sequential(
            nn.Conv3d(before, inner, 1, bias=False), nn.BatchNorm3d(inner), nn.ReLU()
        )
        self.features = nn.Sequential(nn.Linear(inner, FEATURES, bias=False), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(FEATURES, num_classes))

    def embed(self, clips: Tensor) -> Tensor:
        """Clips (B, T, H, W, 3) in [0, 255] to features (B, 2048)."""
        frames = (clips.movedim(-1, 1).float() / 255 - 0.45) / 0.225
        found: Tensor = self.features(self.widen(self.blocks(self.stem(frames))).mean((-3, -2, -1)))
        return found

    def classify(self, features: Tensor) -> Tensor:
        """Features (B, 2048) to logits (B, num_classes)."""
        logits: Tensor = self.head(features)
        return logits

    def architecture(self) -> dict[str, Any]:
        """Nothing but the name: every width is fixed."""
        return {"name": "x3d:X3D"}


class Bottleneck(nn.Module):
    """Widen, convolve each channel in space and time, weigh the channels, narrow."""

    def __init__(self, before: int, width: int, stride: int, *, squeezes: bool) -> None:
        super().__init__()
        inner = round(WIDENING * width)
        strides = (1, stride, stride)
        self.main = nn.Sequential(
            nn.Conv3d(before, inner, 1, bias=False),
            nn.BatchNorm3d(inner),
            nn.ReLU(),
            nn.Conv3d(inner, inner, 3, strides, 1, groups=inner, bias=False),
            nn.BatchNorm3d(inner),
            Squeeze(inner) if squeezes else nn.Identity(),
            nn.SiLU(),
            nn.Conv3d(inner, width, 1, bias=False),
            nn.BatchNorm3d(width),
        )
        self.short = nn.Sequential()
        if stride > 1 or before != width:
            self.short = nn.Sequential(
                nn.Conv3d(before, width, 1, strides, bias=False), nn.BatchNorm3d(width)
            )

    def forward(self, frames: Tensor) -> Tensor:
        """(B, before, T, H, W) to (B, width, T, H / stride, W / stride)."""
        mixed: Tensor = (self.main(frames) + self.short(frames)).relu()
        return mixed


class Squeeze(nn.Module):
    """Weigh channels by what all of the clip says (Hu et al., 2018), at a ratio of 1/16."""

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = 8 * max(1, round(width / 16 / 8))
        # What rounding may take away is at most a tenth, as in MobileNet, whence X3D has it.
        narrow += 8 * (narrow < 0.9 * width / 16)
        self.weigh = nn.Sequential(
            nn.Conv3d(width, narrow, 1), nn.ReLU(), nn.Conv3d(narrow, width, 1), nn.Sigmoid()
        )

    def forward(self, frames: Tensor) -> Tensor:
        """(B, C, T, H, W) to the same."""
        weighed: Tensor = frames * self.weigh(frames.mean((-3, -2, -1), keepdim=True))
        return weighed
