"""Removes finished work that was kept for later runs: `python -m pipeline clean`."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.config import IngestApp
from pipeline.store import kept, workdir

_FOLDERS = ("adapt", "cache", "embed", "evaluate", "train")
"""Work that costs no more than time to do again: neither records of runs nor exports."""
_REMOVED = "removed-*"


def run(cfg: IngestApp) -> None:
    """Remove from the work folder what later runs can make again, and say how much that was.

    What a running process has claimed is left. Outputs are as they were.
    """
    work = Path(cfg.paths.work)
    for leftover in work.glob(_REMOVED):
        shutil.rmtree(leftover)
    removed, left = kept.remove_all(work)
    with _undisturbed(work) as is_free:
        for name in _FOLDERS:
            if not (work / name).is_dir():
                continue
            if not is_free:
                left.append(name)
                continue
            removed[name] = _num_bytes(work / name)
            # A removal that is cut short must leave no half of it in its place.
            gone = work / _REMOVED.replace("*", f"{os.getpid()}-{name}")
            (work / name).rename(gone)
            shutil.rmtree(gone)
    for name, num_bytes in removed.items():
        print(f"{name}: removed {num_bytes / 1e9:.2f} GB")
    for name in left:
        print(f"{name}: left, since a process is at work in {work}; run it again afterwards")
    print(f"{work}: {sum(removed.values()) / 1e9:.2f} GB removed; the next run makes it anew")


@contextmanager
def _undisturbed(work: Path) -> Iterator[bool]:
    """Whether no process has claimed anything, and let none do so in the block if that is so."""
    with ExitStack() as stack:
        locks = (work / workdir.LOCKS).glob("[!k]*.lock")
        files = [stack.enter_context(path.open("a")) for path in sorted(locks)]
        try:
            for file in files:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            yield error.errno in workdir.NO_LOCKS
            return
        yield True


def _num_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
