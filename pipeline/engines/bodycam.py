"""Footage engine: staged scenes, ray-traced, filmed by body cameras."""

from __future__ import annotations

from pipeline.config import RenderSettings
from pipeline.engines.render import takes
from pipeline.engines.take import Take


def record(seed: int, index: int, settings: RenderSettings) -> list[Take]:
    """Render the recording of an index: a pure function of its arguments.

    Raises:
        UserError: a height that cannot be encoded.
        Dropped: the camera sees little but its wearer, an obstacle or nothing.
    """
    return [takes.real(takes.write("bodycam", seed, index, settings), settings)]
