"""Banks of known videos: append-only plain files from which nothing that was added gets lost.

A bank is a folder. `items.jsonl` has a line for each thing that was said of it: an item, the
removal of one, a label, an opinion, each with a checksum of its own. `hashes.bin` holds records of
`RECORD`, and `sounds.bin` of `SOUND_RECORD`, those of an item in a row. An addition writes its
records first and its line last, all to the disk: what a kill leaves behind is records without a
line, or the beginning of a line, which nobody reads and the next addition overwrites.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.copies import bank_files
from pipeline.copies.bank_files import ITEMS, hashes_name, sounds_name
from pipeline.copies.bank_files import names as names
from pipeline.copies.bank_log import Item, Log, Names, Opinions, Taken
from pipeline.copies.bank_writer import Writer
from pipeline.copies.records import RECORD as RECORD
from pipeline.copies.records import SOUND_RECORD as SOUND_RECORD
from pipeline.errors import UserError
from pipeline.store import locks

_ATTEMPTS = 3


@dataclass(frozen=True)
class Bank:
    """What a bank holds.

    Attributes:
        name: of the bank.
        items: by number, in order; removed ones are not among them.
        hashes: what `hashes.bin` holds of all items, `RECORD` (N,), mapped from the disk.
        sounds: the same of `sounds.bin`, `SOUND_RECORD` (M,).
        is_negative: whether what matches an item is known to be harmless.
        opinions: by the number of an item, what is said of it.
        feeds: what was taken of others, by the name of their feed.
        called: by the number of an item, what other feeds than its own call it.
        generation: how often it was compacted.
        log: that it was read from.
    """

    name: str
    items: dict[int, Item]
    hashes: NDArray[Any]
    sounds: NDArray[Any]
    is_negative: bool = False
    opinions: Mapping[int, Opinions] = field(default_factory=dict)
    feeds: Mapping[str, Taken] = field(default_factory=dict)
    called: Mapping[int, Names] = field(default_factory=dict)
    generation: int = 0
    log: Log | None = field(default=None, compare=False, repr=False)

    def hashes_of(self, item: Item) -> NDArray[Any]:
        """Return the records (n,) of the hashed whole pictures of an item, in order of time."""
        return self.hashes[item.first_hash : item.first_hash + item.num_hashes]

    def all_hashes_of(self, item: Item) -> NDArray[Any]:
        """Return the records (n,) of the whole pictures of an item, then those of their parts."""
        return self.hashes[item.first_hash : item.first_hash + item.num_records]

    def sounds_of(self, item: Item) -> NDArray[Any]:
        """Return the records (n,) of the sound of an item, in order of time; none of silence."""
        return self.sounds[item.first_sound : item.first_sound + item.num_sounds]

    def narrow_of(self, item: Item) -> NDArray[Any]:
        """Return the records (n,) of the sound of an item in a narrow band, in order of time.

        There are none of items that were added before there were such.
        """
        return self.all_sounds_of(item)[item.num_sounds :]

    def all_sounds_of(self, item: Item) -> NDArray[Any]:
        """Return the records (n,) of the sound of an item, then those of its narrow band."""
        return self.sounds[item.first_sound : item.first_sound + item.num_moments]

    @cached_property
    def is_narrow(self) -> NDArray[np.bool_]:
        """Which of `sounds` are of a narrow band, bool (M,)."""
        found = np.zeros(len(self.sounds), np.bool_)
        for item in self.items.values():
            end = item.first_sound + item.num_moments
            found[end - item.num_narrow : end] = True
        return found

    def with_bytes(self, sha256: str, md5: str = "") -> Item | None:
        """The first item whose file has such bytes; none has those that nobody knows.

        Args:
            sha256: of a file, or empty.
            md5: of it, for items of which no SHA-256 is known; or empty.
        """
        for item in self.items.values():
            known, given = (item.sha256, sha256) if item.sha256 else (item.md5, md5)
            if known and known == given:
                return item
        return None


def read(root: Path, name: str, checked: Bank | None = None) -> Bank:
    """Open a bank to look something up in it; every hash of it is checked.

    Args:
        root: the folder of banks.
        name: of the bank.
        checked: as this process has read it before, whose items are not checked again.

    Raises:
        UserError: there is no such bank, or its files were damaged.
    """
    folder = bank_files.folder_of(root, name)
    for attempt in range(_ATTEMPTS):
        log = bank_files.read_log(folder, None if checked is None else checked.log)
        try:
            return _checked(folder, log, checked)
        except UserError:
            # Who compacts the bank meanwhile takes the files away.
            if attempt == _ATTEMPTS - 1 or bank_files.read_log(folder).generation == log.generation:
                raise
    raise AssertionError


def _checked(folder: Path, log: Log, before: Bank | None) -> Bank:
    hashes, sounds = folder / hashes_name(log.generation), folder / sounds_name(log.generation)
    bank = Bank(
        folder.name,
        log.items,
        # What follows has no line, and may be written anew.
        bank_files.mapped(hashes, RECORD)[: log.num_hashes],
        bank_files.mapped(sounds, SOUND_RECORD)[: log.num_sounds],
        *(log.is_negative, log.opinions, log.feeds, log.called, log.generation, log),
    )
    known = before.items if before is not None and log.goes_on_from(before.log) else {}
    for item in bank.items.values():
        if item.number in known:
            continue
        sides = (
            (hashes, bank.all_hashes_of(item), item.num_records, item.hashes_sha256),
            (sounds, bank.all_sounds_of(item), item.num_moments, item.sounds_sha256),
        )
        for path, records, num_records, sha256 in sides:
            whole = len(records) == num_records and (records["item"] == item.number).all()
            if not whole or hashlib.sha256(records.tobytes()).hexdigest() != sha256:
                raise UserError(
                    f"{path}: what it holds of item {item.number} ({item.name!r}) is damaged or "
                    "missing; put the file back (dvc checkout), or run discern bank remove "
                    f"{bank.name} {item.number} and add the video again"
                )
    return bank


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
    folder = bank_files.folder_of(root, name)
    if create and not (folder / ITEMS).exists():
        bank_files.check_has_lines(folder)
        bank_files.made(root, folder)
        # The writer adds the head; one without lines would be taken for what is left of a bank.
        (folder / ITEMS).touch()
        bank_files.to_disk(folder)
    with bank_files.open_items(folder, "r+b") as file:
        is_alone = locks.locked(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who compacted the bank since it was opened put another file in its place.
        if not is_alone or not os.path.samestat(os.fstat(file.fileno()), (folder / ITEMS).stat()):
            raise UserError(f"{folder}: another process changes it; wait until that has ended")
        yield Writer(folder, file)
