from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.config import Run
from pipeline.errors import UserError
from pipeline.executor import Lost, map_blocks

RUN = Run(executor="processes", num_workers=2, accelerator="cpu", wandb="disabled", progress=False)


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


def fail_first(block: int) -> int:
    if block == 0:
        raise UserError("first")
    time.sleep(0.5)
    return block


def die_the_first_time(block: Path) -> str:
    if not block.exists():
        block.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return block.name


def complain(block: int) -> int:
    raise UserError(f"block {block} is bad")


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_results_come_in_the_order_of_the_blocks(executor: str) -> None:
    run = replace(RUN, executor=executor)
    assert list(map_blocks(double_slow_first, range(6), run, title="")) == [0, 2, 4, 6, 8, 10]


def test_a_dead_a_hanging_and_a_swelling_worker_cost_only_their_own_block() -> None:
    blocks = ["a", "die", "b", "hang", "c", "swell", "d"]
    results = list(map_blocks(misbehave, blocks, RUN, title="", timeout_s=4, memory_mb=2048))
    reasons = [r.reason if isinstance(r, Lost) else r for r in results]
    assert reasons == ["a", "worker_died", "b", "timeout", "c", "out_of_memory", "d"]


def test_an_error_is_told_at_once_and_not_when_the_queue_is_empty() -> None:
    start_s = time.monotonic()
    with pytest.raises(UserError, match="first"):
        list(map_blocks(fail_first, range(40), RUN, title=""))
    assert time.monotonic() - start_s < 8, "40 blocks of half a second are 10 s on two workers"


def test_a_worker_that_died_once_is_given_the_block_again(tmp_path: Path) -> None:
    blocks = [tmp_path / "a", tmp_path / "b"]
    assert list(map_blocks(die_the_first_time, blocks, RUN, title="")) == ["a", "b"]


def test_an_exception_of_the_work_is_raised() -> None:
    with pytest.raises(UserError, match="block 1 is bad"):
        list(map_blocks(complain, [1, 2], RUN, title=""))


def test_an_unknown_executor_is_an_error() -> None:
    with pytest.raises(UserError, match="'threads' is none of"):
        list(map_blocks(double_slow_first, [1], replace(RUN, executor="threads"), title=""))


@pytest.mark.ray
def test_ray_gives_the_same_results() -> None:
    pytest.importorskip("ray")
    run = replace(RUN, executor="ray")
    assert list(map_blocks(double_slow_first, range(4), run, title="")) == [0, 2, 4, 6]
