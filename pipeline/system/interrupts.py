"""Ends a process that is told to stop: one sentence, exit status 128 + n, outputs as they were.

SIGINT, SIGTERM and SIGHUP raise `Interrupted` where the work can be left, wait where it cannot, and
end the process by force where nothing reacts. The same happens when DVC, which forwards no signal
to its stages, ends before the stage that it started.
"""

from __future__ import annotations

import _thread
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_S = 30.0
"""Time in seconds that a process may take to stop once it was told to."""
_LOOK_EVERY_S = 0.3
_SHELLS = ("ash", "bash", "busybox", "dash", "fish", "ksh", "sh", "zsh")
_PROC = Path("/proc")


class Interrupted(BaseException):
    """A signal told this process to stop; no `except Exception` is to take it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class _Mode(Enum):
    LEAVE = "leave at once"
    RAISE = "raise in the main thread"
    NOTE = "leave it to whoever asks"


class _State:
    name = ""
    mode = _Mode.LEAVE
    received: int | None = None
    is_too_late = False
    is_lost = False
    """Tells whether code that cannot raise, such as a finaliser, swallowed what was raised."""
    kept = "earlier outputs are as they were; run it again"
    pid = 0
    seen: dict[int, str]
    """Descendants at any time since the signal: process id and start time."""


_state = _State()
_state.seen = {}


def is_first_rank() -> bool:
    """Tells whether this is the first, or the only one, of the processes that train together."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def start(name: str) -> None:
    """Take over the signals; until `raised`, they end the process at once.

    Call it as early as possible, since imports take seconds. What was ignored stays so (nohup).

    Args:
        name: of the stage or command, with which its sentence begins.
    """
    _state.name = name
    if _state.pid == os.getpid():
        return
    _state.pid = os.getpid()
    listen()
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    # Written to even while the main thread is in C code that does not come back.
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(readable, _starters()), daemon=True).start()
    os.register_at_fork(after_in_child=_forget)
    sys.unraisablehook = _unraisable


def listen() -> None:
    """Take the signals back from a library that has put handlers of its own."""
    if _state.pid == os.getpid() and threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _handle)


@contextmanager
def raised() -> Iterator[None]:
    """Raise `Interrupted` in the block; once it is over, it is too late to stop."""
    _state.mode, _state.is_too_late = _Mode.RAISE, False
    try:
        yield
    finally:
        _state.mode = _Mode.NOTE


def postpone() -> None:
    """Only note signals from here on; `due` tells of them, and `resume` raises them."""
    if _state.mode is _Mode.RAISE:
        _state.mode = _Mode.NOTE


def resume() -> None:
    """Raise signals again, and the one that was noted meanwhile."""
    if _state.mode is _Mode.NOTE:
        _state.mode, _state.is_too_late = _Mode.RAISE, False
    check()


def check() -> None:
    """Raise `Interrupted` if the process was told to stop, even if that was swallowed since."""
    if _state.received is not None and not _state.is_too_late:
        raise Interrupted(_state.received)


def too_late(kept: str) -> None:
    """Say that the outputs are in place, so that a signal ends nothing early any more.

    Args:
        kept: what to say if the rest takes too long all the same.
    """
    postpone()
    _state.is_too_late, _state.kept = True, kept


def due() -> int | None:
    """The signal that tells this process to stop, if one has come in time."""
    return None if _state.is_too_late else _state.received


def keeps(kept: str) -> None:
    """Text that says what is kept, and how to continue."""
    _state.kept = kept


def stop(number: int) -> NoReturn:
    """Stop as if the signal had come to this process, which another one of its run got."""
    _state.received = _state.received or number
    raise Interrupted(number)


def leave() -> NoReturn:
    """End this process and all that it started, with the sentence."""
    number = _state.received or signal.SIGTERM
    _end_children()
    # The first one speaks, and fails, for all.
    is_first = is_first_rank()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    if is_first:
        with suppress(OSError, ValueError):
            text = f"{_state.name}: stopped by {signal.Signals(number).name}; {_state.kept}\n"
            sys.stderr.write(text)
            sys.stderr.flush()
    # What libraries do at exit would wait for the processes that are gone.
    os._exit(128 + number if is_first else 0)


def _handle(number: int, frame: FrameType | None) -> None:
    if _state.pid != os.getpid():
        return
    if _state.received is not None and not _state.is_lost:
        # A second one must not break what the first one set off.
        return
    _state.received = _state.received or number
    _state.is_lost = False
    if _state.mode is _Mode.LEAVE:
        leave()
    if _state.mode is _Mode.RAISE:
        raise Interrupted(_state.received)


def _unraisable(unraisable: Any) -> None:
    if isinstance(unraisable.exc_value, Interrupted):
        _state.is_lost = True
    else:
        sys.__unraisablehook__(unraisable)


def _forget() -> None:
    """Let a forked process be ended as any other; the signals of its parent are not its own."""
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        if signal.getsignal(number) is _handle:
            signal.signal(number, signal.SIG_DFL)


def _watch(readable: int, starters: list[int]) -> None:
    """Force an end that does not come, and follow DVC into its own."""
    # The main thread is to be woken by them.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    received, until_s = 0, 0.0
    while True:
        is_idle = not received and not starters
        ready, _, _ = select.select([readable], [], [], None if is_idle else _LOOK_EVERY_S)
        numbers = [number for number in os.read(readable, 64) if number in SIGNALS] if ready else []
        if numbers and not received:
            received, until_s = numbers[0], time.monotonic() + GRACE_S
        if received:
            _state.seen |= _descendants()
            if _state.is_lost:
                _thread.interrupt_main(signal.Signals(received))
            if time.monotonic() > until_s:
                _state.received = received
                leave()
        elif starters and _starters()[: len(starters)] != starters:
            starters = []
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _starters() -> list[int]:
    """Whose end is to end this process: DVC, and shells between, or the first of several ranks."""
    if "DVC_STAGE" not in os.environ and is_first_rank():
        return []
    starters = [os.getppid()]
    with suppress(OSError):
        while (_PROC / str(starters[-1]) / "comm").read_text().strip() in _SHELLS:
            starters.append(int(_status(starters[-1])[1]))
    return starters


def _status(process_id: int) -> list[str]:
    """Fields of proc(5)'s stat from the state on."""
    return (_PROC / str(process_id) / "stat").read_text().rpartition(")")[2].split()


def _descendants() -> dict[int, str]:
    """Process id and start time of all that this process has started, where there is /proc."""
    fields: dict[int, list[str]] = {}
    with suppress(OSError):
        for entry in _PROC.iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    fields[int(entry.name)] = _status(int(entry.name))
    found: dict[int, str] = {}
    parents = [os.getpid()]
    for parent in parents:
        for child, values in fields.items():
            if int(values[1]) == parent and child not in found:
                found[child] = values[19]
                parents.append(child)
    return found


def _end_children() -> None:
    """Kill what this process started, and what that had started when the signal came."""
    for child, started in (_state.seen | _descendants()).items():
        with suppress(OSError):
            # It removes what others leave behind, and then ends.
            tracks = b"resource_tracker" in (_PROC / str(child) / "cmdline").read_bytes()
            if not tracks and _status(child)[19] == started:
                os.kill(child, signal.SIGKILL)
                # Not of what its own children had started.
                os.waitpid(child, 0)
