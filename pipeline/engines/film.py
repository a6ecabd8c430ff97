"""Footage engine: staged scenes, ray-traced, filmed by a cinema camera."""

from __future__ import annotations

from pipeline.config import RenderSettings
from pipeline.engines.render import takes
from pipeline.engines.take import Take


def record(seed: int, index: int, settings: RenderSettings) -> list[Take]:
    """Render the recording of an index: a pure function of its arguments.

    Raises:
        UserError: a height that cannot be encoded.
        Dropped: no set-up was found that shows a person unhidden, or all is dark.
    """
    return [takes.film(takes.write("film", seed, index, settings), settings)]
