"""Footage engine: ViZDoom plays Freedoom maps, and telemetry says when a firearm was fired.

The process that plays imports this package too, and needs next to nothing of what recording needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.config import GameSettings
    from pipeline.engines.take import Take

__all__ = ["record", "record_long"]


def record(seed: int, index: int, settings: GameSettings) -> list[Take]:
    """Record one short take; `engine.record` has the rest."""
    from pipeline.engines.vizdoom import engine

    return engine.record(seed, index, settings)


def record_long(seed: int, index: int, settings: GameSettings) -> list[Take]:
    """Record one take of minutes; `engine.record_long` has the rest."""
    from pipeline.engines.vizdoom import engine

    return engine.record_long(seed, index, settings)
