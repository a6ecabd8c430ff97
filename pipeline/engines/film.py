"""Footage engine: staged scenes, ray-traced, filmed by a cinema camera."""

from __future__ import annotations

from functools import partial

from pipeline.engines.render.film_take import FilmTake
from pipeline.engines.render.long_film_take import LongFilmTake
from pipeline.engines.render.takes import Recipe

RECIPE = Recipe("film", (FilmTake,))
record = RECIPE.record
record_long = partial(RECIPE.record_long, LongFilmTake)
