"""Turns a composed configuration into its types, and names every value that does not fit."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from omegaconf import DictConfig, Node, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from pipeline.config import App
from pipeline.errors import UserError

_IN_WORDS: dict[Any, str] = {int: "whole number", float: "number", str: "text"}


def to_dataclass(config: DictConfig, kind: type[App]) -> App:
    """Turn a composed config into `kind`; reports every missing or impossible value at once."""
    keys = [f.name for f in fields(kind)]
    if wrong := list(_unreadable(config, keys)):
        raise UserError(f"configuration: {'; '.join(wrong)}")
    missing = sorted(key for key in OmegaConf.missing_keys(config) if key.split(".")[0] in keys)
    if missing:
        raise UserError(
            f"configuration: no value for {', '.join(missing)}; set it in conf/ or as key=value"
        )
    composed = OmegaConf.to_object(config)
    app = kind(**{key: getattr(composed, key) for key in keys})
    wrong = [f"{_origin(config, key, value)} {must}" for key, value, must in _impossible(app)]
    if wrong:
        raise UserError(f"configuration: {'; '.join(wrong)}")
    return app


def _unreadable(config: DictConfig, keys: list[str]) -> Iterator[str]:
    """What is said of values that are no values of their type, most likely of the environment."""
    nodes = [(key, config) for key in keys]
    for key, parent in nodes:
        name = key.rpartition(".")[2]
        try:
            value = parent[name]
        except MissingMandatoryValue:
            continue
        except OmegaConfBaseException:
            node = parent._get_node(name)
            kind = node._metadata.ref_type if isinstance(node, Node) else None
            what = _IN_WORDS.get(kind, "value")
            yield f"{_origin(config, key)} is no {what}; give one, or unset it"
        else:
            if isinstance(value, DictConfig):
                nodes += [(f"{key}.{inner!s}", value) for inner in value]


def _origin(config: DictConfig, key: str, value: Any = None) -> str:
    """A key with its value, or the environment variable that gave it."""
    parent = OmegaConf.select(config, key.rpartition(".")[0]) if "." in key else config
    node = parent._get_node(key.rpartition(".")[2])
    raw: Any = None if node is None else node._value()
    found = re.search(r"\$\{oc\.env:(\w+)", str(raw))
    if found and found[1] in os.environ:
        return f"{found[1]}={os.environ[found[1]]} ({key})"
    return f"{key}={value if value is not None else raw}"


def _impossible(values: Any, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Keys whose value is out of range, with what it must be."""
    for f in fields(values):
        value, key = getattr(values, f.name), f"{prefix}{f.name}"
        if is_dataclass(value):
            yield from _impossible(value, f"{key}.")
        elif isinstance(value, list) and any(is_dataclass(one) for one in value):
            for number, one in enumerate(value):
                yield from _impossible(one, f"{key}[{number}].")
        elif "one_of" in f.metadata:
            if value not in f.metadata["one_of"]:
                yield key, value, f"must be one of {', '.join(f.metadata['one_of'])}"
        elif "between" in f.metadata:
            low, high = f.metadata["between"]
            for one in value if isinstance(value, list) else [value]:
                if one is not None and not low <= one <= high:
                    most = "" if high == float("inf") else f" and at most {high:g}"
                    yield key, one, f"must be at least {low:g}{most}"
