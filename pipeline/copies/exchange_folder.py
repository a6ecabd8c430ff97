"""A folder of an exchange: its deltas, read so that nothing wrong in them does harm."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pipeline.copies import exchange_manifest
from pipeline.copies.exchange_lines import MAX_LINE_BYTES, Line, Malformed, parsed
from pipeline.copies.exchange_manifest import Delta
from pipeline.errors import UserError

UNKNOWN = "unknown"
"""What is counted beside kinds of lines: those of items that a bank does not have."""


@dataclass
class Exchanged:
    """What was sent or taken.

    Attributes:
        feed: its name.
        key: the fingerprint of the key that it is signed with.
        num_deltas: of the feed now.
        lines: how many of each kind, and how many are `UNKNOWN`.
        unmapped: labels that the receiver's mapping does not have, with how often each came.
    """

    feed: str
    key: str
    num_deltas: int
    lines: Counter[str] = field(default_factory=Counter)
    unmapped: Counter[str] = field(default_factory=Counter)


def kind_of(line: Line) -> str:
    """What a line does, in a word."""
    return type(line).__name__.lower()


def lines_of(file: BinaryIO, path: Path) -> Iterator[Line]:
    """The lines of a delta from its beginning on; its path is for what is said of faults.

    Raises:
        UserError: one is none.
    """
    file.seek(0)
    number = 0
    while text := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(text) > MAX_LINE_BYTES:
            raise refused(path, f"line {number}: over {MAX_LINE_BYTES >> 20} MB")
        if not text.endswith(b"\n"):
            raise refused(path, f"line {number}: no end")
        try:
            yield parsed(text)
        except Malformed as error:
            raise refused(path, f"line {number}: {error}") from error


def staged(folder: Path, number: int, delta: Delta) -> BinaryIO:
    """A copy of a delta that nobody can change any more, once it is what the manifest says.

    Raises:
        UserError: it is not, or has a line that nobody would read.
    """
    path = exchange_manifest.delta_path(folder, number)
    digest = hashlib.sha256()
    with ExitStack() as opened:
        copy = opened.enter_context(tempfile.TemporaryFile())
        file = opened.enter_context(exchange_manifest.open_regular(path))
        if os.fstat(file.fileno()).st_size != delta.num_bytes:
            raise refused(path, f"not the {delta.num_bytes} bytes that the manifest says")
        in_line = 0
        while block := file.read(1 << 20):
            # Else a line of any length would fill the disk before it is refused.
            end = block.rfind(b"\n")
            in_line = in_line + len(block) if end < 0 else len(block) - 1 - end
            if in_line > MAX_LINE_BYTES:
                raise refused(path, f"a line of it is over {MAX_LINE_BYTES >> 20} MB")
            digest.update(block)
            copy.write(block)
        if digest.hexdigest() != delta.sha256:
            raise refused(path, "not the bytes that the manifest says")
        file.close()
        copy.seek(0)
        opened.pop_all()
    return copy


def lines_of_delta(folder: Path, number: int, delta: Delta) -> Iterator[Line]:
    """The lines of a delta, from 1, as the manifest has it.

    Raises:
        UserError: it is not what the manifest says, or a line is none.
    """
    path = exchange_manifest.delta_path(folder, number)
    num_lines = 0
    with staged(folder, number, delta) as copy:
        for num_lines, line in enumerate(lines_of(copy, path), 1):  # noqa: B007
            yield line
    if num_lines != delta.num_lines:
        raise refused(path, f"{num_lines} lines and not {delta.num_lines}")


def refused(path: Path, why: str) -> UserError:
    """What is said of an exchange of which nothing is taken."""
    return UserError(f"{path}: {why}; nothing of it was taken, so ask the sender for a whole copy")
