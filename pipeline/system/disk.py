"""Refusals of a file system as sentences that name the path and a remedy."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

_ELSEWHERE = "or name a folder elsewhere in conf/paths.yaml"
_REFUSALS = {
    errno.ENOSPC: f"no space left on the disk; free some, {_ELSEWHERE}",
    errno.EDQUOT: f"the disk quota is used up; free some of it, {_ELSEWHERE}",
    errno.EROFS: f"its file system is read-only; mount it for writing, {_ELSEWHERE}",
    errno.EACCES: f"access denied; give this user the right to it, {_ELSEWHERE}",
    errno.EPERM: f"access denied; give this user the right to it, {_ELSEWHERE}",
}
REFUSALS = frozenset(_REFUSALS)
"""Error numbers of what no second try mends."""
# Libraries in other languages pass the text on, and not the number.
_TEXTS = {
    os.strerror(number): number
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
}


def refusal(error: BaseException, folders: Sequence[str]) -> str | None:
    """Says what was refused, as a sentence without its end; None where the error is another one.

    Args:
        error: or one that is a cause of it.
        folders: where files are written to, for an error that names none.
    """
    for one in _chain(error):
        number = one.errno if isinstance(one, OSError) else None
        if number not in _REFUSALS:
            number = next((known for text, known in _TEXTS.items() if text in str(one)), None)
        if number is None and _is_short_write(one) and _fullest(folders)[0] == 0:
            number = errno.ENOSPC
        if number is not None:
            name = one.filename if isinstance(one, OSError) else None
            if isinstance(name, bytes):
                name = os.fsdecode(name)
            return f"{name or _place(number, folders)}: {_REFUSALS[number]}"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _is_short_write(error: BaseException) -> bool:
    """Tells whether numpy or torch wrote less than it wanted, which is all that they report."""
    text = str(error)
    return isinstance(error, (OSError, RuntimeError)) and (
        ("requested and" in text and "written" in text) or "file write failed" in text
    )


def _place(number: int, folders: Sequence[str]) -> str:
    if number in (errno.ENOSPC, errno.EDQUOT):
        return _fullest(folders)[1]
    return " or ".join(folders)


def _fullest(folders: Sequence[str]) -> tuple[int, str]:
    """The folder with the least space, in MB, under it."""
    return min((shutil.disk_usage(_existing(Path(one))).free >> 20, one) for one in folders)


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.absolute().parent)
