"""What streams have shown in the last hours, as hashes on the disk, for items that come later."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import UserError
from pipeline.live import database

PASSED = "passed/passed.sqlite"
"""Of the work folder."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS passed (
    watch TEXT NOT NULL, stream TEXT NOT NULL, came REAL NOT NULL,
    is_sound INTEGER NOT NULL, at_s REAL NOT NULL, value BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_stream ON passed (watch, stream, is_sound, at_s);
CREATE INDEX IF NOT EXISTS by_time ON passed (came);
"""
_FLUSH_S = 10.0

Pictures = Sequence[tuple[float, bytes]]
Sounds = Sequence[tuple[float, int]]


class Passed:
    """The hashes of what all streams of a watch have shown; no longer than some hours."""

    def __init__(self, work: Path, keep_s: float, clock: Callable[[], float] = time.time) -> None:
        """Begin with nothing; what earlier watches left is deleted in its time.

        Args:
            work: the work folder.
            keep_s: for how long.
            clock: seconds since some fixed time.

        Raises:
            UserError: the file is no database, or cannot be written.
        """
        self._path, self._keep_s, self._clock = work / PASSED, keep_s, clock
        self._watch = f"{os.getpid()}-{clock():.3f}"
        try:
            with database.begun(self._path, _SCHEMA, "record of what passed"):
                pass
        except OSError as error:
            raise UserError(
                f"{self._path}: {error.strerror}; give another paths.work, or past_hours=0"
            ) from error

    def of(self, stream: str) -> Recorder:
        """What takes the hashes of one stream."""
        return Recorder(self, stream)

    def add(self, stream: str, pictures: Pictures, sounds: Sounds) -> None:
        """Add hashes with their seconds of the stream, and delete what is too old."""
        now = self._clock()
        rows = [(0, at_s, value) for at_s, value in pictures]
        rows += [(1, at_s, int(value).to_bytes(4, "little")) for at_s, value in sounds]
        with database.opened(self._path) as held:
            held.executemany(
                "INSERT INTO passed VALUES (?, ?, ?, ?, ?, ?)",
                [(self._watch, stream, now, *row) for row in rows],
            )
            held.execute("DELETE FROM passed WHERE came < ?", (now - self._keep_s,))

    def shown(self, stream: str) -> tuple[Pictures, Sounds]:
        """The hashes of a stream that are kept, in order of its seconds."""
        since = self._clock() - self._keep_s
        with database.opened(self._path) as held:
            rows = held.execute(
                "SELECT is_sound, at_s, value FROM passed WHERE watch = ? AND stream = ? "
                "AND came >= ? ORDER BY at_s, rowid",
                (self._watch, stream, since),
            ).fetchall()
        pictures = [(at_s, value) for is_sound, at_s, value in rows if not is_sound]
        sounds = [
            (at_s, int(np.frombuffer(value, "<u4")[0]))
            for is_sound, at_s, value in rows
            if is_sound
        ]
        return pictures, sounds


class Recorder:
    """Hands the hashes of one stream on, some seconds of them at once."""

    def __init__(self, passed: Passed, stream: str) -> None:
        self._passed, self._stream = passed, stream
        self._pictures: list[tuple[float, bytes]] = []
        self._sounds: list[tuple[float, int]] = []

    def add(self, pictures: Pictures, sounds: Sounds) -> None:
        """Add hashes with their seconds of the stream."""
        self._pictures += pictures
        self._sounds += sounds
        both = [at_s for at_s, _ in (*self._pictures, *self._sounds)]
        if both and max(both) - min(both) >= _FLUSH_S:
            self._flush()

    def shown(self) -> tuple[Pictures, Sounds]:
        """All that is kept, in order of its seconds."""
        self._flush()
        return self._passed.shown(self._stream)

    def _flush(self) -> None:
        if self._pictures or self._sounds:
            self._passed.add(self._stream, self._pictures, self._sounds)
            self._pictures, self._sounds = [], []
