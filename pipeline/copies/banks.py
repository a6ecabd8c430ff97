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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline.copies import bank_files, bank_log
from pipeline.copies.bank_files import ITEMS, hashes_name, sounds_name
from pipeline.copies.bank_files import names as names
from pipeline.copies.bank_log import FORMAT, Item, Log, Names, Opinions, Taken, line_of
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
        """The hashed pictures of an item, whole ones, in order of time."""
        return self.hashes[item.first_hash : item.first_hash + item.num_hashes]

    def all_hashes_of(self, item: Item) -> NDArray[Any]:
        """The same, followed by the parts of its pictures."""
        return self.hashes[item.first_hash : item.first_hash + item.num_records]

    def sounds_of(self, item: Item) -> NDArray[Any]:
        """The moments of sound of an item, in order of time; none of silence."""
        return self.sounds[item.first_sound : item.first_sound + item.num_sounds]

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
            (sounds, bank.sounds_of(item), item.num_sounds, item.sounds_sha256),
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
        folder.mkdir(parents=True, exist_ok=True)
        # The writer adds the head; one without lines would be taken for what is left of a bank.
        (folder / ITEMS).touch()
        bank_files.to_disk(folder)
    with bank_files.opened(folder, "r+b") as file:
        is_alone = locks.locked(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who compacted the bank since it was opened put another file in its place.
        if not is_alone or not os.path.samestat(os.fstat(file.fileno()), (folder / ITEMS).stat()):
            raise UserError(f"{folder}: another process changes it; wait until that has ended")
        yield Writer(folder, file)


class Writer:
    """Changes a bank; `writing` gives one. A label that is no line of text is a `UserError`."""

    def __init__(self, folder: Path, file: BinaryIO) -> None:
        self._folder, self._file = folder, file
        head = bank_files.read_head(folder)
        self._log = Log.parse(folder / ITEMS, file.read())
        bank_files.check_head(folder, head, self._log)
        now = self._log.generation, self._log.num_bytes
        if head != now:
            # A bank of the format before has none, and a kill may have come before it was written.
            bank_files.write_head(folder, *now)
        self._waiting: list[dict[str, Any]] | None = None

    @property
    def items(self) -> dict[int, Item]:
        """By number, in order, those that are not removed."""
        return self._log.items

    @property
    def log(self) -> Log:
        """All that is said of the bank."""
        return self._log

    def make_negative(self) -> None:
        """Say of a bank that is still empty that what matches it is harmless.

        Raises:
            UserError: it is not empty.
        """
        if self._log.is_negative:
            return
        if self._log.next_number > 1:
            raise UserError(
                f"{self._folder}: no negative bank, and it has items; put what never is to raise "
                "an alert into a bank of its own"
            )
        self._append({"kind": "bank", "negative": True, "generation": self._log.generation})

    def add(
        self,
        name: str,
        label: str,
        sha256: str,
        md5: str,
        duration_s: float,
        hashes: NDArray[Any],
        sounds: NDArray[Any],
        feed: str = "",
        parts: NDArray[Any] | None = None,
    ) -> Item:
        """Add a video; once this returns, it is on the disk and found.

        Args:
            name: of its file, without folders.
            label: what it is known as.
            sha256, md5: of its bytes, in hexadecimal digits; empty where nobody knows.
            duration_s: of the file.
            hashes: its pictures, `RECORD` (N,), in order of time; the number of the item is
                written here.
            sounds: the moments of its sound, `SOUND_RECORD` (M,), likewise.
            feed: that it came from; empty where it was made here.
            parts: of its pictures, `RECORD` (P,), in order of time.
        """
        num_hashes = len(hashes)
        hashes = np.concatenate([hashes, np.zeros(0, RECORD) if parts is None else parts])
        sounds = sounds.copy()
        hashes["item"] = sounds["item"] = self._log.next_number
        item = Item(
            number=self._log.next_number,
            name=name,
            label=label,
            sha256=sha256,
            md5=md5,
            duration_s=duration_s,
            first_hash=self._log.num_hashes,
            num_hashes=num_hashes,
            hashes_sha256=hashlib.sha256(hashes.tobytes()).hexdigest(),
            first_sound=self._log.num_sounds,
            num_sounds=len(sounds),
            sounds_sha256=hashlib.sha256(sounds.tobytes()).hexdigest(),
            feed=feed,
            num_parts=len(hashes) - num_hashes,
        )
        hashes_path, sounds_path = self._paths()
        bank_files.write_records(hashes_path, item.first_hash, hashes)
        bank_files.write_records(sounds_path, item.first_sound, sounds)
        if self._waiting is None:
            bank_files.to_disk(self._folder, *self._paths())
        self._append({"kind": "item", **asdict(item)})
        return item

    def _paths(self) -> tuple[Path, Path]:
        generation = self._log.generation
        return self._folder / hashes_name(generation), self._folder / sounds_name(generation)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Have all changes of the block come onto the disk at its end, as one line of the bank.

        After a failure in the block none has, and this object must not be used any more.
        """
        waiting: list[dict[str, Any]] = []
        self._waiting = waiting
        yield
        self._waiting = None
        if self._log.next_number > 1:
            bank_files.to_disk(self._folder, *self._paths())
        self._write({"kind": "changes", "entries": waiting})

    def remove(self, number: int) -> Item:
        """Take an item out of every later answer; returns what it was.

        Raises:
            UserError: there is no such item.
        """
        item = self._item(number)
        self._append({"kind": "removal", "number": number})
        return item

    def label(self, number: int, label: str) -> Item:
        """Say what an item is known as from now on; returns it.

        Raises:
            UserError: there is no such item.
        """
        self._item(number)
        self._append({"kind": "label", "number": number, "label": label})
        return self.items[number]

    def judge(self, number: int, by: str, verdict: str) -> Item:
        """Note what somebody says of an item, one of `bank_log.VERDICTS`; returns the item.

        Raises:
            UserError: there is no such item.
        """
        self._item(number)
        self._append({"kind": "verdict", "number": number, "by": by, "verdict": verdict})
        return self.items[number]

    def call(self, number: int, by: str, label: str | None) -> Item:
        """Note what somebody calls an item, or with None no more; returns the item.

        Raises:
            UserError: there is no such item.
        """
        self._item(number)
        self._append({"kind": "called", "number": number, "by": by, "label": label})
        return self.items[number]

    def take(self, feed: str, taken: Taken) -> None:
        """Note how much of a feed was taken."""
        self._append({"kind": "taken", "feed": feed, **asdict(taken)})

    def _item(self, number: int) -> Item:
        if number not in self.items:
            raise UserError(
                f"{self._folder}: no item {number}; see discern bank show {self._folder.name}"
            )
        return self.items[number]

    def _append(self, entry: dict[str, Any]) -> None:
        bank_log.check_label(entry.get("label") or "")
        self._log.take(entry)
        if self._waiting is None:
            self._write(entry)
        else:
            self._waiting.append(entry)

    def _write(self, entry: dict[str, Any]) -> None:
        self._file.seek(self._log.num_bytes)
        self._file.truncate()
        line = line_of({"format": FORMAT, **entry})
        self._file.write(b"\n" * self._log.lacks_newline + line + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._log.num_bytes = self._file.tell()
        self._log.lacks_newline = False
        bank_files.write_head(self._folder, self._log.generation, self._log.num_bytes)
