"""What the `embed` stage, heads and detectors ask of an encoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

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
        """What the modality takes to features, (N, F)."""

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """JSON values that `encoders.rebuild` makes the same encoder of, weights apart."""

    @abstractmethod
    def provenance(self) -> dict[str, str]:
        """Where the weights come from: `name`, `origin`, `licence` and `sha256`."""
