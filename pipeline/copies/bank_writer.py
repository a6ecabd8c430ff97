"""What changes a bank: each change is on the disk once it returns."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline.copies import bank_files, bank_log
from pipeline.copies.bank_files import ITEMS, hashes_name, sounds_name
from pipeline.copies.bank_log import FORMAT, Item, Log, Taken, line_of
from pipeline.copies.records import RECORD, SOUND_RECORD
from pipeline.errors import UserError


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
        narrow: NDArray[Any] | None = None,
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
            narrow: the moments of a narrow band of its sound, `SOUND_RECORD` (K,), likewise.
        """
        num_hashes, num_sounds = len(hashes), len(sounds)
        hashes = np.concatenate([hashes, np.zeros(0, RECORD) if parts is None else parts])
        sounds = np.concatenate([sounds, np.zeros(0, SOUND_RECORD) if narrow is None else narrow])
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
            num_sounds=num_sounds,
            sounds_sha256=hashlib.sha256(sounds.tobytes()).hexdigest(),
            feed=feed,
            num_parts=len(hashes) - num_hashes,
            num_narrow=len(sounds) - num_sounds,
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
        line = b"\n" * self._log.lacks_newline + line_of({"format": FORMAT, **entry}) + b"\n"
        before = self._log.num_bytes
        descriptor = self._file.fileno()
        try:
            with bank_files.named(self._folder / ITEMS):
                os.ftruncate(descriptor, before)
                bank_files.write_all(descriptor, line, before)
                os.fsync(descriptor)
            bank_files.write_head(self._folder, self._log.generation, before + len(line))
        except OSError:
            # A disk that is full refuses a line or a head; the bank stays as it was before both.
            with suppress(OSError):
                os.ftruncate(descriptor, before)
            raise
        self._log.num_bytes = before + len(line)
        self._log.lacks_newline = False
