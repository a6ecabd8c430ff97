"""The only module that knows what executes a block of work."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import TimeoutError
from dataclasses import dataclass
from typing import TypeVar

from tqdm import tqdm

from pipeline.config import Run
from pipeline.errors import UserError

Block = TypeVar("Block")
Result = TypeVar("Result")

EXECUTORS = ("serial", "processes", "ray")
_TASKS_PER_WORKER = 50


@dataclass(frozen=True)
class Lost:
    """A block whose worker ran out of time or died."""

    reason: str
    detail: str


def map_blocks(
    work: Callable[[Block], Result],
    blocks: Sequence[Block],
    run: Run,
    *,
    title: str,
    timeout_s: float | None = None,
    memory_mb: int | None = None,
) -> Iterator[Result | Lost]:
    """Apply `work` to every block and yield the results in the order of the blocks.

    A worker that passes `timeout_s` or dies, for example of its memory limit, costs its own
    block alone, which yields `Lost`; a block whose worker died is tried once more. An exception
    of `work` is a bug or a `UserError` and is raised here. The serial executor, for debugging,
    has no limits; Ray has the time limit, and keeps memory by its own rules.
    """
    if run.executor not in EXECUTORS:
        raise UserError(f"run.executor: '{run.executor}' is none of {', '.join(EXECUTORS)}")
    engine = {"serial": _serial, "processes": _processes, "ray": _ray}[run.executor]
    results = engine(work, blocks, run.num_workers, timeout_s, memory_mb)
    yield from tqdm(
        results,
        title,
        total=len(blocks),
        disable=not run.progress,
        mininterval=0.2 if sys.stderr.isatty() else 15,
    )


def _serial(
    work: Callable[[Block], Result],
    blocks: Sequence[Block],
    num_workers: int,
    timeout_s: float | None,
    memory_mb: int | None,
) -> Iterator[Result | Lost]:
    yield from map(work, blocks)


def _limit_memory(memory_mb: int | None) -> None:
    if memory_mb is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))


def _processes(
    work: Callable[[Block], Result],
    blocks: Sequence[Block],
    num_workers: int,
    timeout_s: float | None,
    memory_mb: int | None,
) -> Iterator[Result | Lost]:
    import multiprocessing

    from pebble import ProcessExpired, ProcessPool

    pool = ProcessPool(
        max_workers=max(1, num_workers),
        max_tasks=_TASKS_PER_WORKER,
        context=multiprocessing.get_context("forkserver"),
        initializer=_limit_memory,
        initargs=(memory_mb,),
    )
    try:
        results = pool.map(work, blocks, timeout=timeout_s).result()
        for block in blocks:
            try:
                try:
                    yield next(results)
                except ProcessExpired:
                    # The machine may have killed the worker for what another one did.
                    yield pool.schedule(work, args=[block], timeout=timeout_s).result()
            except TimeoutError:
                yield Lost("timeout", f"no result within {timeout_s:g} s")
            except ProcessExpired as error:
                yield Lost("worker_died", f"the worker ended with status {error.exitcode}, twice")
            except MemoryError:
                yield Lost("out_of_memory", f"more than {memory_mb} MB of memory")
        pool.close()
    finally:
        # After an error, whoever waits is told at once instead of when the queue is empty.
        pool.stop()
        pool.join()


def _ray(
    work: Callable[[Block], Result],
    blocks: Sequence[Block],
    num_workers: int,
    timeout_s: float | None,
    memory_mb: int | None,
) -> Iterator[Result | Lost]:
    try:
        import ray
    except ImportError as error:
        raise UserError("run.executor=ray: Ray is missing; pip install -e '.[ray]'") from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    task = ray.remote(max_calls=_TASKS_PER_WORKER)(work)
    references = [task.remote(block) for block in blocks]
    for reference in references:
        try:
            yield ray.get(reference, timeout=timeout_s)
        except ray.exceptions.GetTimeoutError:
            ray.cancel(reference, force=True)
            yield Lost("timeout", f"no result within {timeout_s} s")
        except ray.exceptions.WorkerCrashedError as error:
            yield Lost("worker_died", str(error))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
