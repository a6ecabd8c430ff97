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


State = dict[str, Tensor]
"""What streams remember; of every tensor the first axis is that of the streams."""


class StreamingNetwork(Network):
    """One whose answer at a frame depends on no later frame, so that it can follow streams."""

    @abstractmethod
    def start(self, num_streams: int) -> State:
        """The state before the first frame, zeros, on the device of the network.

        Take the tensors apart along their first axis to let streams join and leave.
        """

    @abstractmethod
    def advance(self, clips: Tensor, state: State) -> tuple[Tensor, State]:
        """As `step` with T frames at once: (B, T, H, W, 3) to logits (B, T, 4)."""

    def step(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """The next frame of every stream.

        Args:
            frames: (B, H, W, 3), uint8 or in [0, 255].
            state: of the frames so far, from `start` or the step before; it is left as it was.

        Returns:
            Logits (B, 4) at these frames, of the last `num_frames` of a clip, and the next state.
        """
        logits, state = self.advance(frames[:, None], state)
        return logits[:, 0], state

    def frame_logits(self, clips: Tensor) -> Tensor:
        """The answer at each frame given the frames so far: (B, T, H, W, 3) to (B, T, 4)."""
        return self.advance(clips, self.start(clips.shape[0]))[0]
