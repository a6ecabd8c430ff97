"""A cluster of this machine alone, beside others that it may have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def running(num_cpus: int, num_nodes: int = 0) -> Iterator[Any]:
    """A head with so many processors, and other nodes with two each; skips where Ray is missing."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": num_cpus})
    made.nodes = [made.add_node(num_cpus=2) for _ in range(num_nodes)]
    made.wait_for_nodes()
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()
