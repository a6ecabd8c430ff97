"""The bytes of a stream from one pipe into others, a new one for each track of sound in turn."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.live.tracks import cutter_of

_READ_BYTES = 2**16
_LEAST_TO_TELL = 189
_MOST_WAITING = 4


class PipeRelay:
    """Reads a pipe to its end, whoever reads what comes of it.

    Where there is no sound, or none any more, whoever writes the same bytes for the pictures would
    wait for ever for these to be read.
    """

    def __init__(self, source: Path) -> None:
        """Begin to read."""
        self._changed = threading.Condition()
        self._waiting: list[int] = []
        """Ends of pipes that nobody reads yet."""
        self._out = self._next_pipe()
        threading.Thread(target=self._pump, args=(source,), daemon=True).start()

    @property
    def has_next(self) -> bool:
        """Return whether another track has begun."""
        return bool(self._waiting)

    @contextmanager
    def next_path(self) -> Iterator[Path]:
        """Yield where the next track can be opened once, while this lasts."""
        with self._changed:
            end = self._waiting.pop(0)
            self._changed.notify()
        try:
            yield Path(f"/dev/fd/{end}")
        finally:
            # Who has opened it has an end of his own, with which the pipe is closed.
            os.close(end)

    def _next_pipe(self) -> int:
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < _MOST_WAITING)
            end, out = os.pipe()
            self._waiting.append(end)
        return out

    def _pump(self, source: Path) -> None:
        with suppress(OSError), source.open("rb", buffering=0) as file:
            begin = b""
            while len(begin) < _LEAST_TO_TELL and (data := file.read(_READ_BYTES)):
                begin += data
            cutter, data = cutter_of(begin), begin
            while data:
                for begins, part in cutter.cut(data):
                    if begins:
                        os.close(self._out)
                        self._out = self._next_pipe()
                    # Who has heard the last of a track reads no further.
                    with suppress(BrokenPipeError):
                        self._write(part)
                data = file.read(_READ_BYTES)
            with suppress(BrokenPipeError):
                self._write(cutter.rest())
        os.close(self._out)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._out, rest) :]
