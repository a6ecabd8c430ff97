"""A network of several trained ones, which answers with the mean of their answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.learn.networks.base import Network, NetworkFactory, Rebuilding, State, Streaming


@dataclass(frozen=True)
class Member:
    """A trained network with what makes its answers as sure as they are right."""

    network: Network
    temperature: float
    """What its logits are divided by before they become probabilities."""


class MembersNet(Network):
    """Logits whose probabilities are the mean of the calibrated ones of the members.

    Args:
        members: at least one, trained on clips of one format.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        assert members
        self._members = tuple(members)
        self.members = nn.ModuleList(member.network for member in members)
        self.num_features = sum(member.network.num_features for member in members)

    def architecture(self) -> dict[str, Any]:
        """JSON values that the same network is rebuilt from, weights apart."""
        return {
            "name": "members",
            "members": [
                {"network": one.network.architecture(), "temperature": one.temperature}
                for one in self._members
            ],
        }

    @property
    def hears(self) -> bool:
        """Give whether the sound of a clip has a say, as it has where any of the members hears."""
        return any(member.network.hears for member in self._members)

    def forward(self, clips: Tensor, sounds: Tensor | None = None) -> Tensor:
        """Clips, and their sounds where they are known, to logits, (B, 4)."""
        return self._mean(
            [
                member.network(clips, sounds) if member.network.hears else member.network(clips)
                for member in self._members
            ]
        )

    def embed(self, clips: Tensor) -> Tensor:
        """Clips to features, (B, D): those of each member side by side."""
        return torch.cat([member.network.embed(clips) for member in self._members], dim=-1)

    def classify(self, features: Tensor) -> Tensor:
        """Features (B, D) to logits (B, 4)."""
        sizes = [member.network.num_features for member in self._members]
        own = zip(self._members, features.split(sizes, dim=-1), strict=True)
        return self._mean([member.network.classify(some) for member, some in own])

    def mixed(self) -> MembersNet:
        """The same members, whose encoders of pictures compute in bfloat16."""
        return members_net([replace(one, network=one.network.mixed()) for one in self._members])

    def frozen(self) -> dict[str, nn.Module]:
        """The published networks inside of every member, by the name of the module."""
        return {
            f"members.{number}.{name}": module
            for number, member in enumerate(self._members)
            for name, module in member.network.frozen().items()
        }

    def _mean(self, logits: Sequence[Tensor]) -> Tensor:
        """Logits (..., 4) of each member to the logarithm of the mean probabilities."""
        answers = [
            (one / member.temperature).log_softmax(-1)
            for member, one in zip(self._members, logits, strict=True)
        ]
        return torch.stack(answers).logsumexp(0) - math.log(len(answers))


class StreamingMembersNet(MembersNet, Streaming):
    """Members that all answer at every frame of a stream."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__(members)
        self._streaming = [one.network for one in members if isinstance(one.network, Streaming)]
        assert len(self._streaming) == len(members)

    def start(self, num_streams: int) -> State:
        """The state before the first frame, zeros: that of each member, under its number."""
        return {
            f"{number}_{name}": value
            for number, network in enumerate(self._streaming)
            for name, value in network.start(num_streams).items()
        }

    def advance(
        self, clips: Tensor, state: State, sounds: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """The next frames of every stream: (B, T, H, W, 3) to logits (B, T, 4), and the state."""
        answers: list[Tensor] = []
        after: State = {}
        for number, (member, network) in enumerate(
            zip(self._members, self._streaming, strict=True)
        ):
            prefix = f"{number}_"
            own = {
                name.removeprefix(prefix): value
                for name, value in state.items()
                if name.startswith(prefix)
            }
            heard = (sounds,) if member.network.hears else ()
            logits, own = network.advance(clips, own, *heard)
            answers.append(logits)
            after |= {f"{prefix}{name}": value for name, value in own.items()}
        return self._mean(answers), after


def members_net(members: Sequence[Member]) -> MembersNet:
    """The network of several members, which streams where all of them do."""
    if all(isinstance(member.network, Streaming) for member in members):
        return StreamingMembersNet(members)
    return MembersNet(members)


def _rebuild(values: Mapping[str, Any], rebuilding: Rebuilding) -> MembersNet:
    return members_net(
        [
            Member(rebuilding.network(one["network"]), float(one["temperature"]))
            for one in values["members"]
        ]
    )


FACTORY = NetworkFactory(rebuild=_rebuild)
