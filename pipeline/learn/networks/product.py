"""Two answers, of the origin and of the discharge, whose product makes the four classes.

They are learned from different footage: the origin from what shows the world, or a game, as it
is, the discharge from all whose times of discharge are known. The product takes them to be
independent given the frames: that what is seen of the origin says nothing of the discharge and
the other way round. So a discharge in a game cannot raise the probability that it is real.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.learn.networks.base import Kind, Network, Rebuilding, State, Streaming
from pipeline.learn.networks.eyes import Eyes
from pipeline.store.manifest import IS_DISCHARGE, IS_REAL


class ProductNet(Network):
    """Logits of the classes from the log odds of the origin and those of the discharge.

    Args:
        pixels: answers on the discharge; what it says of the origin is left out.
        eyes: answer on the origin.
    """

    pixels: Network
    discharge_scale: Tensor
    """What the log odds of the discharge are multiplied by, a number, to be as sure as right."""

    def __init__(self, pixels: Network, eyes: Eyes) -> None:
        super().__init__()
        self.pixels, self.eyes = pixels, eyes
        self.register_buffer("discharge_scale", torch.ones(()))
        self.num_features = pixels.num_features + eyes.num_features

    def architecture(self) -> dict[str, Any]:
        """JSON values that the same network is rebuilt from, weights apart."""
        return {
            "name": "product",
            "pixels": self.pixels.architecture(),
            "eyes": self.eyes.architecture(),
        }

    def embed(self, clips: Tensor) -> Tensor:
        """Clips to features, (B, D): what `pixels` finds, then what the eyes see."""
        return torch.cat([self.pixels.embed(clips), self.eyes.see(clips)], dim=-1)

    def classify(self, features: Tensor) -> Tensor:
        """Features (B, D) to logits (B, 4)."""
        found, seen = features.split([self.pixels.num_features, self.eyes.num_features], dim=-1)
        return self._joined(self.pixels.classify(found), seen)

    def frozen(self) -> dict[str, nn.Module]:
        """The encoder of the eyes, by the name of the module."""
        return {"eyes.encoder": self.eyes.encoder}

    def _joined(self, logits: Tensor, seen: Tensor) -> Tensor:
        discharge = self.discharge_scale * discharge_log_odds(logits)
        return product_logits(self.eyes.log_odds(seen), discharge)


class StreamingProductNet(ProductNet, Streaming):
    """A product of two answers that are both given at every frame of a stream."""

    def start(self, num_streams: int) -> State:
        """The state before the first frame, zeros: that of `pixels` and that of the eyes."""
        assert isinstance(self.pixels, Streaming)
        pixels, eyes = self.pixels.start(num_streams), self.eyes.start(num_streams)
        assert pixels.keys().isdisjoint(eyes), (sorted(pixels), sorted(eyes))
        return {**pixels, **eyes}

    def advance(self, clips: Tensor, state: State) -> tuple[Tensor, State]:
        """The next frames of every stream: (B, T, H, W, 3) to logits (B, T, 4), and the state."""
        assert isinstance(self.pixels, Streaming)
        seen, memory = self.eyes.advance(clips, state)
        logits, after = self.pixels.advance(clips, state)
        return self._joined(logits, seen), {**after, **memory}


def product_of(pixels: Network, eyes: Eyes) -> ProductNet:
    """The product of two answers, which streams where both of them do."""
    if isinstance(pixels, Streaming) and eyes.can_stream:
        return StreamingProductNet(pixels, eyes)
    return ProductNet(pixels, eyes)


def discharge_log_odds(logits: Tensor) -> Tensor:
    """Log odds of a discharge from logits of the classes: (..., 4) to (...)."""
    # Lists of places, because an exported graph cannot tell how many places a mask names.
    is_so, is_not = (
        [n for n, so in enumerate(IS_DISCHARGE) if so is wanted] for wanted in (True, False)
    )
    return logits[..., is_so].logsumexp(-1) - logits[..., is_not].logsumexp(-1)


def product_logits(origin: Tensor, discharge: Tensor) -> Tensor:
    """Logits (..., 4) of the classes from log odds of real, and of a discharge, (...).

    Half of each for the classes that it speaks for, half against the others: their softmax is the
    product of the two probabilities.
    """
    halves = [
        torch.tensor([0.5 if is_so else -0.5 for is_so in truths], device=origin.device)
        for truths in (IS_REAL, IS_DISCHARGE)
    ]
    return origin[..., None] * halves[0] + discharge[..., None] * halves[1]


def _rebuild(values: Mapping[str, Any], rebuilding: Rebuilding) -> ProductNet:
    return product_of(rebuilding.network(values["pixels"]), Eyes.rebuild(values["eyes"]))


KIND = Kind(rebuild=_rebuild)
