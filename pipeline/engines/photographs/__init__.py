"""Footage engine: photographs of real places as they are, seen by a camera that moves."""

from pipeline.engines.photographs.engine import record

__all__ = ["record"]
