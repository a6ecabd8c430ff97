"""Removes finished work that was kept for later runs: `python -m pipeline clean`."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

from pipeline.config import IngestApp
from pipeline.store import finished_work, locks

_FOLDERS = ("adapt", "cache", "evaluate", "train")
"""Work that costs no more than time to do again: neither records of runs nor exports."""
_REMOVED = "removed-*"
_LEFT = ("fetched-*", "exchange-*", "models-*")
"""Folders of what is fetched, which go with the block that needs them, but not with a kill."""
_LEFT_S = 86_400.0
"""Nothing takes a file that it has fetched for so long."""


def run(cfg: IngestApp) -> None:
    """Remove from the work folder what later runs can make again, and say how much that was.

    What a running process has claimed is left. Outputs are as they were.
    """
    work = Path(cfg.paths.work)
    for leftover in work.glob(_REMOVED):
        shutil.rmtree(leftover)
    num_left = remove_leftovers(work)
    removed, left = finished_work.remove_all(work)
    with locks.unclaimed(work) as is_free:
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
    removed |= {"fetched": num_left} if num_left else {}
    for name, num_bytes in removed.items():
        print(f"{name}: removed {num_bytes / 1e9:.2f} GB")
    for name in left:
        print(f"{name}: left, since a process is at work in {work}; run it again afterwards")
    print(f"{work}: {sum(removed.values()) / 1e9:.2f} GB removed; the next run makes it anew")


def remove_leftovers(work: Path) -> int:
    """Remove what processes that were killed had fetched; returns how many bytes that was.

    Another machine may share the folder, so that age alone tells what nobody needs any more.
    """
    removed, before = 0, time.time() - _LEFT_S
    for folder in (one for pattern in _LEFT for one in work.glob(pattern)):
        # Another process may be faster.
        with contextlib.suppress(FileNotFoundError):
            if folder.stat().st_mtime < before:
                removed += _num_bytes(folder)
                shutil.rmtree(folder)
    return removed


def _num_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
