"""Footage engine: staged scenes, ray-traced, filmed by body cameras."""

from __future__ import annotations

from pipeline.engines.render.camera_take import BodyCameraTake
from pipeline.engines.render.takes import Recipe

RECIPE = Recipe("bodycam", (BodyCameraTake,))
record = RECIPE.record
