"""Locks of a work folder: claims of folders that are written, and of what stages keep.

The kernel holds them and drops them with the process. On a file system without locks nothing can be
told, and all of them can be had.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from pathlib import Path

_FOLDER = "locks"
_CLAIM = "claim-{}.lock"
_STAGE = "kept-{}.lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def claim(work: Path, name: str) -> Path:
    """The file of the claim of that name; its folder is there."""
    return _folder(work) / _CLAIM.format(name)


def claimed(file: TextIOWrapper) -> bool:
    """Return whether a claim could be had; processes that are forked do not inherit it.

    Raises:
        OSError: the file system fails.
    """
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


@contextmanager
def unclaimed(work: Path) -> Iterator[bool]:
    """Whether no process has claimed anything, and let none do so in the block if that is so."""
    with ExitStack() as stack:
        paths = sorted((work / _FOLDER).glob(_CLAIM.format("*")))
        files = [stack.enter_context(path.open("a")) for path in paths]
        yield all(map(claimed, files))


def open_stage(work: Path, stage: str) -> int:
    """Open the lock of what a stage keeps; returns its descriptor."""
    return os.open(_folder(work) / _STAGE.format(stage), os.O_RDWR | os.O_CREAT, 0o644)


def locked(descriptor: int, how: int) -> bool:
    """Return whether a lock of an open file could be had, `how` as `fcntl.flock` takes it.

    Raises:
        OSError: the file system fails.
    """
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


@contextmanager
def alone(work: Path, stages: Sequence[str]) -> Iterator[list[str]]:
    """Yield those of the stages that no other process is at work with, and keep it so."""
    descriptors, free = [], []
    try:
        for stage in stages:
            descriptors.append(open_stage(work, stage))
            if locked(descriptors[-1], fcntl.LOCK_EX | fcntl.LOCK_NB):
                free.append(stage)
        yield free
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _folder(work: Path) -> Path:
    folder = work / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return folder
