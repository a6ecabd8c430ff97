"""Footage engine: staged scenes, ray-traced, filmed by body cameras."""

from __future__ import annotations

from functools import partial

from pipeline.engines.render.camera_take import BodyCameraTake
from pipeline.engines.render.long_take import LongCameraTake
from pipeline.engines.render.takes import Recipe

RECIPE = Recipe("bodycam", (BodyCameraTake,))
record = RECIPE.record
record_long = partial(RECIPE.record_long, LongCameraTake)
