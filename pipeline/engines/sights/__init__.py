"""Footage engine: photographs of sights and of animals in the wild, out of a package of Debian.

`make footage` unpacks GCompris' files of pictures into the environment, where they are read. The
camera and its motion are those of the engine `photographs`.
"""

from pipeline.engines.sights.engine import missing, record

USES = ("photographs",)

__all__ = ["USES", "missing", "record"]
