"""Finished work that outlives its run, under names that tell what it was made from.

A stage keeps pieces, which are files, and blocks, which are folders; whoever needs the same again,
now or in a later run, finds it here. What was used least recently goes first.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.store import contents, locks, workdir

_PREFIX_DIGITS = 32
_UNFINISHED = (".partial", ".removed")
BLOCK_CARD = "block.piece"
"""What a block says of itself, and the hash of the file that it holds beside that."""


@dataclass(frozen=True)
class Piece:
    """A piece of finished work: what JSON can hold, and bytes."""

    header: Any
    blobs: Sequence[bytes] = ()

    @classmethod
    def of_array(cls, values: NDArray[Any]) -> Piece:
        """Make a piece of an array of numbers, any shape."""
        header = {"dtype": values.dtype.str, "shape": list(values.shape)}
        return cls(header, [values.tobytes()])

    def array(self) -> NDArray[Any]:
        """The array that `of_array` took, read-only."""
        values = np.frombuffer(self.blobs[0], self.header["dtype"])
        return values.reshape(self.header["shape"])


def write_piece(path: Path, piece: Piece) -> None:
    """Write a piece as a whole, with a hash of it in front."""
    told = json.dumps([piece.header, [len(blob) for blob in piece.blobs]], sort_keys=True)
    digest = hashlib.sha256()
    parts = [told.encode() + b"\n", *piece.blobs]
    for part in parts:
        digest.update(part)
    writer = f"{os.getpid()}-{threading.get_ident()}"
    partial = path.with_name(f"{path.name}-{writer}.partial")
    with partial.open("wb") as file:
        file.write(digest.digest())
        file.writelines(parts)
    partial.rename(path)


def read_piece(path: Path) -> Piece | None:
    """Read what `write_piece` wrote; None where there is no such piece, or it is damaged."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    body = memoryview(data)[hashlib.sha256().digest_size :]
    if hashlib.sha256(body).digest() != data[: len(data) - len(body)]:
        return None
    end = data.index(b"\n", len(data) - len(body))
    header, sizes = json.loads(data[len(data) - len(body) : end])
    blobs, start = [], end + 1
    for size in sizes:
        blobs.append(data[start : start + size])
        start += size
    return Piece(header, blobs)


