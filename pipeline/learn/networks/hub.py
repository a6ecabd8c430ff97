"""Reads a video backbone of Hugging Face transformers from a folder or the hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from pipeline.errors import UserError
from pipeline.learn.hub import (
    PREPROCESSORS,
    config_of,
    first_line,
    need_transformers,
    own_values,
    read_config,
    read_preprocessor,
    read_weights,
    warn_unpinned,
)
from pipeline.learn.pixels import Pixels, first_of


@dataclass(frozen=True)
class Checkpoint:
    """A backbone with its trained weights."""

    model_type: str
    config: dict[str, Any]
    """What `fresh_backbone` makes the same backbone of."""
    pixels: Pixels
    backbone: nn.Module
    absent: frozenset[str]
    """Names of the parameters that the checkpoint lacked; they are fresh."""


def read_checkpoint(name: str) -> Checkpoint:
    """Load the backbone in the folder `name`, or of the hub id `name` or `name@revision`.

    Warns of a hub id without a revision, because what it stands for changes with time.

    Raises:
        UserError: transformers is missing, there is no such folder or model, it is no video
            classification backbone, its weights are no safetensors or damaged, or it does not
            say how frames are prepared.
    """
    asked = f"conf/train.yaml: model.name=hf:{name}"
    found = read_config(asked, name)
    import transformers

    model_type, config = found.model_type, own_values(found)
    if model_type not in video_types():
        raise UserError(
            f"{asked}: '{model_type}' is no video classification backbone; give one of "
            f"{', '.join(video_types())}"
        )
    pixels = _read_pixels(asked, name, config)
    backbone, absent = read_weights(
        asked,
        name,
        transformers.AutoModelForVideoClassification,
        config_of(type(found), config, num_labels=found.num_labels),
    )
    warn_unpinned(asked, name)
    return Checkpoint(model_type, config, pixels, backbone, absent)


def fresh_backbone(model_type: str, config: Mapping[str, Any]) -> nn.Module:
    """A backbone without its trained weights, of what a `Checkpoint` holds.

    Raises:
        UserError: transformers is missing.
        KeyError, TypeError, ValueError: there is no such backbone.
    """
    need_transformers("weights of a backbone of transformers")
    import transformers

    if model_type not in video_types():
        raise ValueError(f"'{model_type}' is no video classification backbone")
    made = transformers.AutoModelForVideoClassification.from_config(
        config_of(transformers.CONFIG_MAPPING[model_type], config), trust_remote_code=False
    )
    assert isinstance(made, nn.Module)
    return made


def video_types() -> list[str]:
    """Names of the kinds of backbone that transformers has a video classifier of."""
    from transformers.models.auto import modeling_auto

    return sorted(modeling_auto.MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES)


def _read_pixels(asked: str, name: str, config: dict[str, Any]) -> Pixels:
    try:
        return Pixels.of_preprocessor(
            read_preprocessor(name, "video_processor", "image_processor"),
            num_frames=first_of(config, "num_frames", "frames_per_clip"),
            size=first_of(config, "image_size", "crop_size"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{asked}: {PREPROCESSORS[-1]}: {first_line(error)}; it must say image_mean, "
            "image_std and size, which the backbone was trained with"
        ) from error
