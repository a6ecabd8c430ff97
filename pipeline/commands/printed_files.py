"""Files that a command line names, hashed in the sandbox to be put into banks or looked up."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config import IngestConfig, Run
from pipeline.copies.banks import RECORD
from pipeline.errors import UserError
from pipeline.footage import canonical, foreign, printing
from pipeline.footage.conversion import Unusable
from pipeline.footage.printing import HashesParts, Printed, PrintTask
from pipeline.footage.remedies import remedy
from pipeline.store import executor
from pipeline.system import names, sandbox

STDIN = "-"
_BLOCK_FILES = 8
# What lies beside videos in collections, and is none.
_NO_VIDEOS = {".csv", ".dvc", ".json", ".jsonl", ".md", ".parquet", ".txt", ".yaml"}


def expanded(given: Sequence[str]) -> list[str]:
    """What is named, with the lines of standard input in place of `-`, but for empty ones.

    Raises:
        UserError: standard input names nothing, or is no text.
    """
    found: list[str] = []
    for text in given:
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
        if not path.is_dir():
            if not path.exists():
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


def digests_of(path: Path) -> tuple[str, str]:
    """SHA-256 and MD5 of a file's bytes; both are empty where it cannot be read."""
    try:
        return canonical.digests(path) if path.is_file() else ("", "")
    except OSError:
        # Who decodes it will say why.
        return "", ""


def printed(
    paths: Sequence[Path],
    rate_hz: float,
    cfg: IngestConfig,
    run: Run,
    title: str,
    *,
    with_changes: bool = False,
    parts: HashesParts | None = None,
) -> Iterator[Printed | Unusable]:
    """Hash files in the sandbox, some at once, and yield what they are told by, in order.

    Args:
        paths: of the files.
        rate_hz: pictures a second to hash.
        cfg: what a file may cost.
        run: how to run.
        title: of the progress.
        with_changes: hash pictures between these too, as `PrintTask` has it.
        parts: hashes parts of pictures, likewise.
    """
    limits = foreign.Limits(cfg.max_pixels, cfg.max_duration_s, cfg.max_output_mb)
    tasks = [PrintTask(path, rate_hz, with_changes, limits, parts) for path in paths]
    for results in executor.map_blocks(
        printing.printed,
        executor.in_blocks(tasks, _BLOCK_FILES),
        run,
        title=title,
        num_items=len(tasks),
        limits=sandbox.Limits(cfg.max_memory_mb, cfg.max_cpu_s, cfg.timeout_s),
    ):
        for result in results:
            if isinstance(result, executor.Lost):
                yield Unusable(result.reason, result.detail)
            else:
                yield result


def hash_records(one: Printed) -> NDArray[Any]:
    """The pictures of a file as records of a bank, `banks.RECORD` (N,)."""
    records = np.zeros(len(one.times_ms), RECORD)
    records["time_ms"], records["quality"] = one.times_ms, one.quality
    records["pdq"], records["mirror"] = one.hashes[:, 0], one.hashes[:, 1]
    return records


def part_records(one: Printed) -> NDArray[Any]:
    """The parts of the pictures of a file as records of a bank, `banks.RECORD` (P,)."""
    records = np.zeros(len(one.part_times_ms), RECORD)
    records["time_ms"], records["kind"] = one.part_times_ms, one.part_kinds
    records["pdq"], records["mirror"] = one.part_hashes[:, 0], one.part_hashes[:, -1]
    return records


def why(unusable: Unusable) -> str:
    """Why nothing can be told of a file, and what to do about it."""
    return f"{unusable.reason} ({unusable.detail}); {remedy(unusable.reason)}"
