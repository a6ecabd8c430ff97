"""Footage engine: bots play OpenArena, and the game's own events say when a firearm was fired."""

from pipeline.engines.openarena.engine import record, record_long
from pipeline.engines.openarena.game import missing, programs

__all__ = ["missing", "programs", "record", "record_long"]
