"""A brake for items of banks that suddenly match everything, such as a logo or a black picture.

What the last files matched is kept in the work folder, on this machine alone: banks stay as people
made them.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.copies.bank_log import Item
from pipeline.errors import UserError
from pipeline.store import locks

_STATE, _LOCK = "flood.json", "flood.lock"


@dataclass
class _State:
    """Holds what is known of items that match many files.

    Attributes:
        recent: the items that each of the last files matched, by the file, the last one at the end.
        suspended: why an item is.
        released: items that a person let match whatever they match.
    """

    recent: dict[str, list[str]] = field(default_factory=dict)
    suspended: dict[str, str] = field(default_factory=dict)
    released: list[str] = field(default_factory=list)


def key_of(bank: str, item: Item) -> str:
    """What an item is called here: a bank that was made anew has other ones."""
    return f"{bank}/{item.number}/{item.hashes_sha256[:8]}{item.sounds_sha256[:8]}"


def suspended(work: Path) -> Mapping[str, str]:
    """Why items are suspended, by `key_of`."""
    return _read(work).suspended


def note(
    work: Path, sha256: str, matched: Sequence[str], num_files: int, max_share: float
) -> Mapping[str, str]:
    """Note what a file matched, suspend items by that, and return why items are suspended.

    Args:
        work: the work folder.
        sha256: of the file; a file that is looked up again counts once.
        matched: items by `key_of`.
        num_files: that are looked back at; before there were so many, nothing is suspended.
        max_share: of these files that an item may match without being suspended.
    """
    with _changing(work) as state:
        state.recent.pop(sha256, None)
        state.recent[sha256] = sorted(set(matched))
        for old in list(state.recent)[: max(0, len(state.recent) - num_files)]:
            del state.recent[old]
        if len(state.recent) == num_files:
            for key in state.recent[sha256]:
                num = sum(key in one for one in state.recent.values())
                is_exempt = key in state.released or key in state.suspended
                if num > max_share * num_files and not is_exempt:
                    state.suspended[key] = f"it matches {num} of the last {num_files} files"
        return state.suspended


def release(work: Path, key: str) -> bool:
    """Let an item match again, for good; returns whether it was suspended."""
    with _changing(work) as state:
        was_suspended = state.suspended.pop(key, None) is not None
        if was_suspended:
            state.released.append(key)
        return was_suspended


@contextmanager
def _changing(work: Path) -> Iterator[_State]:
    try:
        work.mkdir(parents=True, exist_ok=True)
        with (work / _LOCK).open("a") as lock:
            locks.locked(lock.fileno(), fcntl.LOCK_EX)
            state = _read(work)
            yield state
            new = work / f"{_STATE}.new"
            new.write_text(json.dumps(vars(state)))
            new.replace(work / _STATE)
    except OSError as error:
        raise UserError(
            f"{work}: {error.strerror}; what matches cannot be counted there, so give another "
            "paths.work, or flood_files=0, which counts nothing"
        ) from error


def _read(work: Path) -> _State:
    path = work / _STATE
    try:
        state = _State(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return _State()
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}; give the user who runs this the right to read it, or "
            "another paths.work"
        ) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(path) from error
    if not _is_whole(state):
        raise _damaged(path)
    return state


def _is_whole(state: _State) -> bool:
    """Whether what was read is of the types that are written."""
    return (
        isinstance(state.recent, dict)
        and all(_are_texts(matched) for matched in state.recent.values())
        and isinstance(state.suspended, dict)
        and _are_texts(list(state.suspended.values()))
        and _are_texts(state.released)
    )


def _are_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _damaged(path: Path) -> UserError:
    return UserError(f"{path}: damaged; delete it, which forgets what is suspended")
