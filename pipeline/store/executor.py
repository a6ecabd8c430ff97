"""The only module that knows what executes a block of work."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from pipeline.config import Run
from pipeline.errors import UserError
from pipeline.system import interrupts, sandbox

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Item], Result]
Prepare = Callable[[Item], AbstractContextManager[Item]]

RAY = "ray"
"""Value of `config.Run.executor` with which the nodes of a cluster do the work."""
_TASKS_PER_WORKER = 50
# Imported once for all workers, most of which need them.
_PRELOADED = ("av", "cv2", "numpy")
# How far finished items may run ahead of one that takes long.
_AHEAD_PER_WORKER = 4
_NODE_LOSSES_PER_BLOCK = 10


@dataclass(frozen=True)
class Lost:
    """An item whose worker passed a limit or died."""

    reason: str
    detail: str


def map_blocks(
    work: Work[Item, Result],
    blocks: Iterable[Sequence[Item]],
    run: Run,
    *,
    title: str,
    num_items: int,
    limits: sandbox.ResourceLimits | None = None,
    prepare: Prepare[Item] = nullcontext,
    preloaded: Sequence[str] = (),
) -> Iterator[list[Result | Lost]]:
    """Apply `work` to every item of every block; yield the results of a block, in order.

    An item that passes `limits`, or whose worker dies twice, yields `Lost` and costs no other. An
    exception of `work` is a bug or a `UserError` and is raised here. With `limits`, `work` runs in
    a sandboxed process under every executor; `prepare(item)` then holds around it, outside the
    sandbox, and gives the item that `work` sees. Without limits, the serial executor stays in
    this process.

    `blocks` may be endless for memory's sake: only a few are held at a time. Ray runs a block as
    a task, in the cluster that RAY_ADDRESS names or else on this machine, and gives the blocks of
    a lost node to another one.

    `preloaded` names modules that `work` needs, which are then imported once and not again by every
    process, of which each does a few items; what they begin must survive a fork.
    """
    if run.executor == RAY:
        results = _ray(work, blocks, limits, prepare, preloaded)
    elif run.executor == "serial" and limits is None:
        results = ([_in_process(work, prepare, item) for item in block] for block in blocks)
    else:
        num_workers = 1 if run.executor == "serial" else max(1, run.num_workers)
        results = _processes(work, blocks, num_workers, limits, prepare, preloaded)
    with tqdm(
        None,
        title,
        total=num_items,
        disable=not run.progress,
        mininterval=0.2 if sys.stderr.isatty() else 15,
    ) as bar:
        for result in results:
            bar.update(len(result))
            yield result


def _in_process(work: Work[Item, Result], prepare: Prepare[Item], item: Item) -> Result:
    with prepare(item) as ready:
        return work(ready)


def _processes(
    work: Work[Item, Result],
    blocks: Iterable[Sequence[Item]],
    num_workers: int,
    limits: sandbox.ResourceLimits | None,
    prepare: Prepare[Item],
    preloaded: Sequence[str],
) -> Iterator[list[Result | Lost]]:
    import multiprocessing

    from pebble import ProcessPool

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_PRELOADED, *preloaded])
    pool = _Pool(
        lambda: ProcessPool(
            max_workers=num_workers,
            max_tasks=_TASKS_PER_WORKER,
            context=context,
            initializer=_start_worker,
            initargs=(limits, os.getpid()),
        )
    )
    # A thread sees one item through: it prepares it, and waits while a process works on it.
    threads = ThreadPoolExecutor(num_workers + 1)

    def submit(block: Sequence[Item]) -> list[Future[Result | Lost]]:
        return [threads.submit(_one, pool, work, item, limits, prepare) for item in block]

    try:
        for waiting in _ahead(map(submit, blocks), len, _AHEAD_PER_WORKER * num_workers):
            yield [future.result() for future in waiting]
    finally:
        # After an error, whoever waits is told at once instead of when the queue is empty.
        threads.shutdown(wait=False, cancel_futures=True)
        pool.stop()


class _Pool:
    """A process pool that is made anew when the death of an idle worker has broken it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._pool = make()
        self._is_stopped = False

    def schedule(self, task: Sequence[Any], timeout_s: float | None) -> tuple[Any, Future[Any]]:
        """Start a task; returns the processes that have it, and what will come of it.

        Raises:
            BrokenProcessPool: they broke just now, or were stopped.
        """
        with self._lock:
            if not self._is_stopped and not self._pool.active:
                self._pool.stop()
                self._pool.join()
                self._pool = self._make()
            try:
                return self._pool, self._pool.schedule(_task, list(task), timeout=timeout_s)
            except RuntimeError as error:
                raise BrokenProcessPool(str(error)) from error

    def stop(self) -> None:
        """End every process."""
        with self._lock:
            self._is_stopped = True
            self._pool.stop()
            self._pool.join()


