"""What banks hold of the bytes of files, for those who explain or forget these."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from pipeline.copies import bank_compaction, banks, hash_index
from pipeline.copies.matches import told


def items_with(sha256: str | None, root: Path) -> Iterator[str]:
    """The items of banks that have such bytes, in words.

    Args:
        sha256: of a file; None where it is not known.
        root: the folder of banks.
    """
    for name in banks.names(root):
        bank = banks.read(root, name)
        item = bank.with_bytes(sha256 or "")
        if item is not None:
            yield f"{told(name, item)}{', which is harmless' * bank.is_negative}"


def removed(sha256s: Collection[str], root: Path, work: Path) -> Iterator[str]:
    """Take all items with such bytes out of banks and their files, and yield them in words.

    Args:
        sha256s: of files.
        root: the folder of banks.
        work: the work folder, which holds their indices.
    """
    for name in banks.names(root):
        with banks.writing(root, name) as bank:
            gone = [
                bank.remove(item.number)
                for item in list(bank.items.values())
                if item.sha256 and item.sha256 in sha256s
            ]
        if gone:
            bank_compaction.compact(root, name)
            hash_index.dropped(work, name)
            yield from (told(name, item) for item in gone)
