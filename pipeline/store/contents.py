"""Remembers in a work folder what files hash to, so that no byte is read twice to know it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from pipeline.store import workdir

FILE = "contents.txt"
"""Its name among what is kept."""
_MOST_BYTES = 10**8
# A file that changed so recently may change again without a sign of it.
_SETTLED_NS = 2 * 10**9
_STAND_IN_DIGITS = 32


class Contents:
    """Holds what files hash to, remembered by where they lie and when they changed last."""

    def __init__(self, work: Path) -> None:
        self._path = work / workdir.KEPT / FILE
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, str] = {}
        try:
            if self._path.stat().st_size > _MOST_BYTES:
                self._path.unlink(missing_ok=True)
            for line in self._path.read_text(encoding="ascii", errors="replace").splitlines():
                where, _, sha256 = line.partition(" ")
                if len(sha256) == 64:
                    self._known[where] = sha256
        except FileNotFoundError:
            pass

    def of_file(self, path: Path) -> str:
        """SHA-256 of a file's bytes, which are read only where it changed since.

        Raises:
            OSError: it cannot be read.
        """
        before = path.stat()
        where = _digest(str(path.resolve()), _marks(before))
        if where in self._known:
            return self._known[where]
        settled = max(before.st_mtime_ns, before.st_ctime_ns) < time.time_ns() - _SETTLED_NS
        sha256 = workdir.file_sha256(path)
        if settled and _marks(path.stat()) == _marks(before):
            self._add(where, sha256)
        return sha256

    def of_version(self, identity: Any) -> str:
        """The hash of a version of a file that is not on this machine, or what stands for it.

        Args:
            identity: JSON-able, and another one for every version.
        """
        where = _digest(identity)
        return self._known.get(where, where)

    def remember(self, stand_in: str, sha256: str) -> None:
        """Remember the hash of a version for which `of_version` gave a stand-in."""
        self._add(stand_in, sha256)

    def _add(self, where: str, sha256: str) -> None:
        self._known[where] = sha256
        with self._path.open("a", encoding="ascii") as file:
            file.write(f"{where} {sha256}\n")


def is_stand_in(content: str) -> bool:
    """Return whether this is no hash, but what stands for one that is not known yet."""
    return len(content) == _STAND_IN_DIGITS


def _marks(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_STAND_IN_DIGITS]
