"""Keeps on the disk hashes of what streams have shown of late, for items that come later."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.errors import UserError
from pipeline.live import database

PASSED = "passed/passed.sqlite"
"""Path of the file in the work folder."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS hashes (
    watch TEXT NOT NULL, stream TEXT NOT NULL, came REAL NOT NULL,
    kind INTEGER NOT NULL, at_s REAL NOT NULL, value BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS of_stream ON hashes (watch, stream, kind, at_s);
CREATE INDEX IF NOT EXISTS of_time ON hashes (came);
"""
_PICTURE, _SOUND, _NARROW = range(3)
_FLUSH_S = 10.0

Pictures = Sequence[tuple[float, bytes]]
Sounds = Sequence[tuple[float, int]]


class RecentHashes:
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
            with database.created(self._path, _SCHEMA, "record of what passed"):
                pass
        except OSError as error:
            raise UserError(
                f"{self._path}: {error.strerror}; give another paths.work, or past_hours=0"
            ) from error

    def of(self, stream: str) -> Recorder:
        """Return what takes the hashes of one stream."""
        return Recorder(self, stream)

    def add(self, stream: str, pictures: Pictures, sounds: Sounds, narrow: Sounds) -> None:
        """Add hashes with their seconds of the stream, and delete what is too old."""
        now = self._clock()
        rows = [(_PICTURE, at_s, value) for at_s, value in pictures]
        for kind, some in ((_SOUND, sounds), (_NARROW, narrow)):
            rows += [(kind, at_s, int(value).to_bytes(4, "little")) for at_s, value in some]
        with database.transaction(self._path) as held:
            held.executemany(
                "INSERT INTO hashes VALUES (?, ?, ?, ?, ?, ?)",
                [(self._watch, stream, now, *row) for row in rows],
            )
            held.execute("DELETE FROM hashes WHERE came < ?", (now - self._keep_s,))

    def shown(self, stream: str) -> tuple[Pictures, Sounds, Sounds]:
        """The hashes of a stream that are kept, of each kind in order of its seconds."""
        since = self._clock() - self._keep_s
        with database.transaction(self._path) as held:
            rows = held.execute(
                "SELECT kind, at_s, value FROM hashes WHERE watch = ? AND stream = ? "
                "AND came >= ? ORDER BY at_s, rowid",
                (self._watch, stream, since),
            ).fetchall()
        pictures = [(at_s, value) for kind, at_s, value in rows if kind == _PICTURE]
        sounds, narrow = (
            [(at_s, int.from_bytes(value, "little")) for kind, at_s, value in rows if kind == one]
            for one in (_SOUND, _NARROW)
        )
        return pictures, sounds, narrow


class Recorder:
    """Hands the hashes of one stream on, some seconds of them at once."""

    def __init__(self, passed: RecentHashes, stream: str) -> None:
        self._passed, self._stream = passed, stream
        self._pictures: list[tuple[float, bytes]] = []
        self._sounds: list[tuple[float, int]] = []
        self._narrow: list[tuple[float, int]] = []

    def add(self, pictures: Pictures, sounds: Sounds, narrow: Sounds) -> None:
        """Add hashes with their seconds of the stream."""
        self._pictures += pictures
        self._sounds += sounds
        self._narrow += narrow
        times_s = [at_s for at_s, _ in (*self._pictures, *self._sounds, *self._narrow)]
        if times_s and max(times_s) - min(times_s) >= _FLUSH_S:
            self._flush()

    def shown(self) -> tuple[Pictures, Sounds, Sounds]:
        """All that is kept, in order of its seconds."""
        self._flush()
        return self._passed.shown(self._stream)

    def _flush(self) -> None:
        if self._pictures or self._sounds or self._narrow:
            self._passed.add(self._stream, self._pictures, self._sounds, self._narrow)
            self._pictures, self._sounds, self._narrow = [], [], []