def _ahead(started: Iterator[Item], size: Callable[[Item], int], most: int) -> Iterator[Item]:
    """Yield in order while up to `most` in all of what follows has been started already."""
    held: deque[Item] = deque()
    total = 0
    for one in started:
        held.append(one)
        total += size(one)
        while total > most and len(held) > 1:
            total -= size(held[0])
            yield held.popleft()
    yield from held


def _start_worker(limits: sandbox.ResourceLimits | None, main: int) -> None:
    # Ctrl-C is the main process's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sandbox.die_with(main)
    # Each worker has a core of its own. Threads of BLAS wait for each other without sleep; on a
    # machine with more work than cores two of them were seen to spin for half an hour.
    threadpool_limits(1)
    if limits is not None:
        sandbox.enter(limits)


def _task(work: Work[Item, Result], item: Item, limits: sandbox.ResourceLimits | None) -> Result:
    if limits is not None:
        sandbox.start_task(limits)
    return work(item)


def _one(
    pool: _Pool,
    work: Work[Item, Result],
    item: Item,
    limits: sandbox.ResourceLimits | None,
    prepare: Prepare[Item],
) -> Result | Lost:
    from pebble import ProcessExpired

    wall_s = limits.wall_s if limits else None
    with prepare(item) as ready:
        # The machine may have killed a worker for what another one did: it has a second try.
        for last_try in (False, True):
            try:
                done: Result = _outcome(*pool.schedule([work, ready, limits], wall_s))
                return done
            except TimeoutError:
                return Lost("timeout", f"no result within {wall_s:g} s")
            except MemoryError:
                return Lost("out_of_memory", f"more than {_memory_mb(limits)} MB of memory")
            except ProcessExpired as error:
                if limits and error.exitcode == -signal.SIGXCPU:
                    return Lost("cpu_time", f"more than {limits.cpu_s:g} s of processor time")
                if last_try:
                    return Lost("worker_died", f"its worker ended with {error.exitcode}, twice")
            except BrokenProcessPool:
                if last_try:
                    return Lost("worker_died", "its worker ended between two tasks, twice")
    raise AssertionError


def _outcome(pool: Any, task: Future[Result]) -> Result:
    """Wait for a task, but not for one that a stopped or broken pool has forgotten."""
    while not task.done():
        wait([task], timeout=1)
        if not pool.active and not wait([task], timeout=1).done:
            raise BrokenProcessPool("the pool has forgotten the task")
    return task.result()


def _memory_mb(limits: sandbox.ResourceLimits | None) -> str:
    return str(limits.memory_mb) if limits else "the available"


def _ray(
    work: Work[Item, Result],
    blocks: Iterable[Sequence[Item]],
    limits: sandbox.ResourceLimits | None,
    prepare: Prepare[Item],
    preloaded: Sequence[str],
) -> Iterator[list[Result | Lost]]:
    ray = connected_ray()
    task: Any = ray.remote(max_retries=_NODE_LOSSES_PER_BLOCK)(_ray_block)
    shared = ray.put((work, limits, prepare, preloaded))
    most = 2 * int(ray.cluster_resources().get("CPU", 1))
    started = (task.remote(shared, block) for block in blocks)
    for reference in _ahead(started, lambda _: 1, most):
        try:
            yield ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:
            raise UserError(
                f"Ray lost a block {_NODE_LOSSES_PER_BLOCK} times ({error}); look at the cluster, "
                "then run it again: finished blocks are kept"
            ) from error


def connected_ray() -> Any:
    """Ray, connected to the cluster that RAY_ADDRESS names or to one that begins here.

    Raises:
        UserError: it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise UserError("run.executor=ray: Ray is missing; pip install -e '.[ray]'") from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
        # It has put its own handler of SIGTERM.
        interrupts.listen()
    return ray


def _ray_block(
    shared: tuple[Work[Item, Result], sandbox.ResourceLimits | None, Prepare[Item], Sequence[str]],
    block: Sequence[Item],
) -> list[Result | Lost]:
    work, limits, prepare, preloaded = shared
    if limits is None:
        return [_in_process(work, prepare, item) for item in block]
    return next(_processes(work, iter([block]), 1, limits, prepare, preloaded))


def timed(work: Work[Item, Result], item: Item) -> tuple[Result, float]:
    """Give what `work` gives of an item, and the processor seconds that it took of this process."""
    began_s = time.process_time()
    return work(item), time.process_time() - began_s


def in_blocks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Divide `items` into lists of `size`; the last may be shorter."""
    rest = iter(items)
    while block := list(islice(rest, size)):
        yield block
