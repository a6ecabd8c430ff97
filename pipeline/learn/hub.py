"""Reads models of Hugging Face transformers from a folder or the hub.

Only weights in safetensors are read, and no code beside transformers' own runs.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from pipeline.errors import UserError
from pipeline.store import workdir

log = logging.getLogger(__name__)

PREPROCESSORS = ("video_preprocessor_config.json", "preprocessor_config.json")
_PROCESSOR = "processor_config.json"
"""Where newer releases keep what several preprocessors need, each under a name of its own."""
_CARD = "README.md"
_UNSTATED = "not stated by the checkpoint"
_WEIGHTS = "model.safetensors"
_WEIGHTS_INDEX = f"{_WEIGHTS}.index.json"


def need_transformers(asked: str) -> None:
    """Raise `UserError` where transformers is not installed.

    Args:
        asked: what needs it: a file, key and value, or weights; it begins the message.
    """
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"{asked}: transformers is not installed; run pip install '.[hf]' in the clone of "
            "Discern"
        ) from error


def read_config(asked: str, name: str) -> Any:
    """The config of the model in the folder `name`, or of the hub id `name` or `name@revision`.

    Args:
        asked: the file, key and value that named it, for messages.

    Raises:
        UserError: transformers is missing, there is no such folder or model, or it needs code of
            its own.
    """
    need_transformers(asked)
    import transformers

    path_or_id, revision = path_or_id_of(name)
    looked_for = Path(path_or_id).absolute()
    if revision is None and _is_missing_folder(path_or_id):
        raise UserError(
            f"{asked}: no backbone there ({looked_for}: no such folder); give a folder with a "
            "config.json, or a hub id, with @revision where a folder is called like its owner"
        )
    try:
        with quiet():
            return transformers.AutoConfig.from_pretrained(
                path_or_id, revision=revision, trust_remote_code=False
            )
    except (OSError, ValueError, KeyError, ImportError) as error:
        if "trust_remote_code" in str(error):
            raise UserError(
                f"{asked}: the model needs code of its own, which is never run here; take one of a "
                "kind that transformers itself has"
            ) from error
        raise UserError(
            f"{asked}: no backbone there ({first_line(error)}, and {_folder(looked_for)}); give "
            "a folder with a config.json, or a hub id that this machine can reach"
        ) from error


def _folder(path: Path) -> str:
    return f"{path} is a folder" if path.is_dir() else f"there is no folder {path}"


def _is_missing_folder(path_or_id: str) -> bool:
    """Return whether it is no hub id, or lies in a folder of this machine, and is not there.

    The hub would be asked for it for half a minute where it cannot be reached.
    """
    path = Path(path_or_id)
    is_id = len(path.parts) <= 2 and not path_or_id.startswith(("/", ".", "~"))
    lies_here = len(path.parts) == 2 and path.parent.is_dir()
    return not path.is_dir() and (not is_id or lies_here)


def read_weights(asked: str, name: str, kind: Any, config: Any) -> tuple[nn.Module, frozenset[str]]:
    """A model in float32 with its trained weights, and the parameters that the checkpoint lacked.

    Args:
        asked: as in `read_config`.
        kind: class of transformers that has `from_pretrained`.
        config: what the model is made of, instead of the checkpoint's own.

    Raises:
        UserError: the weights are missing, damaged, of another shape, or no safetensors.
    """
    from safetensors import SafetensorError

    path_or_id, revision = path_or_id_of(name)
    try:
        with quiet():
            model, info = kind.from_pretrained(
                path_or_id,
                config=config,
                revision=revision,
                trust_remote_code=False,
                use_safetensors=True,
                dtype="float32",
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(
            f"{asked}: no weights that can be used ({first_line(error)}); only safetensors are "
            "read, so convert others with save_pretrained where you trust them"
        ) from error
    return model, frozenset(info["missing_keys"])


def load_rounded(asked: str, model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give a model weights, rounded to half precision, which detectors keep encoders in.

    Args:
        asked: the file, key and value that named them, for messages.

    Raises:
        UserError: some are beyond half precision.
    """
    rounded = dict(state)
    for key, value in state.items():
        if value.is_floating_point():
            rounded[key] = value.half().to(value.dtype)
            if not rounded[key].isfinite().all():
                raise UserError(
                    f"{asked}: {key} has values beyond half precision, which detectors keep "
                    "encoders in; take another checkpoint"
                )
    model.load_state_dict(rounded)


