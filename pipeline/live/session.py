"""One connection to a stream, or one way through a file: the processes that fetch and decode it."""

from __future__ import annotations

import fcntl
import json
import math
import multiprocessing
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from pipeline.config import ClipFormat
from pipeline.footage import foreign
from pipeline.live import decoder, fetcher
from pipeline.live.decoder import DecodingTask
from pipeline.live.fetcher import BEHIND, Fetch, SessionEnd
from pipeline.live.messages import Message, receive

# Modules of which every process of a stream has need.
_PRELOADED = ("av", "cv2", "numpy", "pipeline.live.decoder", "pipeline.live.fetcher")
_SET_PIPE_SIZE, _PIPE_BYTES = 1031, 2**20
_REPORT_WAIT_S = 2.0
_MAX_REPORT = 2**16


@dataclass(frozen=True)
class SessionSettings:
    """Holds what the processes of a session are given.

    Attributes:
        clip: the format of the clips.
        limits: of a picture, and of the length that is decoded.
        memory_mb: what each process may take.
        prints: whether it tells what banks are searched by.
    """

    clip: ClipFormat
    limits: foreign.DecodingLimits
    memory_mb: int
    prints: bool = False


class Session:
    """The processes that bring the clips of a stream, until it is closed."""

    def __init__(self, source: Path | Fetch, means: SessionSettings) -> None:
        """Start on a file, or on what is to be fetched."""
        self._clip = means.clip
        self._processes: list[BaseProcess] = []
        self._report: Connection | None = None
        self._reported: SessionEnd | None = None
        self._behind_s = 0.0
        context: Any = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(_PRELOADED))
        self._messages, out = context.Pipe(duplex=False)
        theirs = [out]
        pipes = None
        path = source if isinstance(source, Path) else None
        try:
            if isinstance(source, Fetch):
                self._report, report = context.Pipe(duplex=False)
                ends = [context.Pipe(duplex=False) for _ in range(2)]
                for readable, _ in ends:
                    # Where the system grants no more, the fetcher has a buffer of its own.
                    with suppress(OSError):
                        fcntl.fcntl(readable.fileno(), _SET_PIPE_SIZE, _PIPE_BYTES)
                pipes = tuple(readable for readable, _ in ends)
                writable = tuple(one for _, one in ends)
                theirs += [report, *pipes, *writable]
                self._start(context, fetcher.main, source, report, writable, means.memory_mb)
            task = DecodingTask(path, means.clip, means.limits, means.memory_mb, means.prints)
            self._start(context, decoder.main, task, out, pipes)
        except BaseException:
            self.close()
            raise
        finally:
            for one in theirs:
                one.close()

    def receive(self, timeout_s: float) -> Message | None:
        """Return what comes next; None where nothing has come in time.

        Raises:
            EOFError, OSError: the decoder has died.
            BrokenDecoder: it sends what no decoder sends.
        """
        return receive(self._messages, self._clip) if self._messages.poll(timeout_s) else None

    def report(self, timeout_s: float = _REPORT_WAIT_S) -> SessionEnd | None:
        """Return why the fetcher has ended; None where it has not, or has died."""
        until = time.monotonic() + timeout_s
        with suppress(OSError, EOFError, ValueError, TypeError, KeyError):
            while self._report is not None and self._reported is None:
                if not self._report.poll(max(0.0, until - time.monotonic())):
                    break
                told = json.loads(self._report.recv_bytes(_MAX_REPORT))
                if BEHIND in told:
                    behind_s = float(told[BEHIND])
                    self._behind_s = behind_s if math.isfinite(behind_s) else 0.0
                else:
                    begins = tuple(told["begins"])
                    self._reported, self._behind_s = SessionEnd(**told | {"begins": begins}), 0.0
        return self._reported

    def behind_s(self) -> float:
        """Return how long what was fetched waits for the decoder."""
        self.report(0.0)
        return self._behind_s

    def close(self) -> None:
        """End the processes, and wait until they are gone."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()
            process.close()
        self._processes = []
        for one in (self._messages, self._report):
            if one is not None:
                one.close()

    def _start(self, context: Any, target: Any, *arguments: Any) -> None:
        process = context.Process(target=target, args=(*arguments, os.getpid()), daemon=True)
        process.start()
        self._processes.append(process)
