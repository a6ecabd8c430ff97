"""Untracked work folders: finished work survives a kill, outputs change only as a whole."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent


@contextmanager
def replacing(target: Path, work: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `target` if the block succeeds.

    On an exception `target` stays as it was. Both must lie on one file system.
    """
    work.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=work))
    fresh.chmod(0o755)
    try:
        yield fresh
        old = fresh.with_name(fresh.name + "-old")
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def key(*parts: Any) -> str:
    """Hash of JSON-able values, as the name of a folder of finished work."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_sha256(*places: str) -> str:
    """Hash of the source of modules and packages of `pipeline`, given by path inside it."""
    digest = hashlib.sha256()
    for place in places:
        path = _PACKAGE / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(str(file.relative_to(_PACKAGE)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
