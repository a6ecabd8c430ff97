"""Footage engine: one scene with the same people and discharges in several appearances.

A body camera, a game and a film show each recording: only the appearance tells their origins
apart.
"""

from __future__ import annotations

from pipeline.engines.render.camera_take import BodyCameraTake
from pipeline.engines.render.film_take import FilmTake
from pipeline.engines.render.game_take import GameTake
from pipeline.engines.render.takes import Recipe

RECIPE = Recipe("twins", (BodyCameraTake, GameTake, FilmTake))
record = RECIPE.record
