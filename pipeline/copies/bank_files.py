"""The files of a bank on the disk: how they are named, opened, and outlive a loss of power.

`head.json` says how many bytes `items.jsonl` has at least, so that lines missing at its end are no
shorter bank. It is written after these lines, and read before them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.copies.bank_log import Log
from pipeline.errors import UserError

ITEMS, HEAD = "items.jsonl", "head.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""What a bank, and who says something of an item, may be called."""

_NEW = ".new"


def names(root: Path) -> list[str]:
    """The banks in a folder of banks, sorted; none where there is no such folder.

    Raises:
        UserError: one lacks its lines, so that nobody can tell what it held, or what should be
            the folder is a file.
    """
    if os.path.lexists(root) and not root.is_dir():
        raise _no_folder(root)
    for folder in sorted(root.glob("*/")):
        check_has_lines(folder)
    return _names(root)


def _names(root: Path) -> list[str]:
    return sorted(path.parent.name for path in root.glob(f"*/{ITEMS}"))


def check_has_lines(folder: Path) -> None:
    """Check that a folder has no files of a bank without the lines that say what these hold.

    Raises:
        UserError: it has.
    """
    found = [
        path for pattern in (HEAD, "hashes*.bin", "sounds*.bin") for path in folder.glob(pattern)
    ]
    # Lines are there before all else, so that they are looked for last.
    if found and not (folder / ITEMS).exists():
        left = ", ".join(sorted(path.name for path in found))
        raise UserError(
            f"{folder / ITEMS}: missing, and {left} of this bank still there; put the bank back as "
            f"it was (dvc checkout or git checkout), or delete {folder} to begin anew"
        )


def made(root: Path, folder: Path) -> None:
    """Make the folder of a bank.

    Raises:
        UserError: nothing can be made where banks are to be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError) as error:
        raise _no_folder(root) from error


def _no_folder(root: Path) -> UserError:
    return UserError(f"{root}: no folder; give paths.banks=FOLDER, where banks are or can be made")


def check_name(name: str, key: str) -> str:
    """The name of somebody who says something, as a key of the configuration gives it.

    Raises:
        UserError: it is none.
    """
    if not NAME.fullmatch(name):
        raise UserError(
            f"{key}={name}: give {key}=NAME, of letters, digits, dots, - and _, that begins with "
            "a letter or digit"
        )
    return name


def folder_of(root: Path, name: str) -> Path:
    """The folder of a bank, which need not be there.

    Raises:
        UserError: its name is none.
    """
    if not NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is no name of a bank; use letters, digits, dots, - and _, and begin with a "
            "letter or digit"
        )
    return root / name


def hashes_name(generation: int) -> str:
    """The file of hashes of pictures of a bank that was compacted so often."""
    return f"hashes-{generation}.bin" if generation else "hashes.bin"


def sounds_name(generation: int) -> str:
    """The file of moments of sound of a bank that was compacted so often."""
    return f"sounds-{generation}.bin" if generation else "sounds.bin"


@contextmanager
def open_items(folder: Path, mode: str) -> Iterator[Any]:
    """Yield the open `items.jsonl` of a bank, in a mode of `open`.

    Raises:
        UserError: there is no such bank, or it may not be opened.
    """
    path = folder / ITEMS
    try:
        file = path.open(mode)
    except FileNotFoundError as error:
        check_has_lines(folder)
        there = ", ".join(_names(folder.parent)) or "none"
        raise UserError(
            f"{path}: no bank {folder.name!r} (there are: {there}); discern bank add {folder.name} "
            "FILE makes it"
        ) from error
    except PermissionError as error:
        raise UserError(
            f"{path}: may not be opened; give the user who runs this the right to, or run "
            f"dvc unprotect {path.parent} if DVC made links of its files"
        ) from error
    with file:
        yield file


def mapped(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the whole records (n,) of a file, mapped from the disk; none without a file."""
    num_records = path.stat().st_size // dtype.itemsize if path.exists() else 0
    return np.memmap(path, dtype, "r", shape=(num_records,)) if num_records else np.zeros(0, dtype)


def write_records(path: Path, first: int, records: NDArray[Any]) -> None:
    """Write records (n,) from the record of number `first` on, and cut the file off after them."""
    path.touch()
    with named(path), path.open("r+b") as file:
        file.seek(first * records.dtype.itemsize)
        file.truncate()
        file.write(records.tobytes())


def write_all(descriptor: int, content: bytes, at: int) -> None:
    """Write bytes at a place of a file, without a buffer that a failure would leave behind."""
    left = memoryview(content)
    while left:
        num_written = os.pwrite(descriptor, left, at)
        left, at = left[num_written:], at + num_written


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Have what a disk refuses in the block name its file, as what is refused of a write does not.

    Raises:
        OSError: of the block.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def read_head(folder: Path) -> tuple[int, int] | None:
    """The generation of a bank, and how many bytes of lines it has at least; None without a head.

    Raises:
        UserError: it is damaged.
    """
    path = folder / HEAD
    try:
        told = json.loads(path.read_bytes())
        return int(told["generation"]), int(told["num_bytes"])
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise _back(path, "damaged") from error


def read_log(folder: Path, before: Log | None = None) -> Log:
    """What the lines of a bank say, of which none is missing.

    Args:
        folder: of the bank.
        before: what they said when they were read before.

    Raises:
        UserError: there is no such bank, or lines are damaged or missing.
    """
    head = read_head(folder)
    with open_items(folder, "rb") as file:
        log = Log.parse(folder / ITEMS, file.read(), before)
    check_head(folder, head, log)
    return log


def check_head(folder: Path, head: tuple[int, int] | None, log: Log) -> None:
    """Check that no lines are missing, by the head as it was before they were read.

    Raises:
        UserError: some are, or the head is.
    """
    if head is None:
        if log.has_head:
            raise _back(folder / HEAD, "missing")
        return
    generation, num_bytes = head
    is_short = log.num_bytes + log.lacks_newline < num_bytes
    if generation > log.generation or (generation == log.generation and is_short):
        raise _back(folder / ITEMS, "lines are missing at its end")


def write_head(folder: Path, generation: int, num_bytes: int) -> None:
    """Say how many bytes of lines a bank has, once these are on the disk."""
    body = json.dumps({"generation": generation, "num_bytes": num_bytes}).encode() + b"\n"
    path = folder / (HEAD + _NEW)
    with named(folder / HEAD):
        with path.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        path.replace(folder / HEAD)


def to_disk(*paths: Path) -> None:
    """Have folders with the names in them, or files, survive a loss of power."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _back(path: Path, what: str) -> UserError:
    return UserError(f"{path}: {what}; put the bank back as it was (dvc checkout or git checkout)")
