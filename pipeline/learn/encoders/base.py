"""Says what the `embed` stage, heads and detectors ask of an encoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

Modality = Literal["picture", "video", "sound"]


class Encoder(nn.Module, ABC):
    """A frozen pretrained network that turns what is seen or heard into features.

    Its preprocessing is part of it, and nothing of it is ever trained here. One of modality

    - `picture` takes frames (N, H, W, 3) RGB, uint8 or floating point in [0, 255];
    - `video` takes stretches of frames (N, T, H, W, 3), with the same values, T being
      `num_frames`;
    - `sound` takes stretches (N, S) of one channel, floating point in [-1, 1], at `rate_hz`.
    """

    modality: Modality
    num_features: int
    """Length F of what `forward` gives."""
    num_frames: int = 1
    """Frames of a stretch, of an encoder of video."""
    rate_hz: float = 0.0
    """Samples a second, of an encoder of sound."""

    @abstractmethod
    def forward(self, taken: Tensor) -> Tensor:
        """Return what the modality takes to features, (N, F)."""

    def each(self) -> Iterator[Encoder]:
        """The encoders in it, in the order of their features."""
        yield self

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """JSON values that `encoders.rebuild` makes the same encoder of, weights apart."""

    @abstractmethod
    def provenance(self) -> list[dict[str, str]]:
        """Return where the weights of each network in it come from.

        `name`, `origin`, `licence` and `sha256`.
        """


class SoundEncoder(Encoder):
    """An encoder of sound whose features tell how much it sounds like firearms."""

    modality = "sound"

    @abstractmethod
    def firearms(self, features: Tensor) -> Tensor:
        """Features (..., F) to the largest logit of any class of firearms, (...)."""


class Joined(Encoder):
    """Several encoders, whose features stand side by side.

    It is one of video if any of them is, since it then has to be given whole clips, and one of
    sound if any of them is.

    Args:
        parts: at least one.
    """

    NAME = "joined"
    parts: nn.ModuleList

    def __init__(self, parts: Sequence[Encoder]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        there = {part.modality for part in parts}
        self.modality = "sound" if "sound" in there else "video" if "video" in there else "picture"
        self.num_features = sum(part.num_features for part in parts)

    def each(self) -> Iterator[Encoder]:
        """The encoders in it, in the order of their features."""
        for part in self.parts:
            assert isinstance(part, Encoder)
            yield from part.each()

    def forward(self, taken: Tensor) -> Tensor:
        """Return what all of them take to their features side by side, (N, F)."""
        return torch.cat([part(taken) for part in self.each()], dim=-1)

    def architecture(self) -> dict[str, Any]:
        """JSON values that `encoders.rebuild` makes the same encoder of, weights apart."""
        return {"name": self.NAME, "parts": [part.architecture() for part in self.each()]}

    def provenance(self) -> list[dict[str, str]]:
        """Return where the weights of each network in it come from."""
        return [row for part in self.each() for row in part.provenance()]
