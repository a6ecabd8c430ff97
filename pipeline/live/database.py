"""Files of SQLite that outlive a watch."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.errors import UserError

_KIND = 0xFF
"""Bits of an extended result code that tell its kind."""
_UNREACHED = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
    }
)


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a database, in a transaction that is committed at the end."""
    with closing(sqlite3.connect(path, timeout=30)) as database, database:
        # What was committed outlives a machine that loses its power.
        database.execute("PRAGMA synchronous=FULL")
        yield database


@contextmanager
def created(path: Path, schema: str, holds: str) -> Iterator[sqlite3.Connection]:
    """Yield a database, which is made where there is none.

    Args:
        path: its file.
        schema: statements that make what is not there yet.
        holds: what it is of, in words.

    Raises:
        UserError: what lies there is none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with transaction(path) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.executescript(schema)
            yield database
    except sqlite3.DatabaseError as error:
        # What cannot be reached may be whole, and nobody is to move it away.
        if getattr(error, "sqlite_errorcode", 0) & _KIND in _UNREACHED:
            raise UserError(unreached(path, error)) from error
        raise UserError(f"{path}: no {holds} ({error}); move it away, and run it again") from error


def unreached(path: Path, error: sqlite3.Error) -> str:
    """Say that a database cannot be read or written just now."""
    return (
        f"{path}: cannot be read or written ({error}); free the disk, or end who holds the file, "
        "and run it again"
    )
