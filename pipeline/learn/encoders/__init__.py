"""The frozen pretrained networks that `conf/embed.yaml` chooses from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.config import PicturesConfig
from pipeline.errors import UserError
from pipeline.learn.encoders import dino
from pipeline.learn.encoders.base import Encoder

NONE = "none"
"""The name that asks for no encoder."""
HF = "hf:"
"""What the name of an encoder of transformers begins with; imported only when asked for."""


def build(pictures: PicturesConfig) -> Encoder:
    """The encoder that `conf/embed.yaml` describes, with its published weights.

    Raises:
        UserError: an unknown name, weights that are not here, or settings that do not fit.
    """
    if pictures.name == dino.NAME:
        return dino.Dino.published(size=pictures.size)
    if pictures.name.startswith(HF):
        from pipeline.learn.encoders.hf import HfEncoder

        return HfEncoder.from_checkpoint(pictures.name.removeprefix(HF), size=pictures.size)
    raise UserError(
        f"conf/embed.yaml: pictures.name={pictures.name} is none of {dino.NAME}, "
        f"hf:<folder or hub id> and {NONE}"
    )


def rebuild(architecture: Mapping[str, Any]) -> Encoder:
    """The encoder of `Encoder.architecture()`, with fresh weights.

    Raises:
        UserError: no such encoder exists.
        KeyError, TypeError, ValueError: values that fit no encoder.
    """
    values = {key: value for key, value in architecture.items() if key != "name"}
    match architecture["name"]:
        case dino.NAME:
            return dino.Dino(**values)
        case "hf":
            from pipeline.learn.encoders.hf import HfEncoder

            return HfEncoder.from_architecture(**values)
        case name:
            raise UserError(f"encoder '{name}' is unknown; run train.py again")
