"""Games in processes of their own: no network, a home that is thrown away, and an end."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from pipeline.engines.take import UnusableDraw

log = logging.getLogger(__name__)

_OWN_SHARED_MEMORY = 'mount -t tmpfs tmpfs /dev/shm && exec "$@"'
# The signal of a parent's death reaches one process, the namespace of process ids all of them.
_OWN_NAMESPACES = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "-rnmp", "--fork", "--kill-child=KILL"),
    *("sh", "-c", _OWN_SHARED_MEMORY, "sh"),
)


def play(
    command: Sequence[str], folder: Path, timeout_s: float, environment: Mapping[str, str]
) -> str:
    """Run a game, since a bad map takes its whole process with it; return what it printed.

    `folder` is the home and the working folder of the process; `environment` is added to this
    process's own. All that the game started ends with it, and with this process.

    Raises:
        UnusableDraw: `engine_crashed` or `engine_timed_out`.
    """
    printed = folder / "printed.txt"
    with printed.open("w+b") as output:
        process = subprocess.Popen(
            [*(_sandbox() or _deadline(timeout_s)), *command],
            cwd=folder,
            env={**os.environ, "HOME": str(folder), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            exit_code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise UnusableDraw("engine_timed_out") from None
        finally:
            _end_group(process)
    text = printed.read_text(errors="replace")
    if exit_code != 0:
        last = "".join(text.strip().splitlines()[-1:])
        log.warning("%s ended with status %d: %s", Path(command[0]).name, exit_code, last)
        raise UnusableDraw("engine_crashed")
    return text


@cache
def _sandbox() -> tuple[str, ...]:
    """Command prefix for no network and shared memory that dies with the process.

    Empty where the kernel grants no namespaces; a crash then leaves 11 MB in /dev/shm.
    """
    if shutil.which("setpriv") is None or shutil.which("unshare") is None:
        return ()
    granted = subprocess.run([*_OWN_NAMESPACES, "true"], capture_output=True, check=False)
    return _OWN_NAMESPACES if granted.returncode == 0 else ()


def _deadline(timeout_s: float) -> tuple[str, ...]:
    """Command prefix that ends a game whose parent was killed, where there is no namespace."""
    if shutil.which("timeout") is None:
        return ()
    return ("timeout", "-s", "KILL", str(timeout_s + 1))


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what the game started too: an engine can be a process of its own, and may hang."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
