"""A network of the user's own code, named `module:factory`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.config import ClipFormat, ModelConfig
from pipeline.errors import UserError
from pipeline.learn.networks.base import Network, NetworkFactory, ParameterGroup, Rebuilding
from pipeline.store import workdir
from pipeline.store.manifest import CLASSES


class OwnNet(Network):
    """Holds what the factory makes of the clip format: a `Network`, or any module with four logits.

    Such a module gets clips of uint8 (B, T, H, W, 3), and its logits count as its features.

    Raises:
        UserError: the factory cannot be imported, or what it makes is no such network.
    """

    def __init__(self, factory: str, clip: ClipFormat) -> None:
        super().__init__()
        self.factory, self.clip = factory, clip
        made = import_factory(factory)(clip)
        if not isinstance(made, nn.Module):
            raise UserError(f"{factory}: made a {type(made).__name__}; return a torch.nn.Module")
        self.inner = made
        self.num_features = made.num_features if isinstance(made, Network) else len(CLASSES)
        self._try()

    def architecture(self) -> dict[str, Any]:
        """JSON values that the same network is rebuilt from, by its factory, weights apart."""
        return {"name": "own", "factory": self.factory, "clip": asdict(self.clip)}

    def embed(self, clips: Tensor) -> Tensor:
        """Clips to features, (B, D), which are logits of a module that is no `Network`."""
        if isinstance(self.inner, Network):
            return self.inner.embed(clips)
        if clips.is_floating_point():
            clips = clips.round().clamp(0, 255).to(torch.uint8)
        return self.inner(clips)

    def classify(self, features: Tensor) -> Tensor:
        """Features (B, D) to logits (B, 4)."""
        return self.inner.classify(features) if isinstance(self.inner, Network) else features

    def parameter_groups(self) -> list[ParameterGroup]:
        """All that can be trained, each parameter once."""
        if isinstance(self.inner, Network):
            return self.inner.parameter_groups()
        return super().parameter_groups()

    def _try(self) -> None:
        size = self.clip.size
        clips = torch.zeros(2, self.clip.num_frames, size, size, 3, dtype=torch.uint8)
        training = {module: module.training for module in self.modules()}
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            logits = self.eval()(clips)
        for module, was in training.items():
            module.training = was
        if not isinstance(logits, Tensor) or logits.shape != (2, len(CLASSES)):
            found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise UserError(
                f"{self.factory}: gave {found} for 2 clips; give logits of shape "
                f"(2, {len(CLASSES)}), for {', '.join(CLASSES)}"
            )


def import_factory(name: str) -> Callable[[ClipFormat], object]:
    """The function that `module:factory` names.

    Raises:
        UserError: there is none.
    """
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError, TypeError) as error:
        raise UserError(
            f"conf/train.yaml: model.name={name}: cannot import {module_name} ({error}); "
            "install it, or run from the folder that holds it"
        ) from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise UserError(
            f"conf/train.yaml: model.name={name}: {module.__file__} has no function '{attribute}'"
        )
    return factory  # type: ignore[no-any-return]


def _build(model: ModelConfig, clip: ClipFormat) -> OwnNet:
    return OwnNet(model.name, clip)


def _rebuild(values: Mapping[str, Any], rebuilding: Rebuilding) -> OwnNet:
    if values["factory"] != rebuilding.trusted_factory:
        raise UserError(
            f"the weights are of the network {values['factory']}, whose code runs only "
            f"when you name it; if you trust it, give factory={values['factory']}"
        )
    return OwnNet(values["factory"], ClipFormat(**values["clip"]))


def _outside_hashes(name: str) -> dict[str, str]:
    """The hash of the module of a `module:factory`, but not of what it imports."""
    module = importlib.import_module(name.partition(":")[0])
    return {} if module.__file__ is None else {name: workdir.file_sha256(Path(module.__file__))}


FACTORY = NetworkFactory(build=_build, rebuild=_rebuild, outside_hashes=_outside_hashes)
