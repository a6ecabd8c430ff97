"""The networks that `conf/train.yaml: model.name` chooses from, and those made of trained ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.config import ClipFormat, ModelConfig
from pipeline.errors import UserError
from pipeline.learn.networks import flash, hf, members, own, product
from pipeline.learn.networks.base import Network, NetworkFactory, Rebuilding

OWN = "own"
"""The network of any `module:factory`."""
NETWORKS: dict[str, NetworkFactory] = {
    "flash": flash.FACTORY,
    "hf": hf.FACTORY,
    "members": members.FACTORY,
    OWN: own.FACTORY,
    "product": product.FACTORY,
}
"""By the name in `Network.architecture()`, with which `model.name` begins too."""


def build(model: ModelConfig, clip: ClipFormat) -> Network:
    """The network that `conf/train.yaml` describes, for clips of a format.

    Its fresh weights come from torch's global generator; `hf:` downloads or reads trained ones.

    Raises:
        UserError: an unknown name, or settings that do not fit each other or the network.
    """
    factory = _factory_of(model.name)
    assert factory.build is not None
    return factory.build(model, clip)


def rebuild(architecture: Mapping[str, Any], trusted_factory: str | None = None) -> Network:
    """The network of `Network.architecture()`, with fresh weights.

    Args:
        architecture: as a card holds it; nothing that it names is imported or downloaded.
        trusted_factory: the one `module:factory` whose code may run, if the card asks for it.

    Raises:
        UserError: no such network exists, or it needs code that is not trusted.
        KeyError, TypeError, ValueError, AssertionError: values that fit no network.
    """

    def again(architecture: Mapping[str, Any]) -> Network:
        values = {key: value for key, value in architecture.items() if key != "name"}
        name = architecture["name"]
        if name not in NETWORKS:
            raise UserError(
                f"this version of Discern has no network '{name}'; run discern train again, or use "
                "the version that trained it"
            )
        return NETWORKS[name].rebuild(values, Rebuilding(again, trusted_factory))

    return again(architecture)


def outside_hashes(name: str) -> dict[str, str]:
    """Hashes of what `model.name` stands for and `pipeline` does not hold; often none.

    Raises:
        UserError: an unknown name.
    """
    return _factory_of(name).outside_hashes(name)


def _factory_of(name: str) -> NetworkFactory:
    """The factory of the network that a `model.name` asks for."""
    prefix, colon, _ = name.partition(":")
    choices = {key: kind for key, kind in NETWORKS.items() if kind.build and key != OWN}
    if prefix in choices and bool(colon) == bool(choices[prefix].argument):
        return choices[prefix]
    if colon:
        return NETWORKS[OWN]
    known = [key + (f":{kind.argument}" if kind.argument else "") for key, kind in choices.items()]
    raise UserError(
        f"conf/train.yaml: model.name={name} is none of {', '.join(known)} and module:factory"
    )
