"""Questions to a detector that are answered side by side in threads, and come back in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Name = TypeVar("Name")
Found = TypeVar("Found")


def side_by_side(
    jobs: Iterable[tuple[Name, Callable[[], Found]]], workers: int
) -> Iterator[tuple[Name, Found]]:
    """Do jobs in threads, and give what each found in the order of the jobs.

    Jobs are taken from `jobs` in the calling thread, so that what is read there is read in order
    and by one thread alone, and only a few ahead of what was given, so that memory stays bounded.
    Torch leaves the interpreter to other threads while it computes; let it take one thread for each
    job (`torch.set_num_threads(1)`), and what is found does not depend on `workers`.

    Args:
        jobs: each with what it is known by.
        workers: jobs that are done at once, 1 or more.

    Raises:
        Exception: what the first of the jobs, in their order, raised; none after those that were
            already begun is done.
    """
    waiting: deque[tuple[Name, Future[Found]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for name, job in jobs:
            waiting.append((name, pool.submit(job)))
            if len(waiting) > workers:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
