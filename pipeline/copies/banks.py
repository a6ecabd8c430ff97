"""Banks of known videos: append-only plain files from which nothing that was added gets lost.

A bank is a folder with three files. `items.jsonl` has a line an item, or the removal of one, each
with a checksum of its own. `hashes.bin` holds records of `RECORD`, and `sounds.bin` of
`SOUND_RECORD`, those of an item in a row. An addition writes its records first and its line last,
all to the disk: what a kill leaves behind is records without a line, or the beginning of a line,
which nobody reads and the next addition overwrites.
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

ITEMS, HASHES, SOUNDS = "items.jsonl", "hashes.bin", "sounds.bin"
RECORD = np.dtype(
    {
        "names": ["item", "time_ms", "pdq", "mirror", "quality"],
        "formats": ["<u4", "<u4", (np.uint8, HASH_BYTES), (np.uint8, HASH_BYTES), np.uint8],
        "offsets": [0, 4, 8, 8 + HASH_BYTES, 8 + 2 * HASH_BYTES],
        "itemsize": 80,
    }
)
"""A hashed picture: number of its item, its time, PDQ, PDQ of its mirror image, and quality."""
SOUND_RECORD = np.dtype([("item", "<u4"), ("time_ms", "<u4"), ("print", "<u4")])
"""A moment of sound: number of its item, when it begins, and what Chromaprint says of it."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Bank:
    """What a bank holds.

    Attributes:
        name: of the bank.
        items: by number, in order; removed ones are not among them.
        hashes: all of `hashes.bin` that was read, `RECORD` (N,), mapped from the disk.
        sounds: the same of `sounds.bin`, `SOUND_RECORD` (M,).
    """

    name: str
    items: dict[int, Item]
    hashes: NDArray[Any]
    sounds: NDArray[Any]

    def hashes_of(self, item: Item) -> NDArray[Any]:
        """The hashed pictures of an item, in order of time."""
        return self.hashes[item.first_hash : item.first_hash + item.num_hashes]

    def sounds_of(self, item: Item) -> NDArray[Any]:
        """The moments of sound of an item, in order of time; none of silence."""
        return self.sounds[item.first_sound : item.first_sound + item.num_sounds]

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
    bank = Bank(
        name,
        log.items,
        _mapped(folder / HASHES, RECORD),
        _mapped(folder / SOUNDS, SOUND_RECORD),
    )
    for item in bank.items.values():
        sides = (
            (HASHES, bank.hashes_of(item), item.num_hashes, item.hashes_sha256),
            (SOUNDS, bank.sounds_of(item), item.num_sounds, item.sounds_sha256),
        )
        for file_name, records, num_records, sha256 in sides:
            whole = len(records) == num_records and (records["item"] == item.number).all()
            if not whole or hashlib.sha256(records.tobytes()).hexdigest() != sha256:
                raise UserError(
                    f"{folder / file_name}: what it holds of item {item.number} ({item.name!r}) is "
                    "damaged or missing; put the file back (dvc checkout), or run discern bank "
                    f"remove {name} {item.number} and add the video again"
                )
    return bank


def _mapped(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The whole records of a file, mapped from the disk; none where there is no file."""
    num_records = path.stat().st_size // dtype.itemsize if path.exists() else 0
    return np.memmap(path, dtype, "r", shape=(num_records,)) if num_records else np.zeros(0, dtype)


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
        hashes: NDArray[Any],
        sounds: NDArray[Any],
    ) -> Item:
        """Add a video; once this returns, it is on the disk and found.

        Args:
            name: of its file, without folders.
            label: what it is known as.
            sha256, md5: of its bytes, in hexadecimal digits.
            duration_s: of the file.
            hashes: its pictures, `RECORD` (N,), in order of time; the number of the item is
                written here.
            sounds: the moments of its sound, `SOUND_RECORD` (M,), likewise.
        """
        hashes, sounds = hashes.copy(), sounds.copy()
        hashes["item"] = sounds["item"] = self._log.next_number
        item = Item(
            number=self._log.next_number,
            name=name,
            label=label,
            sha256=sha256,
            md5=md5,
            duration_s=duration_s,
            first_hash=self._log.num_hashes,
            num_hashes=len(hashes),
            hashes_sha256=hashlib.sha256(hashes.tobytes()).hexdigest(),
            first_sound=self._log.num_sounds,
            num_sounds=len(sounds),
            sounds_sha256=hashlib.sha256(sounds.tobytes()).hexdigest(),
        )
        self._write(HASHES, item.first_hash, hashes)
        self._write(SOUNDS, item.first_sound, sounds)
        _to_disk(self._folder)
        self._append({"format": FORMAT, "kind": "item", **asdict(item)})
        return item

    def _write(self, name: str, first: int, records: NDArray[Any]) -> None:
        path = self._folder / name
        path.touch()
        with path.open("r+b") as file:
            file.seek(first * records.dtype.itemsize)
            file.truncate()
            file.write(records.tobytes())
            file.flush()
            os.fsync(file.fileno())

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