class FinishedWork:
    """The finished work of one stage in a work folder.

    As a context manager it keeps other processes from removing any of it meanwhile.
    """

    def __init__(self, work: Path, stage: str) -> None:
        self._work = work
        self._stage = stage
        self._folder = work / workdir.KEPT / stage
        self._lock: int | None = None

    def __enter__(self) -> FinishedWork:
        self._lock = locks.open_stage(self._work, self._stage)
        locks.locked(self._lock, fcntl.LOCK_SH)
        self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._lock is not None
        os.close(self._lock)
        self._lock = None

    def path(self, name: str) -> Path:
        """Return where the piece or block of a name lies, or will lie; its folder is there."""
        folder = self._folder / name[:2]
        folder.mkdir(exist_ok=True)
        return folder / name

    def __contains__(self, name: str) -> bool:
        """Return whether there is something of that name, which then counts as used just now."""
        try:
            os.utime(self._folder / name[:2] / name)
        except FileNotFoundError:
            return False
        return True

    def write(self, name: str, piece: Piece) -> None:
        """Keep a piece."""
        write_piece(self.path(name), piece)

    def read(self, name: str) -> Piece | None:
        """Read a piece; None where there is none that is whole."""
        return read_piece(self._folder / name[:2] / name)

    def read_block(self, name: str) -> tuple[Any, Path] | None:
        """Return what a block says of itself, and where it lies; None where there is none that is
        whole.

        One that is not whole is removed, so that it can be made anew.
        """
        folder = self._folder / name[:2] / name
        card = read_piece(folder / BLOCK_CARD)
        if card is not None and all(
            (folder / file).is_file() and workdir.file_sha256(folder / file) == sha256
            for file, sha256 in card.header["sha256s"].items()
        ):
            return card.header, folder
        if folder.is_dir():
            _remove(folder)
        return None

    def forget(self, sha256s: Collection[str]) -> int:
        """Remove what any stage keeps of source files of these hashes; returns of how many."""
        prefixes = {sha256[:_PREFIX_DIGITS] for sha256 in sha256s}
        gone = [entry for entry in _entries(self._work) if prefixes and _is_of(entry, prefixes)]
        for entry in gone:
            _remove(entry)
        return len(gone)

    def trim(self, keep_gb: float) -> None:
        """Remove what was used least recently until all stages keep at most `keep_gb`.

        What other processes are at work with is left.
        """
        assert self._lock is not None
        stages = [
            path.name for path in sorted((self._work / workdir.KEPT).iterdir()) if path.is_dir()
        ]
        with locks.alone(self._work, [s for s in stages if s != self._stage]) as free:
            # A lock that cannot be had alone is lost, but nothing needs it any more.
            if locks.locked(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
                free.append(self._stage)
            _trim(self._work, keep_gb * 1e9, free)
            locks.locked(self._lock, fcntl.LOCK_SH)


def _trim(work: Path, most_bytes: float, stages: Collection[str]) -> None:
    for stage in stages:
        _remove_unfinished(work / workdir.KEPT / stage)
    entries = []
    for entry in _entries(work):
        with suppress(FileNotFoundError):
            entries.append((entry.stat().st_mtime_ns, entry, _num_bytes(entry)))
    total = sum(size for _, _, size in entries)
    for _, entry, size in sorted(entries):
        if total <= most_bytes:
            break
        if entry.parent.parent.name in stages:
            _remove(entry)
            total -= size


def made_by(code: Sequence[str], libraries: Sequence[str]) -> list[str | None]:
    """Return what decides about finished work besides its inputs and settings, as JSON values.

    Args:
        code: modules and packages, by their path inside `pipeline`.
        libraries: names of distributions.

    Returns:
        The hash of the code, and the version of each library; None of one that is not installed.
    """
    return [workdir.code_sha256(*code), *map(_version, libraries)]


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def name_of(file_sha256: str, *parts: Any) -> str:
    """The name of what was made of a file of that hash, and of JSON-able values."""
    return f"{file_sha256[:_PREFIX_DIGITS]}-{workdir.key(*parts)}"


def remove_all(work: Path) -> tuple[dict[str, int], list[str]]:
    """Remove what all stages keep, but not what another process is at work with.

    Returns:
        The bytes that were removed by the name of the stage, and the stages whose work was left.
    """
    folder = work / workdir.KEPT
    if not folder.is_dir():
        return {}, []
    for unfinished in folder.glob("*.removed"):
        shutil.rmtree(unfinished)
    stages = [path.name for path in sorted(folder.iterdir()) if path.is_dir()]
    removed = {}
    with locks.alone(work, stages) as free:
        for stage in free:
            removed[stage] = sum(map(_num_bytes, _entries_of(folder / stage)))
            _remove(folder / stage)
        if free == stages:
            (folder / contents.FILE).unlink(missing_ok=True)
    return removed, [stage for stage in stages if stage not in free]


def _entries(work: Path) -> Iterator[Path]:
    """The pieces and blocks of all stages."""
    for stage in sorted((work / workdir.KEPT).iterdir()):
        if stage.is_dir():
            yield from _entries_of(stage)


def _entries_of(stage: Path) -> Iterator[Path]:
    for folder in sorted(stage.iterdir()):
        yield from (e for e in sorted(folder.iterdir()) if e.suffix not in _UNFINISHED)


def _remove_unfinished(stage: Path) -> None:
    """Remove what processes left that were killed; no other one is at work there."""
    for suffix in _UNFINISHED:
        for entry in stage.glob(f"*/*{suffix}"):
            _remove(entry)


def _is_of(entry: Path, prefixes: Collection[str]) -> bool:
    if not entry.is_dir():
        return entry.name[:_PREFIX_DIGITS] in prefixes
    card = read_piece(entry / BLOCK_CARD)
    return card is None or any(f[:_PREFIX_DIGITS] in prefixes for f in card.header["files"])


def _num_bytes(entry: Path) -> int:
    """Return what an entry takes that no output takes anyway, since shards of outputs are links."""
    files = [*entry.iterdir()] if entry.is_dir() else [entry]
    return sum(s.st_size for s in (file.stat() for file in files) if s.st_nlink == 1)


def _remove(entry: Path) -> None:
    """Remove a piece, or a block in a way that leaves no half of it in its place."""
    if not entry.is_dir():
        entry.unlink(missing_ok=True)
        return
    removed = entry.with_name(f"{entry.name}-{os.getpid()}.removed")
    with suppress(FileNotFoundError):
        entry.rename(removed)
    shutil.rmtree(removed, ignore_errors=True)
