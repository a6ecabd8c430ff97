"""Untracked work folders: finished work survives a kill, outputs change only as a whole.

And only one process at a time works on each of them.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline import interrupts
from pipeline.errors import UserError

_PACKAGE = Path(__file__).resolve().parent
_LOCKS = "locks"
# File systems without locks, where nothing can be told.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def claimed(place: str | Path, work: Path) -> Iterator[None]:
    """Let no other process that shares `work` claim `place` in the block.

    Of processes that train together the first one claims it for all.
    The kernel holds the lock and drops it with the process, however that ends; processes that are
    forked do not inherit it. What the file in `work` says is for people.

    Args:
        place: a folder that the block writes, or a URL.
        work: the work folder.

    Raises:
        UserError: another process has it.
    """
    if not interrupts.is_first_rank():
        yield
        return
    folder = work / _LOCKS
    folder.mkdir(parents=True, exist_ok=True)
    identity = str(place) if "://" in str(place) else str(Path(place).resolve())
    with (folder / f"{key(identity)}.lock").open("a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise UserError(_at_work(place, file.name)) from error
        file.truncate(0)
        file.write(f"{os.getpid()} {socket.gethostname()}")
        file.flush()
        yield


def _at_work(place: str | Path, lock: str) -> str:
    process_id, _, host = Path(lock).read_text().partition(" ")
    where = "" if host == socket.gethostname() else f" on {host}"
    return (
        f"{place}: process {process_id or 'unknown'}{where} is at work on it; wait until that has "
        "ended, or stop it, and run this again"
    )


@contextmanager
def replacing(target: Path, work: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `target` if the block succeeds.

    On an exception, or a signal, `target` stays as it was. Once it is replaced, it is too late
    for a signal (`interrupts.resume` for whoever has more to do).

    Raises:
        UserError: `target` and `work` lie on different file systems.
    """
    work.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    if work.stat().st_dev != target.parent.stat().st_dev:
        raise UserError(
            f"{work}: not on the file system of {target}, so that nothing can be moved between "
            "them; set both in conf/paths.yaml"
        )
    _clear_leftovers(target, work)
    fresh = work / f"{target.name}-{os.getpid()}"
    old = work / f"{fresh.name}-old"
    fresh.mkdir()
    try:
        yield fresh
        interrupts.postpone()
        interrupts.check()
        with _alone_in(target.parent):
            if target.exists():
                target.rename(old)
            fresh.rename(target)
        interrupts.too_late(f"{target} is in place; run it again to have the rest too")
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait for processes that have another work folder to replace what they replace in `folder`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        os.close(descriptor)


def _clear_leftovers(target: Path, work: Path) -> None:
    """Remove what processes that were killed left of `replacing`.

    An earlier output that one of them had moved away, and not yet replaced, is put back.
    """
    for folder in sorted(work.iterdir()):
        number = folder.name.removeprefix(f"{target.name}-").removesuffix("-old")
        if number.isdigit() and folder.name != number and not _is_running(int(number)):
            if folder.name.endswith("-old") and not target.exists():
                folder.rename(target)
            else:
                shutil.rmtree(folder)


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def becoming(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `folder` if the body succeeds.

    Where another process was faster, what it made stays; both make the same.
    """
    partial = folder.with_name(f"{folder.name}-{os.getpid()}.partial")
    # A task that failed here may have left it.
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    yield partial
    try:
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(partial, ignore_errors=True)


class Blocks:
    """Finished blocks of a stage, each a folder that outlives a kill, until `clear`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cleared = folder.with_name(f"{folder.name}.cleared")
        shutil.rmtree(self._cleared, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob("*.partial"):
            shutil.rmtree(unfinished)

    def __contains__(self, name: str) -> bool:
        return self[name].is_dir()

    def __getitem__(self, name: str) -> Path:
        """Where the finished block `name` lies."""
        return self._folder / name

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield an empty folder that becomes the finished block `name` if the body succeeds."""
        with becoming(self[name]) as partial:
            yield partial

    def clear(self) -> None:
        """Remove all blocks, once what was made of them is in place."""
        # A kill amid the removal must not leave some of what belongs together.
        self._folder.rename(self._cleared)
        shutil.rmtree(self._cleared)


def key(*parts: Any) -> str:
    """Hash of JSON-able values, as the name of a folder of finished work."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_sha256(*places: str) -> str:
    """Hash of the source of modules and packages of `pipeline`, given by path inside it."""
    digest = hashlib.sha256()
    for place in places:
        path = _PACKAGE / place
        files = [path]
        if path.is_dir():
            files = sorted(f for f in path.rglob("*") if f.suffix in (".c", ".py"))
        for file in files:
            digest.update(str(file.relative_to(_PACKAGE)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
