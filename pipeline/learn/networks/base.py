"""What training, scoring and export ask of a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that learn alike."""

    parameters: Sequence[nn.Parameter]
    lr_scale: float
    """Of the learning rate; 1 but for layer-wise rates."""
    decays: bool
    """Whether weight decay applies; not to norms and biases."""


class Network(nn.Module, ABC):
    """From a clip to the logits of the four classes.

    Clips are (B, T, H, W, 3) RGB, uint8 or floating point in [0, 255]; their normalisation is
    part of the network.
    """

    num_features: int
    """Length D of what `embed` gives."""

    @abstractmethod
    def embed(self, clips: Tensor) -> Tensor:
        """Clips to features, (B, D), of the whole clip."""

    @abstractmethod
    def classify(self, features: Tensor) -> Tensor:
        """Features (B, D) to logits (B, 4), in the order of `manifest.CLASSES`."""

    def forward(self, clips: Tensor) -> Tensor:
        """Clips to logits, (B, 4)."""
        return self.classify(self.embed(clips))

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """JSON values that `networks.rebuild` makes the same network of, weights apart."""

    def parameter_groups(self) -> list[ParameterGroup]:
        """All that can be trained, each parameter once."""
        trained = [p for p in self.parameters() if p.requires_grad]
        return [
            ParameterGroup([p for p in trained if p.ndim > 1], 1.0, True),
            ParameterGroup([p for p in trained if p.ndim <= 1], 1.0, False),
        ]
