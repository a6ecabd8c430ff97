"""Footage engine: one scene with the same people and discharges in several looks."""

from __future__ import annotations

from pipeline.config import RenderSettings
from pipeline.engines.render import takes
from pipeline.engines.take import Take


def record(seed: int, index: int, settings: RenderSettings) -> list[Take]:
    """Render the recording of an index as a body camera, a game and a film would show it.

    The takes share the recording's name, so that no split can part them: only the look tells
    their origins apart.

    Raises:
        UserError: a height that cannot be encoded.
        Dropped: the body camera sees little but its wearer, an obstacle or nothing, or the
            film finds no place that shows a person, or all is dark.
    """
    script = takes.write("twins", seed, index, settings)
    return [look(script, settings) for look in (takes.real, takes.game, takes.film)]
