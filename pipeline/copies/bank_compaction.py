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

from pipeline.copies import bank_files, banks
from pipeline.copies.bank_files import ITEMS, hashes_name, sounds_name
from pipeline.copies.bank_log import line_of
from pipeline.store import locks

_NEW = f"{ITEMS}.new"


def compact(root: Path, name: str) -> int:
    """Take the removed items out of the files of a bank, and return how many there were.

    Raises:
        UserError: there is no such bank, another process changes it, or it was damaged.
        OSError: a disk refuses the new files; the bank is as it was.
    """
    with banks.writing(root, name) as writer:
        folder, log = root / name, writer.log
        bank = banks.read(root, name)
        generation = log.generation + 1
        items = bank.items.values()
        new = folder / hashes_name(generation), folder / sounds_name(generation), folder / _NEW
        body = b"".join(line_of(entry) + b"\n" for entry in log.compacted())
        try:
            _write(new[0], (bank.all_hashes_of(item).tobytes() for item in items))
            _write(new[1], (bank.all_sounds_of(item).tobytes() for item in items))
            _write(new[2], [body])
        except OSError:
            # Else they would fill the disk that has no room for them.
            for path in new:
                path.unlink(missing_ok=True)
            raise
        with new[2].open("r+b") as file:
            bank_files.to_disk(folder)
            # Nobody else may change the bank before its head is written.
            locks.locked(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            new[2].replace(folder / ITEMS)
            bank_files.to_disk(folder)
            for path in [*folder.glob("hashes*.bin"), *folder.glob("sounds*.bin")]:
                if path not in new:
                    path.unlink()
            bank_files.write_head(folder, generation, len(body))
        return log.num_removed


def _write(path: Path, parts: Iterable[bytes]) -> None:
    with bank_files.named(path), path.open("wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
