"""Takes what was removed from a bank out of its files.

New files of hashes are written beside the old ones, and then a new `items.jsonl`, which names their
generation, takes the place of the old one in one step. A kill before it leaves the bank as it was,
and one after it leaves files that nobody reads, which the next compaction removes.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pipeline.copies import bank_files, banks
from pipeline.copies.bank_files import ITEMS, hashes_name, sounds_name
from pipeline.copies.bank_log import line_of
from pipeline.store import locks

_NEW = f"{ITEMS}.new"


def compact(root: Path, name: str) -> int:
    """Take the removed items out of the files of a bank, and return how many there were.

    Raises:
        UserError: there is no such bank, another process changes it, or it was damaged.
    """
    with banks.writing(root, name) as writer:
        folder, log = root / name, writer.log
        bank = banks.read(root, name)
        generation = log.generation + 1
        items = bank.items.values()
        _write(folder / hashes_name(generation), map(bank.all_hashes_of, items))
        _write(folder / sounds_name(generation), map(bank.all_sounds_of, items))
        body = b"".join(line_of(entry) + b"\n" for entry in log.compacted())
        with (folder / _NEW).open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
            bank_files.to_disk(folder)
            # Nobody else may change the bank before its head is written.
            locks.locked(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / _NEW).replace(folder / ITEMS)
            bank_files.to_disk(folder)
            bank_files.write_head(folder, generation, len(body))
            kept = {hashes_name(generation), sounds_name(generation)}
            for path in [*folder.glob("hashes*.bin"), *folder.glob("sounds*.bin")]:
                if path.name not in kept:
                    path.unlink()
        return log.num_removed


def _write(path: Path, parts: Iterable[NDArray[Any]]) -> None:
    with path.open("wb") as file:
        for part in parts:
            file.write(part.tobytes())
        file.flush()
        os.fsync(file.fileno())
