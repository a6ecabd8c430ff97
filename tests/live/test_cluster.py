"""Streams on two nodes of a Ray cluster, one of which dies."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.commands import watch
from pipeline.live.placing import group_of
from tests import ray_cluster
from tests.live.made import kinds, watched, without_names, write_footage, write_model
from tests.live.servers import chunked, remuxed, serving

pytestmark = pytest.mark.ray

GROUPS = ("group 0", "group 1")
NAMES = ("yard", "gate", "roof", "hall")
RAY = ("run.executor=ray", "allow_private=true", "threshold=0.001", "refractory_s=600")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head without processors, and two nodes that hold a group each."""
    # Other tests have the same processors, and Ray's workers would come after all of them.
    monkeypatch.setenv("RAY_worker_niceness", "0")
    with ray_cluster.running(num_cpus=0, num_nodes=2) as made:
        yield made


def of(events: list[dict[str, Any]], stream: str, prefix: str) -> list[dict[str, Any]]:
    found = (one for one in events if one.get("subject") == stream)
    return [one for one in found if one["type"].startswith(prefix)]


def test_a_node_that_dies_costs_its_streams_a_reconnect_and_closes_no_alert(
    cluster: Any,
    tmp_path: Path,
    compose: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_model(tmp_path / "models")
    data = remuxed(write_footage(tmp_path / "a.mp4", 300, 300, 300, 300), "ts")
    is_over = threading.Event()
    heard: list[tuple[float, dict[str, Any]]] = []
    monkeypatch.setattr(watch.Endings, "take", lambda _, one: heard.append((time.monotonic(), one)))

    def live() -> Iterator[bytes]:
        # Forty seconds in as many; whoever comes later begins where it is now.
        size = len(data) // 400 // 188 * 188
        begin = time.monotonic()
        for start in range(0, len(data), size):
            if is_over.is_set():
                return
            time.sleep(max(0.0, begin + start / len(data) * 40 - time.monotonic()))
            yield data[start : start + size]

    def told(kind: str) -> set[str]:
        return {str(one["subject"]) for _, one in heard if one["type"] == kind}

    killed: list[float] = []

    def kill_a_node() -> None:
        while told("alert.opened") != set(NAMES):
            time.sleep(0.1)
        time.sleep(1.0)
        cluster.remove_node(cluster.nodes[0], allow_graceful=False)
        killed.append(time.monotonic())
        while not (lost := told("stream.lost")) or told("stream.recovered") != lost:
            time.sleep(0.1)
        time.sleep(3.0)
        is_over.set()
        server.routes.clear()

    with serving() as server:
        for name in NAMES:
            server.routes[f"/{name}"] = chunked(live)
        path = tmp_path / "streams.csv"
        path.write_text("\n".join(["id,url", *(f"{one},{server.url(f'/{one}')}" for one in NAMES)]))
        killer = threading.Thread(target=kill_a_node, daemon=True)
        killer.start()
        own = ("groups=2", "timeout_s=60", "max_wait_s=600", "end_after_s=3", "update_every_s=1")
        watch.run(str(path), cfg=compose("watch", *own, *RAY))
    killer.join(1)
    events = [one for _, one in heard]
    # What Ray says of a node that dies is no event; it may say so once the watch is over.
    printed = capsys.readouterr().out.splitlines()[: len(events)]
    assert [json.loads(line)["id"] for line in printed] == [one["id"] for one in events]
    assert len(killed) == 1
    moved = {
        str(one["subject"])
        for one in events
        if one["type"] == "stream.lost" and one["data"]["reason"] == "node_died"
    }
    # Two groups by consistent hash, one of which has died with all of its streams.
    groups = [{one for one in NAMES if group_of(one, GROUPS) == group} for group in GROUPS]
    assert moved in groups
    for name in NAMES:
        turns = [(one["type"], one["data"].get("reason", "")) for one in of(events, name, "stream")]
        moves = [("stream.lost", "node_died"), ("stream.recovered", "node_died")]
        expected = [("stream.started", ""), *(moves if name in moved else [])]
        assert turns[: len(expected)] == expected
        assert turns[-1][0] == "stream.ended"
        assert len(turns) == len(expected) + 2
        # One alert, which was opened once and closed once, and told of on both nodes.
        alerts = of(events, name, "alert")
        assert kinds(alerts).count("alert.opened") == kinds(alerts).count("alert.closed") == 1
        assert len({one["data"]["alert"] for one in alerts}) == 1
        times = [one["data"]["at_s"] for one in of(events, name, "") if "at_s" in one["data"]]
        # Some are told in milliseconds, others as they are.
        assert min(np.diff(times)) > -0.001
        if name in moved:
            after = events.index(of(events, name, "stream.recovered")[0])
            assert of(events[after:], name, "alert.updated")
    back = max(at for at, one in heard if one["type"] == "stream.recovered")
    print(f"back {back - killed[0]:.1f} s after the node was killed")


def test_files_are_replayed_by_a_cluster_as_by_one_machine(
    cluster: Any, tmp_path: Path, compose: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path / "models")
    names = [write_footage(tmp_path / f"{one}.mp4", 150, seed=n).name for n, one in enumerate("ab")]
    path = tmp_path / "files.csv"
    path.write_text("\n".join(["id,url", *(f"{one},{one}" for one in names)]))
    own = ("groups=2", "threshold=0.001", "refractory_s=1", "replay=true", "speed=max")
    found = []
    for executor in ("processes", "ray"):
        events = watched(capsys, compose, path, *own, f"run.executor={executor}")
        assert kinds(events).count("stream.ended") == 2
        found.append([without_names(of(events, one, "")) for one in names])
    assert "alert.opened" in [kind for kind, _ in found[0][0]]
    assert found[0] == found[1]
