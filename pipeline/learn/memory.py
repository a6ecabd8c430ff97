"""Keeps memory that was freed for the next batch."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def keep_freed() -> None:
    """Let the C library keep what tensors free, where it is glibc; elsewhere nothing changes.

    It would give every large block back to the system at once, and get it again filled with zeros,
    page by page: half of the time of a small network on a CPU. The process then holds as much as it
    needed at its peak.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _NEVER)
