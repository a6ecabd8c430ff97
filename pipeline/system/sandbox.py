"""Limits of a worker process that handles bytes from outside.

The limits contain accidents and attacks on resources; a filter of system calls keeps the network
shut. They are no jail for code that has taken over the process.
"""

from __future__ import annotations

import ctypes
import errno
import math
import os
import platform
import resource
import select
import signal
import struct
import sys
import threading
from dataclasses import dataclass

# Linux: prctl(2), seccomp(2); the numbers of the architecture and of its system call socket(2).
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SECCOMP_MODE_FILTER, _ALLOW, _FAIL_WITH = 2, 0x7FFF0000, 0x00050000
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_SYSTEM_CALL_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_SOCKET = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
# Another table of the same calls.
_X32 = 0x40000000
_AF_UNIX = 1


@dataclass(frozen=True)
class ResourceLimits:
    """Resources that a task may use; its worker may write no file and open no network socket."""

    memory_mb: int
    cpu_s: float
    wall_s: float


def enter(limits: ResourceLimits) -> None:
    """Put this process, for good, under the limits that hold for all of its tasks."""
    address_space = limits.memory_mb << 20
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _shut_the_network()


def start_task(limits: ResourceLimits) -> None:
    """Give the task that begins its share of processor time; past it the process is killed."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    until_s = math.ceil(usage.ru_utime + usage.ru_stime + limits.cpu_s)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (until_s, hard))


def die_with_parent() -> None:
    """Have the kernel end this process when the one that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def die_with(process_id: int) -> None:
    """Have this process killed when another one ends, which need not be its parent.

    A worker's parent is the server that it was forked from, which outlives a killed main process
    for as long as workers hold its pipe.
    """
    if not hasattr(os, "pidfd_open"):
        return
    try:
        ended = os.pidfd_open(process_id)
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGKILL)
        return
    except OSError:
        # The kernel is older than the call.
        return

    def wait() -> None:
        select.select([ended], [], [])
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def _shut_the_network() -> None:
    """Make every socket that is not local to the machine fail with EACCES (seccomp-bpf)."""
    if platform.machine() not in _SOCKET:
        return
    architecture, socket = _SOCKET[platform.machine()]
    program = b"".join(
        struct.pack("HBBI", *instruction)
        for instruction in [
            (_LOAD, 0, 0, _ARCHITECTURE_AT),
            (_JUMP_IF_EQUAL, 0, 6, architecture),
            (_LOAD, 0, 0, _SYSTEM_CALL_AT),
            (_JUMP_IF_AT_LEAST, 4, 0, _X32),
            (_JUMP_IF_EQUAL, 0, 2, socket),
            (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
            (_JUMP_IF_EQUAL, 0, 1, _AF_UNIX),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _FAIL_WITH | errno.EACCES),
        ]
    )
    held = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]

    filtered = Program(len(program) // 8, ctypes.cast(held, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # Where the kernel has no seccomp this fails, and the demuxers' own refusal has to do.
    libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filtered), 0, 0)
