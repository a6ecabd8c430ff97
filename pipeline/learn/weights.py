"""Trained weights at rest: `model.safetensors` and `model.json`, written without pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from pipeline.config import ClipFormat
from pipeline.learn.memory import Memory
from pipeline.learn.model_card import CARD, ModelCard
from pipeline.learn.networks.base import Network
from pipeline.store.manifest import CLASSES
from pipeline.store.output_files import ENCODER_WEIGHTS as ENCODER_WEIGHTS
from pipeline.store.output_files import WEIGHTS as WEIGHTS
from pipeline.store.provenance import facts

_STORE = ("features", "packed_samples", "shards", "video")
_CODE = ("learn", *(f"store/{name}.py" for name in _STORE))


def save(
    folder: Path,
    network: Network,
    *,
    clip: ClipFormat,
    temperature: float,
    memory: Memory | None = None,
    provenance: Mapping[str, Any],
) -> None:
    """Write `model.safetensors`, `model.json` and, where there is one, `encoder.safetensors`.

    Whatever decides the answers is in the hash of `model.safetensors`: weights, and in its
    metadata the architecture with its settings, the temperature, the memory and the encoder.

    Args:
        folder: there already.
        network: trained; its frozen parts go into `encoder.safetensors`.
        clip: format of the clips that the network takes.
        temperature: what logits are divided by before they become probabilities.
        memory: how the evidence of a stream is summed up; None for its last second alone.
        provenance: what the weights came from and how good they are, as JSON values.
    """
    weights, frozen = _divided(network)
    decides: dict[str, Any] = {
        "architecture": network.architecture(),
        "classes": list(CLASSES),
        "preprocessing": {**asdict(clip), "colour": "RGB", "values": "0 to 255"},
        "temperature": temperature,
        "memory": None if memory is None else memory.architecture(),
    }
    if frozen:
        data = safetensors.torch.save(frozen)
        decides["encoder_sha256"] = hashlib.sha256(data).hexdigest()
        (folder / ENCODER_WEIGHTS).write_bytes(data)
    # Operating points, scores and decisions know a detector by the hash of this file, so it tells
    # apart what has the same weights and answers otherwise.
    data = safetensors.torch.save(weights, {"decides": json.dumps(decides, sort_keys=True)})
    (folder / WEIGHTS).write_bytes(data)
    card = {
        **decides,
        "weights_sha256": hashlib.sha256(data).hexdigest(),
        "made_by": facts(*_CODE),
        **provenance,
    }
    (folder / CARD).write_text(ModelCard.parse(card, folder / CARD).text())


def values_sha256(network: Network) -> str:
    """Hash of the weights of a network but its frozen ones, whatever else decides its answers."""
    weights, _ = _divided(network)
    return hashlib.sha256(safetensors.torch.save(weights)).hexdigest()


def _divided(network: Network) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights of a network by their names in `model.safetensors` and `encoder.safetensors`."""
    # Cloned, because safetensors refuses tensors that share memory.
    weights = {
        name: value.cpu().clone(memory_format=torch.contiguous_format)
        for name, value in network.state_dict().items()
    }
    frozen = {
        short: weights.pop(name).half()
        for name, short in sorted(frozen_names(network, weights).items())
    }
    return weights, frozen


def frozen_names(network: Network, names: Iterable[str]) -> dict[str, str]:
    """Those of the names in a `state_dict()` that are kept in `encoder.safetensors`, and as what.

    The weights of a single frozen module have the names that they have in it, so that the file is
    the same for every detector with that module.
    """
    modules = network.frozen()
    return {
        name: name.removeprefix(f"{module}.") if len(modules) == 1 else name
        for module in modules
        for name in names
        if name.startswith(f"{module}.")
    }


class MisfitError(ValueError):
    """Weights do not fit a network.

    Attributes:
        file: name of the file that does not.
    """

    def __init__(self, file: str, how: str) -> None:
        super().__init__(how)
        self.file = file


def fill(network: Network, data: bytes, frozen: bytes | None) -> None:
    """Give a network the weights that `save` wrote.

    Args:
        network: of the architecture that was saved.
        data: of `model.safetensors`.
        frozen: of `encoder.safetensors`, where there is one.

    Raises:
        MisfitError: they are of another network, or no weights.
    """
    expected = network.state_dict()
    names = {} if frozen is None else frozen_names(network, expected)
    own = {name: name for name in expected if name not in names}
    state = _taken(WEIGHTS, data, own, expected)
    if frozen is not None:
        state |= _taken(ENCODER_WEIGHTS, frozen, names, expected)
    network.load_state_dict(state)


def _taken(
    file: str, data: bytes, names: Mapping[str, str], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The weights in a file by their names in a network, which has `names` in the file."""
    try:
        given = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise MisfitError(file, "it is no file of safetensors") from error
    surplus = sorted(set(given) - set(names.values()))
    if surplus:
        raise MisfitError(file, f"the architecture has no {surplus[0]}")
    for name, short in names.items():
        if short not in given:
            raise MisfitError(file, f"it holds no {short}")
        if given[short].shape != expected[name].shape:
            shapes = (tuple(one.shape) for one in (given[short], expected[name]))
            raise MisfitError(file, "{} is of shape {} instead of {}".format(short, *shapes))
    return {name: given[short].to(expected[name].dtype) for name, short in names.items()}
