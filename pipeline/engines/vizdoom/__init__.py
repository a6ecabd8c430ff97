"""Footage engine: ViZDoom plays Freedoom maps, and telemetry says when a firearm was fired."""

from pipeline.engines.vizdoom.engine import record

__all__ = ["record"]
