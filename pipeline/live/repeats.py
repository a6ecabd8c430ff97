"""Tells an answer that begins as the one before it did from a stream that goes on.

A recording that is given without its length looks like a stream that was cut off. Whoever asks
again gets it from its beginning, for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

STEPS = tuple(4096 * 4**number for number in range(5))
"""Bytes from the beginning that are compared."""


class Beginning:
    """Holds back an answer for as long as it is the one before.

    Streams hold times, by which they differ in the first step; no more than the last one is held.

    Attributes:
        marks: hashes of what came up to each step, and of all where it ended before the last one.
        repeats: all marks are those of the answer before.
    """

    def __init__(self, before: Sequence[str]) -> None:
        """Begin an answer after another one, whose marks are given; none for the first one."""
        self._before = tuple(before)
        self._hash, self._num_bytes = hashlib.sha256(), 0
        self._held: list[bytes] | None = [] if before else None
        self.marks: list[str] = []
        self.repeats = False

    def take(self, data: bytes) -> bytes:
        """Take what comes next; returns what is to be passed on now."""
        rest = memoryview(data)
        while len(rest) and len(self.marks) < len(STEPS):
            part = rest[: STEPS[len(self.marks)] - self._num_bytes]
            rest = rest[len(part) :]
            self._hash.update(part)
            self._num_bytes += len(part)
            if self._num_bytes == STEPS[len(self.marks)]:
                self._mark()
        if self._held is None:
            return data
        self._held.append(data)
        if tuple(self.marks) != self._before[: len(self.marks)]:
            return self._released()
        self.repeats = len(self.marks) == len(STEPS)
        return b""

    def end(self) -> bytes:
        """Take the end of the answer; returns what is to be passed on."""
        if self._num_bytes and len(self.marks) < len(STEPS):
            self._mark()
        self.repeats = bool(self._before) and tuple(self.marks) == self._before
        return b"" if self.repeats else self._released()

    def _mark(self) -> None:
        self.marks.append(self._hash.hexdigest())

    def _released(self) -> bytes:
        held, self._held = b"".join(self._held or ()), None
        return held
