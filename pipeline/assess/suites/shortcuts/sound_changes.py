"""Clips whose sound is taken away, covered, that of something else, or late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.assess.altered_clips import Change, drawn_change
from pipeline.transforms.registry import STRENGTHS

MUTED = "muted"
_CHANGES: Mapping[str, tuple[str, dict[str, Any]]] = {
    MUTED: ("mute", {"share": 1.0}),
    "music": ("music", {}),
    "swapped": ("swapped", {"share": 1.0}),
    "late": ("delay", {"delay_s": 0.5}),
}
NAMES = tuple(_CHANGES)


def changes() -> dict[str, Change]:
    """A severe transform of sound of each name; pictures stay as they are."""
    return {
        name: drawn_change(transform, STRENGTHS["severe"], **forced)
        for name, (transform, forced) in _CHANGES.items()
    }
