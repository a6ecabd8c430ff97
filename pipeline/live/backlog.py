"""Measures how far whoever reads a pipe is behind what has come for it."""

from __future__ import annotations

import array
import fcntl
import termios
from collections import deque


class Backlog:
    """Knows when each byte came, and by how many are left which of them have been read."""

    def __init__(self, pipe: int) -> None:
        """Begin with a pipe that is empty.

        Args:
            pipe: file descriptor of either end.
        """
        self._pipe: int | None = pipe
        self._came: deque[tuple[int, float]] = deque()
        self._num_came = self._num_written = 0

    def come(self, num_bytes: int, now: float) -> None:
        """Bytes have come that are to be written."""
        self._num_came += num_bytes
        self._came.append((self._num_came, now))

    def written(self, num_bytes: int) -> None:
        """So many of them are in the pipe, or have been read."""
        self._num_written += num_bytes

    def close(self) -> None:
        """The pipe is closed."""
        self._pipe = None

    def waits_s(self, now: float) -> float:
        """Return how long the oldest byte that nobody has read has waited."""
        if self._pipe is None:
            return 0.0
        left = array.array("i", [0])
        fcntl.ioctl(self._pipe, termios.FIONREAD, left)
        num_read = self._num_written - left[0]
        while self._came and self._came[0][0] <= num_read:
            self._came.popleft()
        return now - self._came[0][1] if self._came else 0.0
