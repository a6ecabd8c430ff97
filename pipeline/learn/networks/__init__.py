"""The networks that `conf/train.yaml: model.name` chooses from."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config import ClipFormat, ModelConfig
from pipeline.errors import UserError
from pipeline.learn.networks.base import Network
from pipeline.learn.networks.causal import CausalNet
from pipeline.learn.networks.eyes import Eyes
from pipeline.learn.networks.frame import FrameNet
from pipeline.learn.networks.own import OwnNet
from pipeline.learn.networks.product import product_of
from pipeline.store import workdir

HF = "hf:"
"""What the name of a backbone of transformers begins with; imported only when asked for."""


def build(model: ModelConfig, clip: ClipFormat) -> Network:
    """The network that `conf/train.yaml` describes, for clips of a format.

    Its fresh weights come from torch's global generator; `hf:` downloads or reads trained ones.
    `product_of` joins it, once it is trained, with eyes that answer on the origin.

    Raises:
        UserError: an unknown name, or settings that do not fit each other or the network.
    """
    if model.name == "causal":
        if len(model.widths) != len(model.dilations) + 1 or not model.dilations:
            raise UserError(
                f"conf/train.yaml: model has {len(model.widths)} widths and "
                f"{len(model.dilations)} dilations; "
                "give one width for the stem, then one width and one dilation for each block"
            )
        return CausalNet(
            widths=model.widths,
            dilations=model.dilations,
            dropout=model.dropout,
            window=clip.num_frames,
            size=clip.size,
        )
    if model.name == "frame":
        if len(model.widths) < 2:
            raise UserError(
                f"conf/train.yaml: model.widths={model.widths}; "
                "give one width for the stem and one for each block"
            )
        return FrameNet(widths=model.widths, dropout=model.dropout)
    if model.name.startswith(HF):
        from pipeline.learn.networks.hf import HfNet

        return HfNet.from_checkpoint(
            model.name.removeprefix(HF),
            dropout=model.dropout,
            freeze=model.hf.freeze,
            layer_decay=model.hf.layer_decay,
            lora_rank=model.hf.lora_rank,
        )
    if ":" in model.name:
        return OwnNet(model.name, clip)
    raise UserError(
        f"conf/train.yaml: model.name={model.name} is none of causal, frame, "
        "hf:<folder or hub id> and module:factory"
    )


def rebuild(architecture: Mapping[str, Any], trusted_factory: str | None = None) -> Network:
    """The network of `Network.architecture()`, with fresh weights.

    Args:
        architecture: as a card holds it; nothing that it names is imported or downloaded.
        trusted_factory: the one `module:factory` whose code may run, if the card asks for it.

    Raises:
        UserError: no such network exists, or it needs code that is not trusted.
        KeyError, TypeError, ValueError, AssertionError: values that fit no network.
    """
    values = {key: value for key, value in architecture.items() if key != "name"}
    match architecture["name"]:
        case "causal":
            return CausalNet(**values)
        case "product":
            pixels = rebuild(values["pixels"], trusted_factory)
            return product_of(pixels, Eyes.rebuild(values["eyes"]))
        case "frame":
            return FrameNet(**values)
        case "hf":
            from pipeline.learn.networks.hf import HfNet

            return HfNet.from_architecture(**values)
        case "own":
            if values["factory"] != trusted_factory:
                raise UserError(
                    f"the weights are of the network {values['factory']}, whose code runs only "
                    "when you name it; if you trust it, give factory="
                    f"{values['factory']}"
                )
            return OwnNet(values["factory"], ClipFormat(**values["clip"]))
        case name:
            raise UserError(f"architecture '{name}' is unknown; run train.py again")


def outside_hashes(name: str) -> dict[str, str]:
    """Hashes of what `model.name` stands for and `pipeline` does not hold.

    By path inside the folder of a backbone; of a hub id the commit that `build` read, whether or
    not the name gives a revision; of a `module:factory` that module alone, not what it imports.
    Empty for the networks of `pipeline`, and for a hub id before it was ever read.
    """
    if name.startswith(HF):
        from pipeline.learn.hub import commit_of

        commit = commit_of(name.removeprefix(HF))
        if commit is not None:
            return {name: commit}
        folder = Path(name.removeprefix(HF))
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): workdir.file_sha256(path) for path in files}
    module = importlib.import_module(name.partition(":")[0]) if ":" in name else None
    if module is None or module.__file__ is None:
        return {}
    return {name: workdir.file_sha256(Path(module.__file__))}
