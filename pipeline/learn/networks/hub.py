"""Reads a video backbone of Hugging Face transformers from a folder or the hub.

Only weights in safetensors are read, and no code beside transformers' own runs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from pipeline.errors import UserError
from pipeline.learn.networks.pixels import Pixels

log = logging.getLogger(__name__)

PREPROCESSORS = ("video_preprocessor_config.json", "preprocessor_config.json")


@dataclass(frozen=True)
class Checkpoint:
    """A backbone with its trained weights."""

    model_type: str
    config: dict[str, Any]
    """What `backbone_config` makes the same backbone of."""
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
    try:
        import transformers
        from safetensors import SafetensorError
    except ImportError as error:
        raise UserError(f"{asked}: {error}; run pip install 'discern[hf]'") from error

    place, revision = _place(name)
    where: dict[str, Any] = {"revision": revision, "trust_remote_code": False}
    try:
        with _quiet():
            found = transformers.AutoConfig.from_pretrained(place, **where)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UserError(
            f"{asked}: no backbone there ({_first_line(error)}); give a folder with a config.json, "
            "or a hub id that this machine can reach"
        ) from error
    model_type, config = found.model_type, own_values(found)
    if model_type not in video_types():
        raise UserError(
            f"{asked}: '{model_type}' is no video classification backbone; give one of "
            f"{', '.join(video_types())}"
        )
    pixels = _read_pixels(asked, place, revision, config)
    try:
        with _quiet():
            backbone, info = transformers.AutoModelForVideoClassification.from_pretrained(
                place,
                config=backbone_config(model_type, config, num_labels=found.num_labels),
                use_safetensors=True,
                dtype="float32",
                output_loading_info=True,
                **where,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(
            f"{asked}: no weights that can be used ({_first_line(error)}); only safetensors are "
            "read, so convert others with save_pretrained where you trust them"
        ) from error
    if revision is None and (commit := commit_of(name)) is not None:
        log.warning(
            "%s: without @revision the same run may read other weights another day; these are "
            "hf:%s@%s",
            asked,
            name,
            commit,
        )
    absent = frozenset(info["missing_keys"])
    return Checkpoint(model_type, config, pixels, backbone, absent)


def commit_of(name: str) -> str | None:
    """The commit of the hub that `name` stood for when it was read.

    None for a folder, and for a hub id that was never read on this machine.
    """
    if Path(name).is_dir():
        return None
    from huggingface_hub import try_to_load_from_cache

    place, revision = _place(name)
    config = try_to_load_from_cache(place, "config.json", revision=revision)
    return Path(config).parent.name if isinstance(config, str) else None


def _place(name: str) -> tuple[str, str | None]:
    """Folder or hub id, and the revision of the latter if it is given."""
    place, _, revision = (name, "", "") if Path(name).is_dir() else name.partition("@")
    return place, revision or None


def fresh_backbone(model_type: str, config: Mapping[str, Any]) -> nn.Module:
    """A backbone without its trained weights, of what a `Checkpoint` holds.

    Raises:
        UserError: transformers is missing.
        KeyError, TypeError, ValueError: there is no such backbone.
    """
    try:
        import transformers
    except ImportError as error:
        raise UserError(
            f"the weights are of a backbone of transformers ({error}); "
            "run pip install 'discern[hf]'"
        ) from error
    if model_type not in video_types():
        raise ValueError(f"'{model_type}' is no video classification backbone")
    made = transformers.AutoModelForVideoClassification.from_config(
        backbone_config(model_type, config), trust_remote_code=False
    )
    assert isinstance(made, nn.Module)
    return made


def video_types() -> list[str]:
    """Names of the kinds of backbone that transformers has a video classifier of."""
    from transformers.models.auto import modeling_auto

    return sorted(modeling_auto.MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES)


def own_values(config: Any) -> dict[str, Any]:
    """What a config says about the backbone itself, as JSON values.

    The rest is of no use here or dangerous: an attention implementation may name code on the hub.
    """
    import transformers

    known = set(type(config)().to_dict()) - set(transformers.PretrainedConfig().to_dict())
    return {key: value for key, value in config.to_dict().items() if key in known}


def backbone_config(model_type: str, config: Mapping[str, Any], **more: Any) -> Any:
    """The config object of what `own_values` gave."""
    import transformers

    kind = transformers.CONFIG_MAPPING[model_type]
    return kind(**own_values(kind(**config)), **more)


def _read_pixels(asked: str, place: str, revision: str | None, config: dict[str, Any]) -> Pixels:
    from transformers.utils.hub import cached_file

    try:
        with _quiet():
            files = (
                cached_file(
                    place, one, revision=revision, _raise_exceptions_for_missing_entries=False
                )
                for one in PREPROCESSORS
            )
            path = next((Path(file) for file in files if file), None)
        if path is None:
            raise ValueError("missing")
        return Pixels.of_preprocessor(
            json.loads(path.read_text()),
            num_frames=_first(config, "num_frames", "frames_per_clip"),
            size=_first(config, "image_size", "crop_size"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{asked}: {PREPROCESSORS[-1]}: {_first_line(error)}; it must say image_mean, "
            "image_std and size, which the backbone was trained with"
        ) from error


def _first(config: Mapping[str, Any], *names: str) -> int:
    found = next(config[name] for name in names if name in config)
    return int(found[0] if isinstance(found, list | tuple) else found)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else repr(error)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without bars and lists of the layers that are ours to train."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
