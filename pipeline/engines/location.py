"""Footage engine: staged scenes before photographs of real places, by body camera and on film."""

from __future__ import annotations

from pipeline.config import RenderSettings
from pipeline.engines.render import takes
from pipeline.engines.take import Take


def record(seed: int, index: int, settings: RenderSettings) -> list[Take]:
    """Stage the recording of an index: a pure function of its arguments.

    Raises:
        UserError: a height that cannot be encoded.
        Dropped: the camera sees little but its wearer, an obstacle or nothing.
    """
    script = takes.write("location", seed, index, settings)
    return [takes.real(script, settings), takes.film(script, settings)]
