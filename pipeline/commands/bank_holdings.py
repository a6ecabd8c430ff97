"""Tells those who explain or forget files what banks hold of their bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow.compute as pc

from pipeline.commands import tables
from pipeline.copies import bank_compaction, banks, hash_index
from pipeline.copies.matches import item_in_words, told_of
from pipeline.store.bank_matches import BANK_MATCHES


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
            yield f"{item_in_words(name, item)}{', which is harmless' * bank.is_negative}"


def matches_of(collection: str, path: str, clips: Path) -> Iterator[str]:
    """Return what ingest has found of a file in banks, in words; nothing where it looks in none.

    Args:
        collection, path: of the file.
        clips: what ingest wrote.
    """
    of_it = (pc.field("collection") == collection) & (pc.field("path") == path)
    return (row["told"] for row in tables.select(clips / BANK_MATCHES, of_it, ["told"]))


def shown_by(sha256s: Collection[str], clips: Path) -> Iterator[str]:
    """The items of banks that files show or sound like with other bytes, in words.

    Args:
        sha256s: of the files.
        clips: what ingest wrote.
    """
    of_them = pc.field("file_sha256").isin(sorted(sha256s)) & (pc.field("by") != "bytes")
    columns = ["bank", "item", "name", "label"]
    rows = tables.select(clips / BANK_MATCHES, of_them, columns)
    items = sorted({tuple(row[column] for column in columns) for row in rows})
    return (told_of(bank, number, name, label) for bank, number, name, label in items)


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
            hash_index.delete_index(work, name)
            yield from (item_in_words(name, item) for item in gone)
