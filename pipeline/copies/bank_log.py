"""The lines of a bank: what it holds, told by entries that each have a checksum of their own."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

FORMAT = 2

_CHECK = re.compile(rb'(.*), "check": "([0-9a-f]{16})"\}', re.DOTALL)


@dataclass(frozen=True)
class Item:
    """One known video.

    Attributes:
        number: of the item in its bank, from 1; no other item of the bank ever has it.
        name: of its file, without folders.
        label: what it is known as.
        sha256, md5: of the bytes of the file, in hexadecimal digits.
        duration_s: of the file.
        first_hash, num_hashes: its records in `hashes.bin`.
        hashes_sha256: of the bytes of these records.
        first_sound, num_sounds: its records in `sounds.bin`.
        sounds_sha256: of the bytes of these records.
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
        next_number: of the item that is added next.
        num_hashes, num_sounds: records of all items, removed ones as well.
        num_bytes: of the whole lines.
        lacks_newline: the last whole line does not end with one.
    """

    def __init__(self) -> None:
        self.items: dict[int, Item] = {}
        self.next_number = 1
        self.num_hashes = 0
        self.num_sounds = 0
        self.num_bytes = 0
        self.lacks_newline = False

    @classmethod
    def parse(cls, path: Path, content: bytes) -> Log:
        """Read lines; the last one is left out where its end is missing.

        Raises:
            UserError: another line is damaged, or of a format that this version does not know.
        """
        log = cls()
        *lines, tail = content.split(b"\n")
        for number, line in enumerate(lines, 1):
            log._take_line(path, number, line)
            log.num_bytes += len(line) + 1
        if tail and (found := _CHECK.fullmatch(tail)) and _checksum(found[1]).encode() == found[2]:
            log._take_line(path, len(lines) + 1, tail)
            log.num_bytes += len(tail)
            log.lacks_newline = True
        return log

    def _take_line(self, path: Path, number: int, line: bytes) -> None:
        found = _CHECK.fullmatch(line)
        if found is None or _checksum(found[1]).encode() != found[2]:
            raise _damaged(path, number)
        entry = json.loads(found[1] + b"}")
        if entry.get("format") != FORMAT:
            raise UserError(
                f"{path}, line {number}: format {entry.get('format')!r}, and this version of "
                f"Discern reads format {FORMAT}; use the version that wrote it"
            )
        try:
            self.take(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(path, number) from error

    def take(self, entry: dict[str, Any]) -> None:
        """Add what a line says.

        Raises:
            KeyError, TypeError, ValueError: it cannot stand where it does.
        """
        if entry["kind"] == "removal":
            del self.items[entry["number"]]
            return
        told = {key: value for key, value in entry.items() if key not in ("format", "kind")}
        item = Item(**told)
        expected = self.next_number, self.num_hashes, self.num_sounds
        is_next = (item.number, item.first_hash, item.first_sound) == expected
        if entry["kind"] != "item" or not is_next or min(item.num_hashes, item.num_sounds) < 0:
            raise ValueError(entry)
        self.items[item.number] = item
        self.next_number += 1
        self.num_hashes += item.num_hashes
        self.num_sounds += item.num_sounds


def _damaged(path: Path, number: int) -> UserError:
    return UserError(
        f"{path}, line {number}: damaged; put the file back (dvc checkout or git checkout), since "
        "what a bank holds cannot be told without it"
    )
