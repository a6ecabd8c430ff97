"""Two answers, of the origin and of the discharge, whose product makes the four classes.

They are learned from different footage: the origin from what shows the world, or a game, as it
is, the discharge from all whose times of discharge are known. The product takes them to be
independent given the frames: that what is seen of the origin says nothing of the discharge and
the other way round. So a discharge in a game cannot raise the probability that it is real.

The discharge is seen, heard, or both: what sound says is added to the log odds that the pictures
give, and is nothing where there is no sound. Both are bounded: a network that learned from some
footage is too sure of what it has never seen (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.learn.networks.base import (
    Factors,
    Network,
    NetworkFactory,
    Rebuilding,
    State,
    Streaming,
)
from pipeline.learn.networks.hearing import HeardNet
from pipeline.learn.networks.origin import OriginNet
from pipeline.store.manifest import IS_DISCHARGE, IS_REAL


class ProductNet(Network):
    """Logits of the classes from the log odds of the origin and those of the discharge.

    Args:
        discharge: answers on the discharge; what it says of the origin is left out.
        origin: answers on the origin.
        hearing: how much sound speaks for a discharge; None where nothing hears.
        most_seen: log odds that the pictures can give for a discharge or against one at most,
            above 0; None for no bound.
    """

    discharge: Network
    discharge_scale: Tensor
    """What the log odds of the discharge are multiplied by, a number, to be as sure as right."""

    def __init__(
        self,
        discharge: Network,
        origin: OriginNet,
        hearing: HeardNet | None = None,
        most_seen: float | None = None,
    ) -> None:
        super().__init__()
        if most_seen is not None and not most_seen > 0:
            raise ValueError(f"most_seen is {most_seen}, and must be above 0")
        self.discharge, self.origin, self.hearing = discharge, origin, hearing
        self.most_seen = most_seen
        self.register_buffer("discharge_scale", torch.ones(()))
        self.num_features = discharge.num_features + origin.num_features

    def architecture(self) -> dict[str, Any]:
        """JSON values that the same network is rebuilt from, weights apart."""
        return {
            "name": "product",
            "discharge": self.discharge.architecture(),
            "origin": self.origin.architecture(),
            "hearing": None if self.hearing is None else self.hearing.architecture(),
            "most_seen": self.most_seen,
        }

    @property
    def hears(self) -> bool:
        """Return whether the sound of a clip has a say."""
        return self.hearing is not None

    def forward(self, clips: Tensor, sounds: Tensor | None = None) -> Tensor:
        """Clips, and their sounds where they are known, to logits, (B, 4)."""
        seen = self.classify(self.embed(clips))
        if self.hearing is None or sounds is None:
            return seen
        return with_discharge(seen, self.hearing(sounds))

    def embed(self, clips: Tensor) -> Tensor:
        """Clips to features, (B, D): those for the discharge, then those for the origin.

        What is heard is no part of them.
        """
        return torch.cat([self.discharge.embed(clips), self.origin.embed(clips)], dim=-1)

    def classify(self, features: Tensor) -> Tensor:
        """Features (B, D) to logits (B, 4) of what is seen alone."""
        sizes = [self.discharge.num_features, self.origin.num_features]
        of_discharge, of_origin = features.split(sizes, dim=-1)
        return self._joined(self.discharge.classify(of_discharge), of_origin)

    def mixed(self) -> ProductNet:
        """The same network, of the same weights, whose encoder of pictures computes in bfloat16."""
        origin, discharge = self.origin.mixed(), self.discharge.mixed()
        made = product_of(discharge, origin, self.hearing, self.most_seen)
        made.discharge_scale = self.discharge_scale
        return made

    def frozen(self) -> dict[str, nn.Module]:
        """The encoders of the origin and of sound, by the name of the module."""
        found: dict[str, nn.Module] = {"origin.encoder": self.origin.encoder}
        return found if self.hearing is None else found | {"hearing.encoder": self.hearing.encoder}

    @property
    def factors(self) -> Factors:
        """The answers that it multiplies."""
        return self

    def seen(self, logits: Tensor) -> Tensor:
        """Logits (..., 4) of the network of pixels to log odds of a discharge, (...)."""
        odds = self.discharge_scale * discharge_log_odds(logits)
        return odds if self.most_seen is None else odds.clamp(-self.most_seen, self.most_seen)

    def _joined(self, logits: Tensor, of_origin: Tensor) -> Tensor:
        return product_logits(self.origin.log_odds(of_origin), self.seen(logits))


class StreamingProductNet(ProductNet, Streaming):
    """A product of two answers that are both given at every frame of a stream."""

    def start(self, num_streams: int) -> State:
        """The state before the first frame, zeros: that of every answer."""
        assert isinstance(self.discharge, Streaming)
        found = self.discharge.start(num_streams)
        for part in (self.origin, self.hearing):
            if part is not None:
                more = part.start(num_streams)
                assert found.keys().isdisjoint(more), (sorted(found), sorted(more))
                found |= more
        return found

    def advance(
        self, clips: Tensor, state: State, sounds: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """The next frames of every stream: (B, T, H, W, 3) to logits (B, T, 4), and the state."""
        assert isinstance(self.discharge, Streaming)
        of_origin, memory = self.origin.advance(clips, state)
        logits, after = self.discharge.advance(clips, state)
        seen, after = self._joined(logits, of_origin), {**after, **memory}
        if self.hearing is None:
            return seen, after
        if sounds is None:
            size = (clips.shape[0], clips.shape[1] * self.hearing.samples_a_frame)
            sounds = torch.zeros(size, dtype=torch.int16, device=clips.device)
        heard, memory = self.hearing.advance(sounds, state)
        return with_discharge(seen, heard), {**after, **memory}


def product_of(
    discharge: Network,
    origin: OriginNet,
    hearing: HeardNet | None = None,
    most_seen: float | None = None,
) -> ProductNet:
    """The product of two answers, which streams where both of them do."""
    streams = isinstance(discharge, Streaming) and origin.can_stream
    kind = StreamingProductNet if streams else ProductNet
    return kind(discharge, origin, hearing, most_seen)


def with_origin(logits: Tensor, more: Tensor) -> Tensor:
    """Logits (..., 4) with `more` (...) added to the log odds of real.

    Where it is 0, the logits are as they were, bit for bit.
    """
    return _with(logits, more, IS_REAL)


def with_discharge(logits: Tensor, more: Tensor) -> Tensor:
    """Logits (..., 4) with `more` (...) added to the log odds of a discharge."""
    return _with(logits, more, IS_DISCHARGE)


def _with(logits: Tensor, more: Tensor, truths: Sequence[bool]) -> Tensor:
    halves = [0.5 if is_so else -0.5 for is_so in truths]
    signs = torch.tensor(halves, dtype=logits.dtype, device=logits.device)
    return logits + more[..., None] * signs


def discharge_log_odds(logits: Tensor) -> Tensor:
    """Log odds of a discharge from logits of the classes: (..., 4) to (...)."""
    return _log_odds(logits, IS_DISCHARGE)


def origin_log_odds(logits: Tensor) -> Tensor:
    """Log odds of real from logits of the classes: (..., 4) to (...)."""
    return _log_odds(logits, IS_REAL)


def _log_odds(logits: Tensor, truths: Sequence[bool]) -> Tensor:
    # Lists of indices, because an exported graph cannot tell how many indices a mask names.
    is_so, is_not = ([n for n, so in enumerate(truths) if so is wanted] for wanted in (True, False))
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
    hearing = values["hearing"]
    return product_of(
        rebuilding.network(values["discharge"]),
        OriginNet.rebuild(values["origin"]),
        None if hearing is None else HeardNet.rebuild(hearing),
        values["most_seen"],
    )


FACTORY = NetworkFactory(rebuild=_rebuild)
