"""Files of SQLite that outlive a watch."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.errors import UserError


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a database, in a transaction that is committed at the end."""
    with closing(sqlite3.connect(path, timeout=30)) as database, database:
        # What was committed outlives a machine that loses its power.
        database.execute("PRAGMA synchronous=FULL")
        yield database


@contextmanager
def begun(path: Path, schema: str, holds: str) -> Iterator[sqlite3.Connection]:
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
        with opened(path) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.executescript(schema)
            yield database
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path}: no {holds} ({error}); move it away, and run it again") from error
