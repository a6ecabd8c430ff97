from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_info

from pipeline import app
from pipeline.config import Run
from pipeline.errors import UserError
from pipeline.store.executor import Lost, in_blocks, map_blocks
from pipeline.system.sandbox import ResourceLimits

RUN = Run(executor="processes", num_workers=2, accelerator="cpu", wandb="disabled", progress=False)
LIMITS = ResourceLimits(memory_mb=2048, cpu_s=2, wall_s=4)


def results_of(
    work: Callable[[Any], Any], items: Sequence[Any], run: Run = RUN, **options: Any
) -> list[Any]:
    blocks = map_blocks(work, in_blocks(items, 3), run, title="", num_items=len(items), **options)
    return [result for block in blocks for result in block]


def double_slow_first(block: int) -> int:
    time.sleep(0.2 if block == 0 else 0)
    return 2 * block


def misbehave(block: str) -> str:
    if block == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if block == "hang":
        time.sleep(60)
    if block == "swell":
        return str(len(bytearray(8 << 30)))
    return block


def num_blas_threads(_: int) -> list[int]:
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


def fail_first(done: Path) -> int:
    if done.name == "0":
        raise UserError("first")
    time.sleep(1)
    done.touch()
    return 0


def die_the_first_time(block: Path) -> str:
    if not block.exists():
        block.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return block.name


def die_when_it_is_over(block: int) -> int:
    if block == 0:
        threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGKILL]).start()
    return block


@contextmanager
def after_a_second(block: int) -> Iterator[int]:
    time.sleep(1 if block else 0)
    yield block


def hold(path: Path) -> None:
    path.with_suffix(".partial").write_text(str(os.getpid()))
    path.with_suffix(".partial").rename(path)
    time.sleep(60)


def complain(block: int) -> int:
    raise UserError(f"block {block} is bad")


def open_a_connection(family: int) -> str:
    try:
        socket.socket(family).close()
    except PermissionError:
        return "refused"
    return "open"


def write_a_file(path: Path) -> str:
    try:
        path.write_bytes(b"x")
    except OSError:
        return "refused"
    return "written"


def work_for(seconds: float) -> float:
    until_s = time.process_time() + seconds
    while time.process_time() < until_s:
        pass
    return seconds


@contextmanager
def with_a_suffix(block: str) -> Iterator[str]:
    yield f"{block}, prepared"


@pytest.mark.parametrize("limits", [None, LIMITS])
@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_results_come_in_the_order_of_the_items(
    executor: str, limits: ResourceLimits | None
) -> None:
    run = replace(RUN, executor=executor)
    assert results_of(double_slow_first, range(7), run, limits=limits) == list(range(0, 14, 2))


def test_a_dead_a_hanging_and_a_swelling_worker_cost_only_their_own_item() -> None:
    items = ["a", "die", "b", "hang", "c", "swell", "d"]
    results = results_of(misbehave, items, limits=LIMITS)
    reasons = [r.reason if isinstance(r, Lost) else r for r in results]
    assert reasons == ["a", "worker_died", "b", "timeout", "c", "out_of_memory", "d"]


def test_processor_time_is_limited_a_task_and_not_a_worker() -> None:
    run = replace(RUN, num_workers=1)
    limits = replace(LIMITS, cpu_s=1, wall_s=120)
    # More than a second and what it is rounded up by, but each of them less.
    results = results_of(work_for, [0.75, 0.75, 0.75, 30], run, limits=limits)
    assert results[:3] == [0.75] * 3
    assert results[3].reason == "cpu_time"


@pytest.mark.skipif(sys.platform != "linux", reason="the filter is one of Linux")
def test_the_sandbox_opens_no_connection_and_writes_no_file(tmp_path: Path) -> None:
    families = [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX]
    assert results_of(open_a_connection, families, limits=LIMITS) == ["refused", "refused", "open"]
    assert results_of(open_a_connection, families) == ["open", "open", "open"]
    assert results_of(write_a_file, [tmp_path / "a"], limits=LIMITS) == ["refused"]


@pytest.mark.parametrize("limits", [None, LIMITS])
def test_an_item_is_prepared_outside_the_sandbox(limits: ResourceLimits | None) -> None:
    run = replace(RUN, executor="serial")
    assert results_of(misbehave, ["a"], run, limits=limits, prepare=with_a_suffix) == [
        "a, prepared"
    ]


def test_blocks_are_taken_as_they_are_needed_and_not_all_at_once() -> None:
    taken = 0

    def endless() -> Iterator[list[int]]:
        nonlocal taken
        while True:
            taken += 1
            yield [taken]

    results = map_blocks(double_slow_first, endless(), RUN, title="", num_items=0)
    assert [next(results) for _ in range(3)] == [[2], [4], [6]]
    assert taken < 100
    results.close()


def test_an_error_is_told_at_once_and_not_when_the_queue_is_empty(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="first"):
        results_of(fail_first, [tmp_path / str(number) for number in range(40)])
    assert len(list(tmp_path.iterdir())) < 39


def test_a_worker_that_died_once_is_given_the_item_again(tmp_path: Path) -> None:
    assert results_of(die_the_first_time, [tmp_path / "a", tmp_path / "b"]) == ["a", "b"]


def test_a_worker_that_dies_between_two_items_is_replaced() -> None:
    run = replace(RUN, num_workers=1)
    results = results_of(die_when_it_is_over, [0, 1, 2], run, prepare=after_a_second)
    assert results == [0, 1, 2]


def test_an_exception_of_the_work_is_raised() -> None:
    with pytest.raises(UserError, match="block 1 is bad"):
        results_of(complain, [1, 2])


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux only")
def test_workers_end_with_a_main_process_that_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "worker"
    code = (
        "from pathlib import Path; from pipeline.config import Run; "
        "from pipeline.store.executor import map_blocks; "
        "from tests.store.test_executor import RUN, hold; "
        f"list(map_blocks(hold, [[Path({str(told)!r})]], RUN, title='', num_items=1))"
    )
    main = subprocess.Popen([sys.executable, "-c", code], cwd=app.PROJECT)
    try:
        until_s = time.monotonic() + 60
        while not told.exists() and time.monotonic() < until_s:
            time.sleep(0.05)
        worker = Path("/proc", told.read_text())
        assert worker.is_dir()
    finally:
        main.kill()
        main.wait()
    until_s = time.monotonic() + 120
    while _runs(worker) and time.monotonic() < until_s:
        time.sleep(0.05)
    assert not _runs(worker)


def _runs(process: Path) -> bool:
    try:
        # What nobody has waited for yet has ended all the same.
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("limits", [None, LIMITS])
def test_a_worker_computes_in_one_thread(limits: ResourceLimits | None) -> None:
    found = results_of(num_blas_threads, [0, 1], limits=limits)
    assert found[0]
    assert {number for one in found for number in one} == {1}
