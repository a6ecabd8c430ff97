"""Files that a command line names, hashed in the sandbox to be put into banks or looked up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config import IngestConfig, Run
from pipeline.copies.banks import RECORD
from pipeline.footage import canonical, foreign, remedies, stills
from pipeline.footage.conversion import Unusable
from pipeline.footage.printing import HashesParts, Printed, PrintTask
from pipeline.store import executor
from pipeline.system import sandbox

_BLOCK_FILES = 8


def digests_of(path: Path) -> tuple[str, str]:
    """SHA-256 and MD5 of a file's bytes; both are empty where it cannot be read."""
    try:
        # To open a pipe would wait for ever.
        return canonical.digests(path) if path.is_file() else ("", "")
    except OSError:
        # Who decodes it will say why.
        return "", ""


def hash_files(
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

    Stills, such as photographs, are told by their one picture.

    Args:
        paths: of the files.
        rate_hz: pictures a second to hash.
        cfg: what a file may cost.
        run: how to run.
        title: of the progress.
        with_changes: hash pictures between these too, as `PrintTask` has it.
        parts: hashes parts of pictures, likewise.
    """
    limits = foreign.DecodingLimits(cfg.max_pixels, cfg.max_duration_s, cfg.max_output_mb)
    tasks = [PrintTask(path, rate_hz, with_changes, limits, parts) for path in paths]
    for results in executor.map_blocks(
        stills.hash_still_or_video,
        executor.in_blocks(tasks, _BLOCK_FILES),
        run,
        title=title,
        num_items=len(tasks),
        limits=sandbox.ResourceLimits(cfg.max_memory_mb, cfg.max_cpu_s, cfg.timeout_s),
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


def remedy(reason: str, others: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return what to do about a file of which nothing can be told, by the reason.

    Args:
        reason: why that is so.
        others: remedies of reasons that come of how the file was had.
    """
    return others.get(reason) or stills.REMEDIES.get(reason) or remedies.remedy(reason)


def why(unusable: Unusable, others: Mapping[str, str] = MappingProxyType({})) -> str:
    """Why nothing can be told of a file, and what to do about it, with `others` as `remedy` has."""
    return f"{unusable.reason} ({unusable.detail}); {remedy(unusable.reason, others)}"
