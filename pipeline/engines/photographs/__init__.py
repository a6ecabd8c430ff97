"""Footage engine: photographs of real places as they are, seen by a camera that moves."""

from pipeline.engines.photographs.engine import record, record_long

__all__ = ["record", "record_long"]
