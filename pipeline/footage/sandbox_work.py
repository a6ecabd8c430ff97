"""Work on files of collections in the sandbox, each at hand for as long as that takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from pipeline.config import IngestConfig, Run
from pipeline.footage import conversion
from pipeline.footage.conversion import FileTask, Unusable
from pipeline.store import executor
from pipeline.system import sandbox

Key = TypeVar("Key")
Made = TypeVar("Made")


def each(
    work: Callable[[FileTask], Made | Unusable],
    wanted: Iterable[tuple[Key, FileTask]],
    num_files: int,
    cfg: IngestConfig,
    run: Run,
    title: str = "ingest",
) -> Iterator[tuple[Key, Made | Unusable]]:
    """Yield what `work` makes of files, in order, each beside what was given with it.

    Args:
        work: runs in the sandbox.
        wanted: the files, which are taken some blocks ahead.
        num_files: how many there are.
        cfg: what a file may cost.
        run: how to run.
        title: of the progress.
    """
    started: deque[list[Key]] = deque()

    def blocks() -> Iterator[list[FileTask]]:
        for block in executor.in_blocks(wanted, cfg.block_files):
            started.append([key for key, _ in block])
            yield [task for _, task in block]

    for results in executor.map_blocks(
        work,
        blocks(),
        run,
        title=title,
        num_items=num_files,
        limits=sandbox.ResourceLimits(cfg.max_memory_mb, cfg.max_cpu_s, cfg.timeout_s),
        prepare=conversion.at_hand,
    ):
        for key, result in zip(started.popleft(), results, strict=True):
            if isinstance(result, executor.Lost):
                # What the machine has done to a worker says little about the file.
                yield key, Unusable(result.reason, result.detail, is_lasting=False)
            else:
                yield key, result