def read_preprocessor(name: str, *sections: str) -> dict[str, Any]:
    """Return what a checkpoint says about the preparation of its input.

    Args:
        sections: of `processor_config.json`, where it stands in no file of its own.

    Raises:
        OSError, ValueError: there is no such file, or no JSON in it.
    """
    for file in PREPROCESSORS:
        if (path := cached(name, file)) is not None:
            return _json_object(path)
    if (path := cached(name, _PROCESSOR)) is not None:
        values = _json_object(path)
        for section in sections:
            if isinstance(values.get(section), dict):
                return dict(values[section])
    raise ValueError("missing")


def _json_object(path: Path) -> dict[str, Any]:
    values = json.loads(path.read_text())
    if not isinstance(values, dict):
        raise ValueError("no JSON object")
    return values


def cached(name: str, file: str) -> Path | None:
    """Return where a file of a checkpoint lies on this machine, downloaded if need be; None
    without.

    Raises:
        OSError: the hub does not answer.
    """
    from transformers.utils.hub import cached_file

    path_or_id, revision = path_or_id_of(name)
    with quiet():
        found = cached_file(
            path_or_id,
            file,
            revision=revision,
            _raise_exceptions_for_missing_entries=False,
        )
    return Path(found) if found else None


def weights_sha256(name: str) -> str:
    """The SHA-256 of the weights of a checkpoint.

    Of one file it is that of the file, of several that of the lines `<sha256>  <name>`.

    Raises:
        OSError, ValueError, KeyError: they are not there.
    """
    if (path := cached(name, _WEIGHTS)) is not None:
        return workdir.file_sha256(path)
    if (index := cached(name, _WEIGHTS_INDEX)) is None:
        raise ValueError(f"no {_WEIGHTS}")
    lines = ""
    for file in sorted(set(_json_object(index)["weight_map"].values())):
        path = cached(name, file)
        if path is None:
            raise ValueError(f"no {file}")
        lines += f"{workdir.file_sha256(path)}  {file}\n"
    return hashlib.sha256(lines.encode()).hexdigest()


def warn_unpinned(asked: str, name: str) -> None:
    """Warn of a hub id without a revision, because what it stands for changes with time."""
    _, revision = path_or_id_of(name)
    if revision is None and (commit := commit_of(name)) is not None:
        log.warning(
            "%s: without @revision the same run may read other weights another day; these are "
            "hf:%s@%s",
            asked,
            name,
            commit,
        )


def commit_of(name: str) -> str | None:
    """The commit of the hub that `name` stood for when it was read.

    None for a folder, and for a hub id that was never read on this machine.
    """
    if Path(name).is_dir():
        return None
    from huggingface_hub import try_to_load_from_cache

    path_or_id, revision = path_or_id_of(name)
    config = try_to_load_from_cache(path_or_id, "config.json", revision=revision)
    return Path(config).parent.name if isinstance(config, str) else None


def licence_of(name: str) -> str | None:
    """The licence that the model card of a checkpoint states, as it words it."""
    from huggingface_hub import ModelCard

    try:
        path = cached(name, _CARD)
        if path is None:
            return None
        values = ModelCard(path.read_text(), ignore_metadata_errors=True).data.to_dict()
    except (OSError, ValueError):
        return None
    stated = values.get("license_name") or values.get("license")
    return " ".join(str(stated).split()) if stated else None


def provenance_of(name: str) -> dict[str, str]:
    """Where the weights of a checkpoint come from, as `Encoder.provenance` tells it."""
    path_or_id, _ = path_or_id_of(name)
    commit = commit_of(name)
    short = Path(path_or_id).resolve().name if Path(path_or_id).is_dir() else path_or_id
    return {
        "name": short,
        "origin": f"folder {short}" if commit is None else f"hub {path_or_id}@{commit}",
        "licence": licence_of(name) or _UNSTATED,
        "sha256": weights_sha256(name),
    }


def path_or_id_of(name: str) -> tuple[str, str | None]:
    """Folder or hub id, and the revision of the latter if it is given."""
    path_or_id, _, revision = (name, "", "") if Path(name).is_dir() else name.partition("@")
    return path_or_id, revision or None


def own_values(config: Any) -> dict[str, Any]:
    """Return what a config says about the model itself, as JSON values.

    The rest is of no use here or dangerous: an attention implementation may name code on the hub.
    """
    import transformers

    known = set(type(config)().to_dict()) - set(transformers.PretrainedConfig().to_dict())
    return {key: value for key, value in config.to_dict().items() if key in known}


def config_of(kind: Any, config: Mapping[str, Any], **more: Any) -> Any:
    """The config object, of a class of transformers, of what `own_values` gave."""
    return kind(**own_values(kind(**config)), **more)


def first_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else repr(error)


@contextmanager
def quiet() -> Iterator[None]:
    """Without bars and lists of layers that are missing or left over."""
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
