"""The lines of a bank: what it holds, told by entries that each have a checksum of their own."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

FORMAT = 5
_READ = (2, 3, 4, FORMAT)
"""Formats that are read; 2 has items and removals alone, neither 2 nor 3 parts of pictures or what
others call an item, and none but the last moments of a narrow band."""
_FIRST_WITH_HEAD = 3
CONFIRMED, DISPUTED, SEEN, UPLOADED, WITHDRAWN = OPINIONS = (
    "confirmed",
    "disputed",
    "seen",
    "uploaded",
    "withdrawn",
)
"""What somebody may say of an item; the last takes back all that they said."""

_HIDING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"
"""Without them, Persian and Hindi would be misspelt, and some emoji fall apart."""
_CHECK = re.compile(rb'(.*), "check": "([0-9a-f]{16})"\}', re.DOTALL)


@dataclass(frozen=True)
class Item:
    """One known video.

    Attributes:
        number: of the item in its bank, from 1; no other item of the bank ever has it.
        name: of its file, without folders.
        label: what it is known as.
        sha256, md5: of the bytes of the file, in hexadecimal digits; empty where nobody knows.
        duration_s: of the file.
        first_hash, num_hashes: its records of whole pictures.
        hashes_sha256: of the bytes of these records.
        first_sound, num_sounds: its records of sound.
        sounds_sha256: of the bytes of all its records of sound.
        feed: that it came from; empty where it was made here.
        num_parts: records of parts of pictures, which follow those of whole ones.
        num_narrow: records of the sound of a narrow band, which follow those of all of it.
    """

    number: int
    name: str
    label: str
    sha256: str
    md5: str
    duration_s: float
    first_hash: int
    num_hashes: int
    hashes_sha256: str
    first_sound: int
    num_sounds: int
    sounds_sha256: str
    feed: str = ""
    num_parts: int = 0
    num_narrow: int = 0

    @property
    def num_records(self) -> int:
        """Of pictures and of their parts."""
        return self.num_hashes + self.num_parts

    @property
    def num_moments(self) -> int:
        """Records of sound, of all of it and of a narrow band."""
        return self.num_sounds + self.num_narrow


@dataclass(frozen=True)
class Taken:
    """How much of a feed a bank has taken.

    Attributes:
        key: the first digits of the SHA-256 of the key that it is signed with.
        num_deltas: taken so far.
        sha256: of the last one of these.
    """

    key: str
    num_deltas: int
    sha256: str


Opinions = dict[str, frozenset[str]]
"""What is said of an item, by who says it."""
Names = dict[str, str]
"""What others call an item, by who does."""


def is_label(text: str) -> bool:
    """Whether a text can be a label: one line, in which nothing controls, turns or hides text."""
    return not any(unicodedata.category(one) in _HIDING for one in text if one not in _JOINERS)


def check_label(text: str) -> None:
    """Refuse what is no label.

    Raises:
        UserError: it is of several lines, or holds what controls, turns or hides text.
    """
    if not is_label(text):
        raise UserError(
            f"label {text!a}: give a label of one line, without characters that control, turn "
            "or hide text"
        )


def line_of(entry: dict[str, Any]) -> bytes:
    """An entry as JSON with the checksum of the rest of the line, without a newline."""
    body = json.dumps(entry).encode()
    return body[:-1] + f', "check": "{_checksum(body[:-1])}"}}'.encode()


def _checksum(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


class Log:
    """What the lines of `items.jsonl` say.

    Attributes:
        items: by number, those that are not removed.
        opinions: by the number of the item, of those of which something is said.
        called: by the number of the item, of those that others call something.
        feeds: of which the bank has taken something, by name.
        is_negative: whether what matches an item is known to be harmless.
        generation: how often the bank was compacted, which is part of the names of its files.
        next_number: of the item that is added next.
        num_hashes, num_sounds: records of all items, removed ones as well.
        num_removed: items whose records are still there.
        num_bytes, num_lines: of the whole lines.
        sha256: of these bytes.
        before: that of the lines that were read before, which are the first of these; or empty.
        lacks_newline: the last whole line does not end with one.
        has_head: lines were written that `head.json` counts.
    """

    def __init__(self) -> None:
        self.items: dict[int, Item] = {}
        self.opinions: dict[int, Opinions] = {}
        self.called: dict[int, Names] = {}
        self.feeds: dict[str, Taken] = {}
        self.is_negative = False
        self.generation = 0
        self.next_number = 1
        self.num_hashes = 0
        self.num_sounds = 0
        self.num_removed = 0
        self.num_bytes = 0
        self.num_lines = 0
        self.sha256 = ""
        self.before = ""
        self.lacks_newline = False
        self.has_head = False

    @classmethod
    def parse(cls, path: Path, content: bytes, before: Log | None = None) -> Log:
        """Read lines; the last one is left out where its end is missing.

        Args:
            path: of the file.
            content: all of it.
            before: as it was read earlier; lines that it has are not read again.

        Raises:
            UserError: another line is damaged, or of a format that this version does not know.
        """
        log = before._copy() if before is not None and before._begins(content) else cls()
        *lines, tail = content[log.num_bytes :].split(b"\n")
        for line in lines:
            log.num_lines += 1
            log._take_line(path, log.num_lines, line)
            log.num_bytes += len(line) + 1
        if tail and (found := _CHECK.fullmatch(tail)) and _checksum(found[1]).encode() == found[2]:
            log._take_line(path, log.num_lines + 1, tail)
            log.num_bytes += len(tail)
            log.lacks_newline = True
        log.sha256 = hashlib.sha256(content[: log.num_bytes]).hexdigest()
        return log

    def goes_on_from(self, other: Log | None) -> bool:
        """Whether all that it says was added to what another one says."""
        return other is not None and self.before == other.sha256 != ""

    def _begins(self, content: bytes) -> bool:
        """Whether these lines are the first ones of a file as it is now."""
        now = hashlib.sha256(content[: self.num_bytes]).hexdigest()
        return not self.lacks_newline and now == self.sha256

    def _copy(self) -> Log:
        """What can be added to and leaves this as it is."""
        copied = copy.copy(self)
        copied.before = self.sha256
        copied.items, copied.feeds = dict(self.items), dict(self.feeds)
        copied.opinions = {number: dict(said) for number, said in self.opinions.items()}
        copied.called = {number: dict(called) for number, called in self.called.items()}
        return copied

    def _take_line(self, path: Path, number: int, line: bytes) -> None:
        found = _CHECK.fullmatch(line)
        if found is None or _checksum(found[1]).encode() != found[2]:
            raise _damaged(path, number)
        entry = json.loads(found[1] + b"}")
        if entry.get("format") not in _READ:
            raise UserError(
                f"{path}, line {number}: format {entry.get('format')!r}, and this version of "
                f"Discern reads formats {', '.join(map(str, _READ[:-1]))} and {_READ[-1]}; use the "
                "version that wrote it"
            )
        self.has_head |= entry["format"] >= _FIRST_WITH_HEAD
        try:
            self.take(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(path, number) from error

    def take(self, entry: dict[str, Any]) -> None:
        """Add what a line says.

        Raises:
            KeyError, TypeError, ValueError: it cannot stand where it does.
        """
        told = {key: value for key, value in entry.items() if key not in ("format", "kind")}
        match entry["kind"]:
            case "item":
                self._take_item(Item(**told))
            case "removal":
                del self.items[told["number"]]
                self.opinions.pop(told["number"], None)
                self.called.pop(told["number"], None)
                self.num_removed += 1
            case "label":
                number = told["number"]
                self.items[number] = replace(self.items[number], label=told["label"])
            case "verdict":
                self._take_verdict(**told)
            case "called":
                self._take_called(**told)
            case "taken":
                feed = told.pop("feed")
                self.feeds[feed] = Taken(**told)
            case "bank":
                self._take_bank(**told)
            case "changes":
                for one in told["entries"]:
                    self.take(one)
            case "gap" if told["next_number"] > self.next_number:
                self.next_number = told["next_number"]
            case _:
                raise ValueError(entry)

    def _take_item(self, item: Item) -> None:
        expected = self.next_number, self.num_hashes, self.num_sounds
        is_next = (item.number, item.first_hash, item.first_sound) == expected
        nums = item.num_hashes, item.num_parts, item.num_sounds, item.num_narrow
        if not is_next or min(nums) < 0:
            raise ValueError(item)
        self.items[item.number] = item
        self.next_number += 1
        self.num_hashes += item.num_records
        self.num_sounds += item.num_moments

    def _take_verdict(self, number: int, by: str, verdict: str) -> None:
        if number not in self.items or verdict not in OPINIONS:
            raise ValueError(number, verdict)
        said = self.opinions.setdefault(number, {})
        if verdict == WITHDRAWN:
            said.pop(by, None)
            return
        # Who changes their mind about this no longer says the other thing.
        other = {CONFIRMED: {DISPUTED}, DISPUTED: {CONFIRMED}}.get(verdict, set())
        said[by] = frozenset({*said.get(by, ()), verdict} - other)

    def _take_called(self, number: int, by: str, label: str | None) -> None:
        if number not in self.items:
            raise ValueError(number)
        called = self.called.setdefault(number, {})
        if label is None:
            called.pop(by, None)
        else:
            called[by] = label

    def _take_bank(self, negative: bool, generation: int) -> None:
        if self.next_number > 1 or self.feeds or generation < 0:
            raise ValueError(generation)
        self.is_negative, self.generation = bool(negative), generation

    def compacted(self) -> list[dict[str, Any]]:
        """The entries that say the same of the next generation, without what was removed."""
        log = Log()
        entries: list[dict[str, Any]] = [
            {"kind": "bank", "negative": self.is_negative, "generation": self.generation + 1}
        ]
        for item in self.items.values():
            if item.number > log.next_number:
                entries.append({"kind": "gap", "next_number": item.number})
                log.next_number = item.number
            moved = replace(item, first_hash=log.num_hashes, first_sound=log.num_sounds)
            log._take_item(moved)
            entries.append({"kind": "item", **vars(moved)})
            for by, said in sorted(self.opinions.get(item.number, {}).items()):
                entries += [
                    {"kind": "verdict", "number": item.number, "by": by, "verdict": verdict}
                    for verdict in sorted(said)
                ]
            entries += [
                {"kind": "called", "number": item.number, "by": by, "label": label}
                for by, label in sorted(self.called.get(item.number, {}).items())
            ]
        if self.next_number > log.next_number:
            entries.append({"kind": "gap", "next_number": self.next_number})
        entries += [{"kind": "taken", "feed": feed, **vars(t)} for feed, t in self.feeds.items()]
        return [{"format": FORMAT, **entry} for entry in entries]


def _damaged(path: Path, number: int) -> UserError:
    return UserError(
        f"{path}, line {number}: damaged; put the file back (dvc checkout or git checkout), since "
        "what a bank holds cannot be told without it"
    )
