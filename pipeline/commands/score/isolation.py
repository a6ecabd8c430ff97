"""Work on files in the sandbox, some at once, with what it takes of a processor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TypeVar

from pipeline.config import Run, ScoreApp
from pipeline.footage.conversion import Unusable
from pipeline.store import executor
from pipeline.system import sandbox

_PRELOADED = ("pipeline.footage.conversion", "pipeline.footage.printing")
"""A second of imports, which a process of fifty small files takes as long for as for many of them.

What is asked of it lies in modules that do without this package, which imports torch.
"""
Task = TypeVar("Task")
Found = TypeVar("Found")


def apart(
    work: Callable[[Task], Found], tasks: Iterator[Task], cfg: ScoreApp, run: Run
) -> Iterator[tuple[Found | Unusable, float]]:
    """Yield what `work` gives of tasks, in order, and the processor seconds that it took.

    Args:
        work: runs in a process that reads files and does nothing else.
        tasks: are taken a few ahead.
        cfg: what a file may cost.
        run: how to run.
    """
    limits = sandbox.ResourceLimits(
        cfg.ingest.max_memory_mb, cfg.ingest.max_cpu_s, cfg.ingest.timeout_s
    )
    blocks = ([task] for task in tasks)
    quiet = replace(run, progress=False)
    for results in executor.map_blocks(
        partial(executor.timed, work),
        blocks,
        quiet,
        title="score",
        num_items=0,
        limits=limits,
        preloaded=_PRELOADED,
    ):
        for result in results:
            if isinstance(result, executor.Lost):
                # What the machine has done to a worker says little about the file.
                yield Unusable(result.reason, result.detail, is_lasting=False), 0.0
            else:
                yield result
