"""Lines written into a pipe whose reader may hang, while whoever writes them goes on."""

from __future__ import annotations

import logging
import os
import select
import stat
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from pipeline.errors import UserError

log = logging.getLogger(__name__)

_SOON_S = 1.0
"""A reader that takes a line later than this is waited for no more."""
_MOST_BYTES = 2**26
_LOOK_EVERY_MS = 100
_PAUSE_S = 0.01


def pipe_of(out: TextIO) -> Path | None:
    """Where the pipe that a file writes into can be opened once more; None where it is no pipe."""
    try:
        again = Path(f"/proc/self/fd/{out.fileno()}")
        return again if stat.S_ISFIFO(again.stat().st_mode) else None
    except OSError:
        return None


def unwritten(error: OSError) -> UserError:
    """Return what is said where events cannot be written to stdout."""
    said = "nobody reads events there any more"
    if not isinstance(error, BrokenPipeError):
        said = f"events cannot be written there ({error.strerror})"
    return UserError(f"stdout: {said}; nothing is watched")


class Pipe:
    """A pipe that lines are put into, which wait in memory while nobody reads it."""

    def __init__(self, path: Path) -> None:
        """Begin to write.

        Args:
            path: of the pipe, as `pipe_of` gives it.

        Raises:
            UserError: nobody reads it any more.
        """
        try:
            # Whoever shares the descriptor that there is expects to wait for the reader.
            self._out = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            raise unwritten(BrokenPipeError()) from error
        self._changed = threading.Condition()
        self._lines = deque[bytes]()
        self._num_bytes = 0
        self._is_behind = self._is_over = False
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="pipe", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Write a line, or leave it to be written while the reader hangs.

        Raises:
            UserError: nobody reads the pipe any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._num_bytes < _MOST_BYTES or self._error is not None)
            self._lines.append(line)
            self._num_bytes += len(line)
            self._changed.notify_all()
            if not self._is_behind and not self._is_done(_SOON_S):
                self._is_behind = True
                log.warning("watch: stdout: whoever reads events there has stopped; they wait")
            self._check()

    def finish(self, wait_s: float | None) -> None:
        """Wait until all lines are written, at most for so long; without an end where None.

        Raises:
            UserError: nobody reads the pipe any more.
        """
        with self._changed:
            self._is_done(wait_s)
            self._is_over = True
            self._changed.notify_all()
            if self._lines:
                log.warning("watch: stdout: %d events were not read", len(self._lines))
        self._thread.join()
        os.close(self._out)
        self._check()

    def _is_done(self, wait_s: float | None) -> bool:
        """Return whether nothing is left to write within so many seconds."""
        return self._changed.wait_for(lambda: not self._lines or self._error is not None, wait_s)

    def _check(self) -> None:
        if self._error is not None:
            raise unwritten(self._error) from self._error

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._is_over)
                if self._is_over:
                    return
                line = self._lines[0]
            try:
                is_whole = self._write(line)
            except OSError as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            with self._changed:
                if is_whole:
                    self._lines.popleft()
                    self._num_bytes -= len(line)
                    self._is_behind = self._is_behind and bool(self._lines)
                self._changed.notify_all()

    def _write(self, line: bytes) -> bool:
        """Write a line; returns whether it is whole, which it is not where all is over before."""
        waiting = select.poll()
        waiting.register(self._out, select.POLLOUT)
        rest = memoryview(line)
        while rest and not self._is_over:
            if not waiting.poll(_LOOK_EVERY_MS):
                continue
            try:
                rest = rest[os.write(self._out, rest) :]
            except BlockingIOError:
                time.sleep(_PAUSE_S)
        return not rest


@contextmanager
def piped(path: Path, hurried_s: float) -> Iterator[Pipe]:
    """A pipe to put lines into, all of which are read at the end.

    Args:
        path: of the pipe, as `pipe_of` gives it.
        hurried_s: how long the reader is waited for where the block ends early.
    """
    pipe = Pipe(path)
    try:
        yield pipe
    except BaseException:
        with suppress(UserError):
            pipe.finish(hurried_s)
        raise
    pipe.finish(None)
