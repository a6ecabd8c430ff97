"""Footage engine: staged scenes before photographs of real places, by body camera and on film."""

from __future__ import annotations

from functools import partial

from pipeline.engines.render.camera_take import BodyCameraTake
from pipeline.engines.render.film_take import FilmTake
from pipeline.engines.render.long_take import LongCameraTake
from pipeline.engines.render.script import LOCATIONS
from pipeline.engines.render.takes import Recipe

RECIPE = Recipe("location", (BodyCameraTake, FilmTake), LOCATIONS, LOCATIONS, family="location")
record = RECIPE.record
record_long = partial(RECIPE.record_long, LongCameraTake)
