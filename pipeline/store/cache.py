"""Local copies of remote files, fetched when first opened; those not opened for longest go."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.store import storage

_PARTIAL = ".partial"
_NUM_LOCKS = 64


@dataclass(frozen=True)
class Cache:
    """Opens files of a remote root; any number of processes may share the folder."""

    root: str
    versions: dict[str, tuple[str, int]]
    """Version and size of every file, as `storage.versions` gives them; another is never read."""
    folder: Path
    limit_bytes: float
    """What the folder may hold, besides the files that are being fetched right now."""

    def open(self, name: str) -> int:
        """A handle to read a file by; what it reads stays, also when the file goes.

        Raises:
            UserError: the file is gone or has changed on the store, or cannot be reached.
        """
        version, size = self.versions[name]
        key = hashlib.sha256(f"{self.root}\0{name}\0{version}".encode()).hexdigest()[:24]
        copy = self.folder / f"{key}{PurePosixPath(name).suffix}"
        with suppress(FileNotFoundError):
            return _opened(copy)
        self.folder.mkdir(parents=True, exist_ok=True)
        # One process fetches it; the others that want it wait for it.
        with _locked(_lock_of(copy)):
            with suppress(FileNotFoundError):
                return _opened(copy)
            partial = copy.with_suffix(_PARTIAL)
            storage.download(self.root, name, partial, version)
            # Opened before it has its name, by which another process may find and remove it.
            handle = _opened(partial)
            # Room is made and taken at once, or processes that fetch together overfill the folder.
            with _locked(self.folder / "room.lock"):
                self._make_room(size, partial)
                partial.rename(copy)
            return handle

    def _make_room(self, size: int, fetched: Path) -> None:
        for partial in self.folder.glob(f"*{_PARTIAL}"):
            if partial == fetched:
                continue
            # Left by a process that was killed, unless another one than this holds its lock.
            is_held = _lock_of(partial) == _lock_of(fetched)
            lock = nullcontext() if is_held else _locked(_lock_of(partial), fcntl.LOCK_NB)
            with suppress(BlockingIOError), lock:
                partial.unlink(missing_ok=True)
        files = [
            (status.st_mtime_ns, path, status.st_size)
            for path in self.folder.iterdir()
            if path.suffix not in (".lock", _PARTIAL)
            for status in [path.stat()]
        ]
        total = sum(used for _, _, used in files) + size
        for _, path, used in sorted(files):
            if total <= self.limit_bytes:
                break
            path.unlink()
            total -= used


def _opened(path: Path) -> int:
    handle = os.open(path, os.O_RDONLY)
    os.utime(handle)
    return handle


def _lock_of(copy: Path) -> Path:
    return copy.with_name(f"{int(copy.stem, 16) % _NUM_LOCKS}.lock")


@contextmanager
def _locked(path: Path, flags: int = 0) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | flags)
        yield
