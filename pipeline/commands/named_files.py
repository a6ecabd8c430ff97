"""The files that a command line names, by themselves or by the folders that they lie in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UserError
from pipeline.system import names

STDIN = "-"
# What lies beside videos in collections, and is none.
_NO_VIDEOS = {".csv", ".dvc", ".json", ".jsonl", ".md", ".parquet", ".txt", ".yaml"}


def expanded(given: Sequence[str]) -> list[str]:
    """Return what is named, with the lines of standard input in place of `-`, but for empty ones.

    Raises:
        UserError: standard input names nothing, or is no text, or a name is empty.
    """
    found: list[str] = []
    for text in given:
        if not text:
            # As a path it would be the whole folder of the project.
            raise UserError("'': a name that is empty; give a file or folder, or . for this one")
        if text != STDIN:
            found.append(text)
            continue
        try:
            lines = [line.rstrip("\r\n") for line in sys.stdin]
        except UnicodeDecodeError as error:
            raise UserError(
                f"-: standard input is no text in UTF-8 ({error.reason}); give a path a line"
            ) from error
        if not any(lines):
            raise UserError("-: standard input names no file; give a path a line")
        found += filter(None, lines)
    return found


def named(given: Sequence[str]) -> list[Path]:
    """The files that are named, and all files below the folders that are, in order of their names.

    Of a folder, hidden files and those that are text or tables by their suffix are left out.

    Raises:
        UserError: there is no such file or folder, or no file in a folder.
    """
    found: dict[Path, None] = {}
    for text in given:
        path = Path(text)
        try:
            is_folder, is_there = path.is_dir(), path.exists()
        except OSError as error:
            # Its name is too long, say.
            raise UserError(f"{text}: {error.strerror}; give a video file") from error
        if not is_folder:
            if not is_there:
                raise UserError(f"{text}: {names.why_missing(Path(), text)}; give a video file")
            found[path] = None
            continue
        inside = [one for one in sorted(path.rglob("*")) if _may_be_video(one, path)]
        if not inside:
            raise UserError(f"{text}: no video in this folder; give another one, or files")
        found.update(dict.fromkeys(inside))
    return list(found)


def _may_be_video(path: Path, root: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return path.is_file() and not is_hidden and path.suffix.lower() not in _NO_VIDEOS
