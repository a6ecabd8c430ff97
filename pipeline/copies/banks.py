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
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline.copies.fingerprint import HASH_BYTES
from pipeline.errors import UserError
from pipeline.store import locks

ITEMS, HASHES = "items.jsonl", "hashes.bin"
FORMAT = 1
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
_CHECK = re.compile(rb'(.*), "check": "([0-9a-f]{16})"\}', re.DOTALL)


@dataclass(frozen=True)
class Item:
    """One known video.

    Attributes:
        number: of the item in its bank, from 1; no other item of the bank ever has it.
        name: of its file, without folders.
        label: what it is known as.
        sha256, md5: of the bytes of the file, in hexadecimal digits.
        duration_s: of the file.
        first_hash, num_hashes: its records in `hashes.bin`.
        hashes_sha256: of the bytes of these records.
    """

    number: int
    name: str
    label: str
    sha256: str
    md5: str
    duration_s: float
    first_hash: int
    num_hashes: int
    hashes_sha256: str


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
        log = _Log.parse(folder / ITEMS, file.read())
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
        self._log = _Log.parse(folder / ITEMS, file.read())

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
        line = _line(entry)
        self._file.write(b"\n" * self._log.lacks_newline + line + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._log.take(entry)
        self._log.num_bytes = self._file.tell()
        self._log.lacks_newline = False


def _line(entry: dict[str, Any]) -> bytes:
    """An entry as JSON with the checksum of the rest of the line, without a newline."""
    body = json.dumps(entry).encode()
    return body[:-1] + f', "check": "{_checksum(body[:-1])}"}}'.encode()


def _checksum(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


class _Log:
    """What the lines of `items.jsonl` say.

    Attributes:
        items: by number, those that are not removed.
        next_number: of the item that is added next.
        num_records: records of all items, removed ones as well.
        num_bytes: of the whole lines.
        lacks_newline: the last whole line does not end with one.
    """

    def __init__(self) -> None:
        self.items: dict[int, Item] = {}
        self.next_number = 1
        self.num_records = 0
        self.num_bytes = 0
        self.lacks_newline = False

    @classmethod
    def parse(cls, path: Path, content: bytes) -> _Log:
        """Read lines; the last one is left out where its end is missing.

        Raises:
            UserError: another line is damaged, or of a format that this version does not know.
        """
        log = cls()
        *lines, tail = content.split(b"\n")
        for number, line in enumerate(lines, 1):
            log._take_line(path, number, line)
            log.num_bytes += len(line) + 1
        if tail and (found := _CHECK.fullmatch(tail)) and _checksum(found[1]).encode() == found[2]:
            log._take_line(path, len(lines) + 1, tail)
            log.num_bytes += len(tail)
            log.lacks_newline = True
        return log

    def _take_line(self, path: Path, number: int, line: bytes) -> None:
        found = _CHECK.fullmatch(line)
        if found is None or _checksum(found[1]).encode() != found[2]:
            raise _damaged(path, number)
        entry = json.loads(found[1] + b"}")
        if entry.get("format") != FORMAT:
            raise UserError(
                f"{path}, line {number}: format {entry.get('format')!r}, and this version of "
                f"Discern reads format {FORMAT}; use the version that wrote it"
            )
        try:
            self.take(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(path, number) from error

    def take(self, entry: dict[str, Any]) -> None:
        """Add what a line says.

        Raises:
            KeyError, TypeError, ValueError: it cannot stand where it does.
        """
        if entry["kind"] == "removal":
            del self.items[entry["number"]]
            return
        told = {key: value for key, value in entry.items() if key not in ("format", "kind")}
        item = Item(**told)
        is_next = item.number == self.next_number and item.first_hash == self.num_records
        if entry["kind"] != "item" or not is_next or item.num_hashes < 0:
            raise ValueError(entry)
        self.items[item.number] = item
        self.next_number += 1
        self.num_records += item.num_hashes


def _damaged(path: Path, number: int) -> UserError:
    return UserError(
        f"{path}, line {number}: damaged; put the file back (dvc checkout or git checkout), since "
        "what a bank holds cannot be told without it"
    )


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
