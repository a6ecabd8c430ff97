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
from pipeline.live.messages import Prints
from pipeline.live.recent_hashes import Recorder
from pipeline.live.sound_candidates import SoundCandidates
from pipeline.live.stream_matches import ReportedMatches, StreamMatch

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
            found.append(hash_index.open_index(self._work, bank, old))
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
    """Holds what was shown of late, with the seconds of the stream."""

    prints: deque[tuple[float, Any]] = field(default_factory=lambda: deque(maxlen=_MAX_PRINTS))
    num_new: int = 0
    num_so_far: int = 0

    def add(self, prints: Sequence[tuple[float, Any]], offset_s: float) -> None:
        for at_s, value in prints:
            at_s += offset_s
            # The clock of what decodes may be anything.
            if self.prints and at_s < self.prints[-1][0]:
                continue
            self.prints.append((at_s, value))
            self.num_new += 1
            self.num_so_far += 1
        while self.prints and self.prints[0][0] < self.prints[-1][0] - WINDOW_S:
            self.prints.popleft()
        self.num_new = min(self.num_new, len(self.prints))

    def arrays(self, start_s: float) -> tuple[np.ndarray, list[Any]]:
        """Return milliseconds since a second before all of it, and what was there."""
        times = np.array([round(1000 * (at_s - start_s)) for at_s, _ in self.prints], np.uint32)
        return times, [value for _, value in self.prints]


@dataclass
class _Shown:
    pictures: _Recent = field(default_factory=_Recent)
    sounds: _Recent = field(default_factory=_Recent)
    narrow: _Recent = field(default_factory=_Recent)
    near_sounds: SoundCandidates = field(default_factory=lambda: SoundCandidates(narrow=False))
    near_narrow: SoundCandidates = field(default_factory=lambda: SoundCandidates(narrow=True))

    @property
    def all(self) -> tuple[_Recent, _Recent, _Recent]:
        """Pictures, sounds, and those of a narrow band."""
        return self.pictures, self.sounds, self.narrow

    @property
    def start_s(self) -> float:
        """When the first of it was."""
        return min(one.prints[0][0] for one in self.all if one.prints)


def _moved(prints: Sequence[tuple[float, Any]], offset_s: float) -> list[tuple[float, Any]]:
    return [(at_s + offset_s, value) for at_s, value in prints]


class StreamLookup:
    """Holds what one stream shows of the items of banks."""

    def __init__(self, known: Banks, passed: Recorder | None = None) -> None:
        """Begin with a stream that has shown nothing yet.

        Args:
            known: what is looked for.
            passed: what keeps hashes for items that come later; without it, none are.
        """
        self._known, self._passed = known, passed
        self._num_added = len(known.added)
        self._shown = _Shown()
        self._told = ReportedMatches(WINDOW_S)

    def restart(self) -> None:
        """Forget what was shown, with which what follows has nothing to do."""
        self._shown = _Shown()

    def take(self, prints: Prints, offset_s: float, *, waits: bool) -> list[dict[str, Any]]:
        """Take what is new, and look it up.

        Args:
            prints: of the stream.
            offset_s: what is added to its times to get those of the stream.
            waits: whether to wait for other streams to have looked.

        Returns:
            Of each item that was not told of at this offset before, what is to be told.
        """
        new = prints.pictures, prints.sounds, prints.narrow
        for recent, some in zip(self._shown.all, new, strict=True):
            recent.add(some, offset_s)
        if self._passed is not None:
            self._passed.add(*(_moved(some, offset_s) for some in new))
        if not self._known.lock.acquire(blocking=waits):
            return []
        try:
            opened = self._known.now()
            # What is on the screen now is told as such.
            found = self._found(opened, self._shown)
            found += self._found_in_past(opened)
        finally:
            self._known.lock.release()
        for recent in self._shown.all:
            recent.num_new = 0
        return found

    def _found_in_past(self, opened: Sequence[Index]) -> list[dict[str, Any]]:
        """Return what has shown items that are new since this was asked the last time."""
        added = frozenset(self._known.added[self._num_added :])
        self._num_added = len(self._known.added)
        if not added or self._passed is None:
            return []
        past = _Shown()
        for recent, some in zip(past.all, self._passed.shown(), strict=True):
            recent.prints = deque(sorted(some, key=lambda one: one[0]))
            recent.num_new = len(some)
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
            for one in self._matches(index, shown, of_all=False, only=only)
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

    def _matches(
        self,
        index: Index,
        shown: _Shown,
        *,
        of_all: bool,
        only: frozenset[tuple[str, int]] | None = None,
    ) -> Iterator[StreamMatch]:
        """The items of a bank with something near what is new, or near anything of late.

        Those of `only`, where that is given, are few, and hours of sound are soon compared with
        them and not with all of a bank.
        """
        bank = index.bank
        few = None if only is None else [one for one in bank.items if (bank.name, one) in only]
        recent = shown.pictures
        if recent.num_new:
            # Before there are so many pictures, a still alone can be told.
            has_several = len({at_s for at_s, _ in recent.prints}) >= matching.MIN_FRAMES
            start_s = shown.start_s
            times_ms, values = recent.arrays(start_s)
            query = np.frombuffer(b"".join(values), np.uint8).reshape(len(values), -1)
            new = query if of_all else query[-recent.num_new :]
            for number in self._in_question(bank, index.near(new)[0] if few is None else few):
                item = bank.items[number]
                records = bank.hashes_of(item)
                is_still = stills.is_one_picture(bank.all_hashes_of(item)["time_ms"])
                if not (is_still or has_several):
                    continue
                find = stills.places if is_still else matching.stretches
                for seen in find(times_ms, query, records):
                    yield StreamMatch(number, start_s, seen, is_still)
        for recent, narrow in ((shown.sounds, False), (shown.narrow, True)):
            if not recent.num_new or len(recent.prints) < sound_matching.rule(narrow=narrow)[0]:
                continue
            start_s = shown.start_s
            times_ms, values = recent.arrays(start_s)
            items = np.array(values, np.uint32)
            if few is not None:
                near = few
            elif of_all:
                near = candidates.by_sound(items, len(items), bank, narrow=narrow)
            else:
                known = shown.near_narrow if narrow else shown.near_sounds
                near = known.of(items, recent.num_new, recent.num_so_far, bank)
            for number in self._in_question(bank, near):
                item = bank.items[number]
                records = bank.narrow_of(item) if narrow else bank.sounds_of(item)
                for heard in sound_matching.stretches(times_ms, items, records, narrow=narrow):
                    yield StreamMatch(number, start_s, heard)

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
