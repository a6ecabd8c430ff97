"""The process that fetches a stream: it has the network, and decodes nothing.

The bytes that it gets go through two pipes, once for who decodes the pictures and once for who
decodes the sound. Before it ends it says why.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from pipeline.live.addresses import ForbiddenAddress, Rules
from pipeline.live.backlog import Backlog
from pipeline.system import sandbox

_MAX_WAITING = 32 * 2**20
_STUCK_S = 1.0
_TELL_EVERY_S = 0.5
BEHIND = "behind_s"
"""What a fetcher tells until it ends with a `SessionEnd`."""


@dataclass(frozen=True)
class Bounds:
    """Holds what a server may cost.

    Attributes:
        timeout_s: for a connection, and for the next byte.
        max_segment_mb: of a segment of HLS.
    """

    timeout_s: float
    max_segment_mb: float


@dataclass(frozen=True)
class Fetch:
    """Holds what to fetch, and how.

    Attributes:
        url: with all secrets, so that it is in no text of this object.
        go_on_at: the number of a segment of HLS; None to begin where the stream is now.
        begins: what the answer before began with, as `repeats.Beginning.marks` has it.
        num_late: how often it was connected to anew for a track that came late.
    """

    url: str = field(repr=False)
    rules: Rules
    bounds: Bounds
    go_on_at: int | None = None
    begins: tuple[str, ...] = ()
    num_late: int = 0


@dataclass(frozen=True)
class SessionEnd:
    """Tells why a fetcher, or a session with a stream, has ended.

    Attributes:
        reason: a short code; "end" where the server has ended the stream.
        detail: holds nothing of an address but scheme and host.
        is_final: trying again would give the same, and no other session follows.
        go_on_at, begins, num_late: as `Fetch` has them, for the next try.
    """

    reason: str
    detail: str = ""
    is_final: bool = False
    go_on_at: int | None = None
    begins: tuple[str, ...] = ()
    num_late: int = 0


class FetchFailure(Exception):
    """A stream cannot be fetched, or not any more; `report` says why."""

    def __init__(self, reason: str, detail: str = "", *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.report = SessionEnd(reason, detail, is_final)


class ReaderGone(Exception):
    """Nobody reads what is fetched any more."""


def main(
    fetch: Fetch,
    report: Connection,
    out: tuple[Connection, Connection],
    memory_mb: int,
    parent: int,
) -> None:
    """Fetch until the stream ends, and report why it did."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sandbox.die_with(parent)
    address_space = memory_mb << 20
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    twin, is_over = Twin(out), threading.Event()
    telling = threading.Thread(target=_tell, args=(twin, report, is_over), daemon=True)
    telling.start()
    with suppress(ReaderGone, OSError):
        found = _fetched(fetch, twin)
        is_over.set()
        telling.join()
        report.send_bytes(json.dumps(found.__dict__).encode())
    twin.close()


def _tell(twin: Twin, report: Connection, is_over: threading.Event) -> None:
    """Report how far the decoder of the pictures is behind, where that changes."""
    told_s = 0.0
    with suppress(OSError):
        while not is_over.wait(_TELL_EVERY_S):
            behind_s = round(twin.behind_s(), 1)
            if behind_s != told_s:
                told_s = behind_s
                report.send_bytes(json.dumps({BEHIND: behind_s}).encode())


def _fetched(fetch: Fetch, twin: Twin) -> SessionEnd:
    from pipeline.live.protocols import follow

    try:
        return follow(fetch, twin)
    except FetchFailure as error:
        return error.report
    except ForbiddenAddress as error:
        return SessionEnd("refused", str(error), is_final=True)
    except TimeoutError:
        return SessionEnd("timeout", f"nothing came for {fetch.bounds.timeout_s:g} s")
    except MemoryError:
        return SessionEnd("out_of_memory")
    except OSError as error:
        return SessionEnd("unreachable", error.strerror or type(error).__name__)
    except ReaderGone:
        raise
    except Exception as error:
        # Texts of errors that nobody foresaw may hold addresses.
        return SessionEnd("unforeseen", type(error).__name__)


class Twin:
    """Writes the same bytes into two pipes, each of which is read at its own pace.

    The first is for the pictures, the second for the sound. Sound is not read before the first
    window of pictures is there. Where pictures wait for more and sound has no more room, its oldest
    bytes are dropped, as both would wait for ever.
    """

    def __init__(self, out: tuple[Connection, Connection]) -> None:
        """Begin with two pipes, which it closes."""
        self._changed = threading.Condition()
        self._waiting: tuple[deque[bytes], ...] = tuple(deque() for _ in out)
        self._num_bytes = [0 for _ in out]
        self._backlog = Backlog(out[0].fileno())
        self._is_closed = self._is_gone = False
        self._threads = [
            threading.Thread(target=self._pump, args=(number, one), daemon=True)
            for number, one in enumerate(out)
        ]
        for thread in self._threads:
            thread.start()

    def write(self, data: bytes) -> int:
        """Write, waiting while too much is not read yet.

        Raises:
            Gone: nobody reads any more.
        """
        with self._changed:
            while not self._is_gone and max(self._num_bytes) > _MAX_WAITING:
                before = list(self._num_bytes)
                self._changed.wait(_STUCK_S)
                if self._num_bytes == before and not before[0]:
                    self._drop_sound()
            if self._is_gone:
                raise ReaderGone
            for number, waiting in enumerate(self._waiting):
                waiting.append(bytes(data))
                self._num_bytes[number] += len(data)
            self._backlog.come(len(data), time.monotonic())
            self._changed.notify_all()
        return len(data)

    def behind_s(self) -> float:
        """Return how long what the pictures are made of has waited to be read."""
        with self._changed:
            return self._backlog.waits_s(time.monotonic())

    def close(self) -> None:
        """Wait until all is read, or nobody reads, and close the pipes."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _drop_sound(self) -> None:
        waiting = self._waiting[1]
        while len(waiting) > 1 and self._num_bytes[1] > _MAX_WAITING // 2:
            self._num_bytes[1] -= len(waiting.popleft())

    def _pump(self, number: int, out: Connection) -> None:
        waiting = self._waiting[number]
        with suppress(OSError):
            while True:
                with self._changed:
                    while not waiting and not self._is_closed:
                        self._changed.wait()
                    if not waiting:
                        break
                    data = memoryview(waiting.popleft())
                while data:
                    done = os.write(out.fileno(), data[:65536])
                    data = data[done:]
                    with self._changed:
                        self._num_bytes[number] -= done
                        if number == 0:
                            self._backlog.written(done)
                        self._changed.notify_all()
        with self._changed:
            if number == 0:
                self._backlog.close()
        out.close()
        # Who closes one pipe before its end reads neither.
        with self._changed:
            self._is_gone |= not self._is_closed
            self._changed.notify_all()
