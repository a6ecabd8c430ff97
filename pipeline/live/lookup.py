"""Known videos in streams: what a stream has shown of late is looked up in banks, once a second.

Each stream has a look-up of its own, which follows its last minute. Streams look one after the
other, so that banks cost one core at most; a stream whose turn it is not goes on, and looks up more
the next time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.copies import (
    banks,
    candidates,
    flood,
    hash_index,
    matching,
    sound_matching,
    stills,
)
from pipeline.copies.bank_files import ITEMS
from pipeline.copies.banks import RECORD, SOUND_RECORD, Bank
from pipeline.copies.hash_index import Index
from pipeline.copies.negatives import covering
from pipeline.errors import UserError
from pipeline.live.found import Found, Told
from pipeline.live.messages import Prints
from pipeline.live.passed import Recorder

log = logging.getLogger(__name__)

WINDOW_S = 60.0
"""What a stream has shown for so long is looked up together."""
_LOOK_EVERY_S = 0.5
_MAX_PRINTS = 2000


class Banks:
    """Banks that streams are looked up in; they are read again when they change.

    Attributes:
        suspended: bank and number of the items that matched too much, which nobody is told of.
        added: bank and number of the items that came since the watch began, but harmless ones.
    """

    def __init__(self, root: Path, names: Sequence[str], work: Path) -> None:
        """Read banks.

        Args:
            root: the folder of banks.
            names: of those to look in; negative ones say what is harmless.
            work: the work folder, which knows the items that are suspended.

        Raises:
            UserError: there is no such bank, or it was damaged.
        """
        self._root, self._names, self._work = root, tuple(names), work
        self.lock = threading.Lock()
        self.added: list[tuple[str, int]] = []
        self._read_at = self._state()
        self._looked_at = time.monotonic()
        self._indices = self._read([])
        self.suspended = self._suspended()
        _compile()

    def _read(self, before: Sequence[Index]) -> list[Index]:
        """The banks; what was read before is not checked again."""
        known = {index.bank.name: index for index in before}
        found = []
        for name in self._names:
            old = known.get(name)
            bank = banks.read(self._root, name, None if old is None else old.bank)
            found.append(hash_index.opened(self._work, bank, old))
        return found

    def _note_added(self, before: Sequence[Index]) -> None:
        for old, index in zip(before, self._indices, strict=True):
            if not index.bank.is_negative:
                new = sorted(index.bank.items.keys() - old.bank.items.keys())
                self.added += [(index.bank.name, number) for number in new]

    def now(self) -> list[Index]:
        """The banks as they are; whoever asks holds `lock`."""
        if time.monotonic() - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = time.monotonic()
            state = self._state()
            try:
                if state != self._read_at:
                    self._read_at = state
                    before, self._indices = self._indices, self._read(self._indices)
                    self._note_added(before)
                self.suspended = self._suspended()
            except UserError as error:
                log.warning("watch: %s; streams are looked up in what was read before", error)
        return self._indices

    def _suspended(self) -> frozenset[tuple[str, int]]:
        keys = flood.suspended(self._work)
        return frozenset(
            (index.bank.name, number)
            for index in self._indices
            for number, item in index.bank.items.items()
            if keys and flood.key_of(index.bank.name, item) in keys
        )

    def _state(self) -> list[tuple[int, int] | None]:
        found: list[tuple[int, int] | None] = []
        for name in self._names:
            try:
                about = (self._root / name / ITEMS).stat()
                found.append((about.st_mtime_ns, about.st_size))
            except OSError:
                found.append(None)
        return found


@dataclass
class _Recent:
    """What was shown of late, with the seconds of the stream."""

    prints: deque[tuple[float, Any]] = field(default_factory=lambda: deque(maxlen=_MAX_PRINTS))
    num_new: int = 0

    def add(self, prints: Sequence[tuple[float, Any]], offset_s: float) -> None:
        for at_s, value in prints:
            at_s += offset_s
            # The clock of what decodes may be anything.
            if self.prints and at_s < self.prints[-1][0]:
                continue
            self.prints.append((at_s, value))
            self.num_new += 1
        while self.prints and self.prints[0][0] < self.prints[-1][0] - WINDOW_S:
            self.prints.popleft()
        self.num_new = min(self.num_new, len(self.prints))

    def arrays(self) -> tuple[float, np.ndarray, list[Any]]:
        """When it begins, milliseconds since then, and what was there."""
        start_s = self.prints[0][0]
        times = np.array([round(1000 * (at_s - start_s)) for at_s, _ in self.prints], np.uint32)
        return start_s, times, [value for _, value in self.prints]


@dataclass
class _Shown:
    pictures: _Recent
    sounds: _Recent


def _moved(prints: Sequence[tuple[float, Any]], offset_s: float) -> list[tuple[float, Any]]:
    return [(at_s + offset_s, value) for at_s, value in prints]


class Lookup:
    """What one stream shows of the items of banks."""

    def __init__(self, known: Banks, passed: Recorder | None = None) -> None:
        """Begin.

        Args:
            known: what is looked for.
            passed: what keeps hashes for items that come later; without it, none are.
        """
        self._known, self._passed = known, passed
        self._num_added = len(known.added)
        self._shown = _Shown(_Recent(), _Recent())
        self._told = Told(WINDOW_S)

    def restart(self) -> None:
        """Forget what was shown, with which what follows has nothing to do."""
        self._shown = _Shown(_Recent(), _Recent())

    def take(self, prints: Prints, offset_s: float, *, waits: bool) -> list[dict[str, Any]]:
        """Take what is new, and look it up.

        Args:
            prints: of the stream.
            offset_s: what is added to its times to get those of the stream.
            waits: whether to wait for other streams to have looked.

        Returns:
            Of each item that was not told of at this offset before, what is to be told.
        """
        self._shown.pictures.add(prints.pictures, offset_s)
        self._shown.sounds.add(prints.sounds, offset_s)
        if self._passed is not None:
            self._passed.add(*(_moved(some, offset_s) for some in (prints.pictures, prints.sounds)))
        if not self._known.lock.acquire(blocking=waits):
            return []
        try:
            opened = self._known.now()
            # What is on the screen now is told as such.
            found = self._found(opened, self._shown)
            found += self._found_in_past(opened)
        finally:
            self._known.lock.release()
        self._shown.pictures.num_new = self._shown.sounds.num_new = 0
        return found

    def _found_in_past(self, opened: Sequence[Index]) -> list[dict[str, Any]]:
        """What has shown items that are new since this was asked the last time."""
        added = frozenset(self._known.added[self._num_added :])
        self._num_added = len(self._known.added)
        if not added or self._passed is None:
            return []
        pictures, sounds = self._passed.shown()
        past = _Shown(_Recent(), _Recent())
        past.pictures.prints = deque(sorted(pictures, key=lambda one: one[0]))
        past.sounds.prints = deque(sorted(sounds, key=lambda one: one[0]))
        past.pictures.num_new, past.sounds.num_new = len(pictures), len(sounds)
        return [{**one, "in_past": True} for one in self._found(opened, past, added)]

    def _found(
        self,
        opened: Sequence[Index],
        shown: _Shown,
        only: frozenset[tuple[str, int]] | None = None,
    ) -> list[dict[str, Any]]:
        found = [
            (index.bank, one)
            for index in opened
            if not index.bank.is_negative
            for one in self._matches(index, shown, of_all=False)
            if only is None or (index.bank.name, one.item) in only
        ]
        # What is harmless is looked for where there is something else.
        negatives = [
            one.stretch
            for index in opened
            if index.bank.is_negative and found
            for one in self._matches(index, shown, of_all=True)
        ]
        return [
            one.as_data(bank)
            for bank, one in found
            if not covering(one.stretch, negatives) and self._told.is_new(bank.name, one)
        ]

    def _matches(self, index: Index, shown: _Shown, *, of_all: bool) -> Iterator[Found]:
        """The items of a bank with something near what is new, or near anything of late."""
        bank = index.bank
        recent = shown.pictures
        if recent.num_new and len({at_s for at_s, _ in recent.prints}) >= matching.MIN_FRAMES:
            start_s, times_ms, values = recent.arrays()
            query = np.frombuffer(b"".join(values), np.uint8).reshape(len(values), -1)
            new = query if of_all else query[-recent.num_new :]
            for number in self._in_question(bank, index.near(new)[0]):
                item = bank.items[number]
                records = bank.hashes_of(item)
                is_still = stills.is_one_picture(bank.all_hashes_of(item)["time_ms"])
                find = stills.places if is_still else matching.stretches
                for seen in find(times_ms, query, records):
                    yield Found(number, start_s, seen, is_still)
        recent = shown.sounds
        if recent.num_new and len(recent.prints) >= sound_matching.WINDOW:
            start_s, times_ms, values = recent.arrays()
            items = np.array(values, np.uint32)
            # Of a window that is whole now, the half that agrees may be the first one.
            num_ends = len(items) if of_all else recent.num_new + candidates.SOUND_PART
            for number in self._in_question(bank, candidates.by_sound(items, num_ends, bank)):
                records = bank.sounds_of(bank.items[number])
                for heard in sound_matching.stretches(times_ms, items, records):
                    yield Found(number, start_s, heard)

    def _in_question(self, bank: Bank, numbers: Sequence[int]) -> list[int]:
        """Without suspended items, which nobody is told of; harmless ones cover all the same."""
        suspended = self._known.suspended
        return [one for one in numbers if bank.is_negative or (bank.name, one) not in suspended]


def _compile() -> None:
    """Have loops compiled before a stream waits for them."""
    pictures, sounds = np.zeros(4, RECORD), np.zeros(2 * sound_matching.WINDOW, SOUND_RECORD)
    pictures["time_ms"], pictures["pdq"] = 1000 * np.arange(4), 1
    sounds["time_ms"] = np.rint(124 * np.arange(len(sounds)))
    sounds["print"] = np.arange(len(sounds))
    bank = Bank("", {}, pictures, sounds)
    Index(bank, []).near(pictures["pdq"])
    candidates.by_sound(sounds["print"], len(sounds), bank)
    matching.stretches(pictures["time_ms"], pictures["pdq"], pictures)
    sound_matching.stretches(sounds["time_ms"], sounds["print"], sounds)
