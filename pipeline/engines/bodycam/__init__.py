"""The body-camera engine: scripted scenes, ray-traced, filmed by a body camera or a game."""

from pipeline.engines.bodycam.engine import record

__all__ = ["record"]
