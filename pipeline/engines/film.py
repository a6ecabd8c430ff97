"""Footage engine: staged scenes, ray-traced, filmed by a cinema camera."""

from __future__ import annotations

from pipeline.engines.render.film_take import FilmTake
from pipeline.engines.render.takes import Recipe

RECIPE = Recipe("film", (FilmTake,))
record = RECIPE.record
