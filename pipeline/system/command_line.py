"""Hides secrets of the command line from whoever lists processes, and from Ray's jobs."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc/self")
# Fields of /proc/self/stat behind the name of the process: where its arguments begin and end.
_BEGIN, _END = 45, 46


def hide(secrets: Iterable[str]) -> None:
    """Overwrite texts in it with as many x, for all who read it from now on.

    What the process itself was given stays as it is. Where the system does not tell where its
    arguments lie, nothing is overwritten.
    """
    with suppress(OSError, ValueError, IndexError):
        line = (_PROC / "cmdline").read_bytes()
        fields = (_PROC / "stat").read_text().rpartition(")")[2].split()
        begin, end = int(fields[_BEGIN]), int(fields[_END])
        if not 0 < end - begin == len(line):
            return
        for secret in filter(None, map(os.fsencode, secrets)):
            at = line.find(secret)
            while at >= 0:
                ctypes.memset(begin + at, ord("x"), len(secret))
                at = line.find(secret, at + len(secret))
