"""Banks of known videos: append-only plain files from which nothing that was added gets lost.

A bank is a folder with two files. `items.jsonl` has a line an item, or the removal of one, each
with a checksum of its own. `hashes.bin` holds records of `RECORD`, those of an item in a row. An
addition writes its records first and its line last, both to the disk: what a kill leaves behind is
records without a line, or the beginning of a line, which nobody reads and the next addition
overwrites.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline.copies.bank_log import FORMAT, Item, Log, line_of
from pipeline.copies.fingerprint import HASH_BYTES
from pipeline.errors import UserError
from pipeline.store import locks

ITEMS, HASHES = "items.jsonl", "hashes.bin"
RECORD = np.dtype(
    {
        "names": ["item", "time_ms", "pdq", "mirror", "quality"],
        "formats": ["<u4", "<u4", (np.uint8, HASH_BYTES), (np.uint8, HASH_BYTES), np.uint8],
        "offsets": [0, 4, 8, 8 + HASH_BYTES, 8 + 2 * HASH_BYTES],
        "itemsize": 80,
    }
)
"""A hashed picture: number of its item, its time, PDQ, PDQ of its mirror image, and quality."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Bank:
    """What a bank holds.

    Attributes:
        name: of the bank.
        items: by number, in order; removed ones are not among them.
        records: all of `hashes.bin` that was read, `RECORD` (N,), mapped from the disk.
    """

    name: str
    items: dict[int, Item]
    records: NDArray[Any]

    def records_of(self, item: Item) -> NDArray[Any]:
        """The hashed pictures of an item, in order of time."""
        return self.records[item.first_hash : item.first_hash + item.num_hashes]

    def with_bytes(self, sha256: str) -> Item | None:
        """The first item whose file has such bytes."""
        return next((item for item in self.items.values() if item.sha256 == sha256), None)


def names(root: Path) -> list[str]:
    """The banks in a folder of banks, sorted; none where there is no such folder."""
    return sorted(path.parent.name for path in root.glob(f"*/{ITEMS}"))


def read(root: Path, name: str) -> Bank:
    """Open a bank to look something up in it; every hash of it is checked.

    Raises:
        UserError: there is no such bank, or its files were damaged.
    """
    folder = _folder(root, name)
    with _opened(folder / ITEMS, root, name, "rb") as file:
        log = Log.parse(folder / ITEMS, file.read())
    path = folder / HASHES
    if not path.exists() or path.stat().st_size < RECORD.itemsize:
        records = np.zeros(0, RECORD)
    else:
        whole = path.stat().st_size // RECORD.itemsize
        records = np.memmap(path, RECORD, "r", shape=(whole,))
    bank = Bank(name, log.items, records)
    for item in bank.items.values():
        _check(path, name, item, bank.records_of(item))
    return bank


def _check(path: Path, name: str, item: Item, records: NDArray[Any]) -> None:
    whole = len(records) == item.num_hashes and (records["item"] == item.number).all()
    if not whole or hashlib.sha256(records.tobytes()).hexdigest() != item.hashes_sha256:
        raise UserError(
            f"{path}: the hashes of item {item.number} ({item.name!r}) are damaged or missing; put "
            f"the file back (dvc checkout), or run discern bank remove {name} {item.number} and "
            "add the video again"
        )


@contextmanager
def writing(root: Path, name: str, *, create: bool = False) -> Iterator[Writer]:
    """Let this process alone change a bank in the block.

    Args:
        root: the folder of banks.
        name: of the bank.
        create: make the bank if there is none.

    Raises:
        UserError: there is no such bank, another process changes it, it was damaged, or its name
            is none.
    """
    folder = _folder(root, name)
    if create and not (folder / ITEMS).exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ITEMS).touch()
        _to_disk(folder)
    with _opened(folder / ITEMS, root, name, "r+b") as file:
        if not locks.locked(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB):
            raise UserError(f"{folder}: another process changes it; wait until that has ended")
        yield Writer(folder, file)


class Writer:
    """Changes a bank; `writing` gives one."""

    def __init__(self, folder: Path, file: BinaryIO) -> None:
        self._folder, self._file = folder, file
        self._log = Log.parse(folder / ITEMS, file.read())

    @property
    def items(self) -> dict[int, Item]:
        """By number, in order, those that are not removed."""
        return self._log.items

    def add(
        self,
        name: str,
        label: str,
        sha256: str,
        md5: str,
        duration_s: float,
        times_ms: NDArray[np.uint32],
        hashes: NDArray[np.uint8],
        quality: NDArray[np.uint8],
    ) -> Item:
        """Add a video; once this returns, it is on the disk and found.

        Args:
            name: of its file, without folders.
            label: what it is known as.
            sha256, md5: of its bytes, in hexadecimal digits.
            duration_s: of the file.
            times_ms: uint32 (N,), ascending.
            hashes: uint8 (N, 2, 32), PDQ of pictures and of their mirror images.
            quality: uint8 (N,), 0 to 100.
        """
        records = np.zeros(len(times_ms), RECORD)
        records["item"], records["time_ms"] = self._log.next_number, times_ms
        records["pdq"], records["mirror"] = hashes[:, 0], hashes[:, 1]
        records["quality"] = quality
        content = records.tobytes()
        item = Item(
            number=self._log.next_number,
            name=name,
            label=label,
            sha256=sha256,
            md5=md5,
            duration_s=duration_s,
            first_hash=self._log.num_records,
            num_hashes=len(records),
            hashes_sha256=hashlib.sha256(content).hexdigest(),
        )
        path = self._folder / HASHES
        path.touch()
        with path.open("r+b") as file:
            file.seek(self._log.num_records * RECORD.itemsize)
            file.truncate()
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _to_disk(self._folder)
        self._append({"format": FORMAT, "kind": "item", **asdict(item)})
        return item

    def remove(self, number: int) -> Item:
        """Take an item out of every later answer; returns what it was.

        Raises:
            UserError: there is no such item.
        """
        if number not in self.items:
            raise UserError(
                f"{self._folder}: no item {number}; see discern bank show {self._folder.name}"
            )
        item = self.items[number]
        self._append({"format": FORMAT, "kind": "removal", "number": number})
        return item

    def _append(self, entry: dict[str, Any]) -> None:
        self._file.seek(self._log.num_bytes)
        self._file.truncate()
        line = line_of(entry)
        self._file.write(b"\n" * self._log.lacks_newline + line + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._log.take(entry)
        self._log.num_bytes = self._file.tell()
        self._log.lacks_newline = False


def _folder(root: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is no name of a bank; use letters, digits, dots, - and _, and begin with a "
            "letter or digit"
        )
    return root / name


@contextmanager
def _opened(path: Path, root: Path, name: str, mode: str) -> Iterator[Any]:
    try:
        file = path.open(mode)
    except FileNotFoundError as error:
        there = ", ".join(names(root)) or "none"
        raise UserError(
            f"{path}: no bank {name!r} (there are: {there}); discern bank add {name} FILE makes it"
        ) from error
    except PermissionError as error:
        raise UserError(
            f"{path}: may not be opened; give the user who runs this the right to, or run "
            f"dvc unprotect {path.parent} if DVC made links of its files"
        ) from error
    with file:
        yield file


def _to_disk(folder: Path) -> None:
    """Have the names of files in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
