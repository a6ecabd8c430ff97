"""Ranges of values, beside their type, that a field of the configuration may have."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from omegaconf import MISSING


def between(low: float, high: float = float("inf"), default: Any = MISSING) -> Any:
    """A field whose value, or each of whose values, must be from `low` to `high`."""
    return field(default=default, metadata={"between": (low, high)})


def one_of(*choices: str, default: str = MISSING) -> Any:
    """A field whose value must be one of `choices`."""
    return field(default=default, metadata={"one_of": choices})
