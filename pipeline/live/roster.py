"""A list of streams, `id,url`, that may change while they are watched."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pipeline.errors import UserError
from pipeline.footage import csvfile
from pipeline.live.addresses import redacted
from pipeline.live.fetcher import Fetch
from pipeline.system.names import why_missing

log = logging.getLogger(__name__)

COLUMNS = ("id", "url")
LOOK_EVERY_S = 1.0
"""How often the list is looked at."""
_MAX_ID = 100


class StreamWatcher(Protocol):
    """Holds what watches streams."""

    @property
    def streams(self) -> list[str]:
        """Names of the streams that have not ended."""

    def leave(self, stream: str) -> None:
        """Let a stream end."""


def read(path: Path) -> dict[str, str]:
    """The addresses, or paths of files, of a list by the ids of its streams.

    Raises:
        UserError: it is no such list; the text holds nothing of an address but scheme and host.
    """
    try:
        rows = csvfile.read(path, COLUMNS)
        columns = next(rows).cells
        found: dict[str, str] = {}
        for row in rows:
            # What the reader says of a row may repeat it, and an address holds secrets.
            where = f"{path}: row {row.number}"
            if row.mistake:
                raise UserError(f"{where}: not one cell for each of {', '.join(COLUMNS)}")
            values = dict(zip(columns, row.cells, strict=True))
            name, url = (values[column].strip() for column in COLUMNS)
            if not name or len(name) > _MAX_ID or not name.isprintable():
                raise UserError(f"{where}: give an id of 1 to {_MAX_ID} printable characters")
            if not url:
                raise UserError(f"{where}: '{name}' has no url; give an address or a file")
            if name in found:
                raise UserError(f"{where}: '{name}' is the id of another stream; give another one")
            found[name] = url
    except FileNotFoundError as error:
        missing = why_missing(path.parent, path.name)
        raise UserError(f"{path}: {missing}; give a list with the columns id,url") from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give a list with the columns id,url") from error
    except UserError as error:
        raise UserError(redacted(str(error))) from None
    return found


class Roster:
    """Lets streams join and leave as a list says."""

    def __init__(
        self,
        path: Path,
        watcher: StreamWatcher,
        source_of: Callable[[str], Path | Fetch],
        join: Callable[[str, Path | Fetch], None],
    ) -> None:
        """Begin with all streams of a list.

        Args:
            path: of the list.
            watcher: knows which streams have not ended, and lets them leave.
            source_of: what an address or a path of the list leads to.
            join: lets a stream join.

        Raises:
            UserError: the list, or an address in it, is wrong.
        """
        self._path, self._watcher = path, watcher
        self._source_of, self._join = source_of, join
        self._wanted: dict[str, str] = {}
        # Those that have ended are in it for as long as they are in the list.
        self._joined: dict[str, str] = {}
        self._read_at: tuple[int, int] | None = None
        self._changed_at: tuple[int, int] | None = None
        """When the list was last written and its size, as it was read and as it was looked at."""
        self._told = ""
        self._looked_at = time.monotonic()
        self._read()
        if not self._wanted:
            raise UserError(f"{path}: no stream is in the list; give one a row, id,url")
        self._follow()

    def look(self) -> bool:
        """Follow the list if it has changed; whether streams are still to join."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            try:
                self._read()
                self._told = ""
            except (UserError, OSError) as error:
                # A list that is being written is whole the next time.
                said = str(error) if isinstance(error, UserError) else f"{self._path}: not readable"
                if said != self._told:
                    log.warning("watch: %s; the streams stay as they are", said)
                self._told = said
        return self._follow()

    def _read(self) -> None:
        """Read the list if it is another one than before, and is not just being written."""
        read_at, changed_at = self._read_at, self._changed_at
        if self._path.is_file():
            about = self._path.stat()
            read_at = self._changed_at = about.st_mtime_ns, about.st_size
        is_written = read_at != changed_at and self._read_at is not None
        if read_at is None or (read_at != self._read_at and not is_written):
            wanted = read(self._path)
            for url in wanted.values():
                self._source_of(url)
            self._wanted, self._read_at = wanted, read_at

    def _follow(self) -> bool:
        watched = self._watcher.streams
        for name, url in list(self._joined.items()):
            if self._wanted.get(name) != url:
                del self._joined[name]
                if name in watched:
                    self._watcher.leave(name)
        is_waiting = False
        for name, url in self._wanted.items():
            if name in self._joined:
                continue
            if name in watched:
                # The one that it was before has not ended yet.
                is_waiting = True
                continue
            self._joined[name] = url
            try:
                source = self._source_of(url)
            except UserError as error:
                # A file may have gone since the list was read.
                log.warning("watch: %s; stream '%s' does not join", error, name)
                continue
            self._join(name, source)
        return is_waiting
