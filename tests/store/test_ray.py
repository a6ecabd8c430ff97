from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import App, Run
from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow
from pipeline.stages import augment, ingest, pack, split
from pipeline.store.executor import in_blocks, map_blocks
from pipeline.system.sandbox import ResourceLimits
from tests import ray_cluster
from tests.conftest import write_collection
from tests.store.test_executor import LIMITS, complain, double_slow_first, misbehave

pytestmark = pytest.mark.ray

RUN = Run(executor="ray", num_workers=2, accelerator="cpu", wandb="disabled", progress=False)


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head with one processor; nodes can be added and taken away."""
    with ray_cluster.running(num_cpus=1) as made:
        yield made


def results_of(
    work: Callable[[Any], Any], items: Any, limits: ResourceLimits | None = None
) -> list[Any]:
    blocks = in_blocks(items, 3)
    results = map_blocks(work, blocks, RUN, title="", num_items=0, limits=limits)
    return [result for block in results for result in block]


def test_the_sandbox_and_the_order_are_those_of_the_local_executor(cluster: Any) -> None:
    assert results_of(double_slow_first, range(7)) == list(range(0, 14, 2))
    limits = replace(LIMITS, wall_s=10)
    results = results_of(misbehave, ["a", "die", "b", "hang", "swell", "c"], limits)
    reasons = [getattr(result, "reason", result) for result in results]
    assert reasons == ["a", "worker_died", "b", "timeout", "out_of_memory", "c"]
    with pytest.raises(UserError, match="block 1 is bad"):
        results_of(complain, [1])


def test_a_node_killed_in_the_middle_does_not_change_a_byte(
    cluster: Any, compose: Callable[..., App], tmp_path: Path
) -> None:
    rows = [
        IndexRow(
            f"{i:02d}.mp4",
            "real" if i % 2 else "game",
            f"s{i % 2}",
            i % 4 < 2,
            "CC0-1.0",
            discharges_s=(0.2,) if i % 4 < 2 else (),
        )
        for i in range(24)
    ]
    write_collection(tmp_path / "footage" / "many", rows)
    stages = {"clips": ingest, "splits": split, "augmented": augment, "packed": pack}
    small = {"clips": ["block_files=2"], "augmented": ["shard_clips=4"]}

    def run_all(executor: str) -> dict[str, bytes]:
        for output, stage in stages.items():
            name = stage.__name__.rpartition(".")[2]
            stage.run(compose(name, f"run.executor={executor}", *small.get(output, [])))
        return {
            f"{output}/{file.name}": file.read_bytes()
            for output in stages
            for file in (tmp_path / output).iterdir()
        }

    local = run_all("serial")
    for output in (*stages, "work"):
        shutil.rmtree(tmp_path / output)
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    killed_with: list[int] = []

    def kill_the_node_once_files_are_finished() -> None:
        while True:
            kept = list((tmp_path / "work").glob("kept/ingest/*/*"))
            if len(kept) >= 4:
                cluster.remove_node(node, allow_graceful=False)
                killed_with.append(len(kept))
                return
            time.sleep(0.05)

    killer = threading.Thread(target=kill_the_node_once_files_are_finished, daemon=True)
    killer.start()
    assert run_all("ray") == local
    killer.join(timeout=1)
    assert killed_with, "the node must die while blocks are under way"
    assert killed_with[0] < 24
