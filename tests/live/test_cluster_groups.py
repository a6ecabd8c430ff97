"""What becomes of streams whose group dies, with actors that are objects of this process."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.live import cluster
from pipeline.live.addresses import Rules
from pipeline.live.before import Before, OpenAlert
from pipeline.live.board import Board
from pipeline.live.cluster import Cluster
from pipeline.live.events import Event, EventSender
from pipeline.live.fetcher import Bounds, Fetch
from pipeline.live.group import GroupEvent, GroupReport, JoiningStream
from pipeline.live.placing import group_of

SOURCE = Fetch("http://127.0.0.1/a", Rules(), Bounds(1.0, 1.0))
NAMES = ("yard", "gate", "roof", "hall", "door")
GROUPS = ("group 0", "group 1")


class Died(Exception):
    def __init__(self, said: str = "", actor_init_failed: bool = False) -> None:
        super().__init__(said)
        self.actor_init_failed = actor_init_failed


class Actor:
    """A group that opens an alert of each stream that it is given, and may be killed."""

    def __init__(self, fails: bool) -> None:
        self.fails, self.is_dead = fails, False
        self.joined: list[JoiningStream] = []
        self.left: list[str] = []
        self._reports: list[GroupReport] = []
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        if name not in ("is_ready", "join", "leave", "end", "reports"):
            raise AttributeError(name)
        return SimpleNamespace(remote=lambda *given: (self, name, given))

    def called(self, name: str, given: tuple[Any, ...]) -> Any:
        if self.fails:
            raise Died("a traceback\nno weights", actor_init_failed=True)
        if self.is_dead:
            raise Died
        if name == "reports":
            time.sleep(0.01)
            with self._lock:
                return [one for one in self._reports if one.number > given[0]]
        return True

    def begin(self, joining: JoiningStream) -> None:
        self.joined.append(joining)
        name, known = joining.name, joining.before
        before = known or Before(5.0, 0.0, OpenAlert(f"of {name}", 4.0, 0.9, 1), (0.9, 4.0), 1)
        kind = "stream.recovered" if known else "stream.started"
        told = [GroupEvent(kind, name, {"at_s": before.at_s}, before)]
        if known is None:
            told.append(
                GroupEvent("alert.opened", name, {"alert": f"of {name}", "at_s": 4.0}, before)
            )
        with self._lock:
            self._reports.append(GroupReport(len(self._reports) + 1, told, [], {name: before}))

    def finish(self, name: str) -> None:
        told = [GroupEvent("stream.ended", name, {"reason": "end", "at_s": 9.0})]
        with self._lock:
            self._reports.append(GroupReport(len(self._reports) + 1, told, [], {}))


class Ray:
    """What a cluster asks of Ray."""

    def __init__(self, *, fails: bool = False) -> None:
        self.actors: list[Actor] = []
        self._fails = fails

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 4.0}

    def remote(self, **_: Any) -> Any:
        def made(_: Any) -> Any:
            return SimpleNamespace(remote=self._made)

        return made

    def _made(self, _: Any) -> Actor:
        self.actors.append(Actor(self._fails))
        return self.actors[-1]

    def get(self, call: tuple[Actor, str, tuple[Any, ...]]) -> Any:
        actor, name, given = call
        return actor.called(name, given)

    def kill(self, actor: Actor) -> None:
        actor.is_dead = True


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Ray:
    found = Ray()
    monkeypatch.setattr(cluster, "connected_ray", lambda: found)
    monkeypatch.setattr(cluster, "_LOOK_EVERY_S", 0.02)
    # What would be sent to an actor is done at once.
    monkeypatch.setattr(Actor, "join", _Now("begin"), raising=False)
    monkeypatch.setattr(Actor, "leave", _Now("left.append"), raising=False)
    return found


class _Now:
    """A method of an actor that is called, and not only asked for."""

    def __init__(self, path: str) -> None:
        self._path = path.split(".")

    def __get__(self, actor: Any, _: Any) -> Any:
        for name in self._path:
            actor = getattr(actor, name)
        return SimpleNamespace(remote=actor)


def begun(told: list[Event]) -> Cluster:
    policy = SimpleNamespace(status_every_s=60.0)
    plan: Any = SimpleNamespace(policy=policy)
    found = Cluster(plan, EventSender([told.append]), Board(0.5), None)
    for name in NAMES:
        found.join(name, SOURCE)
    return found


def stepping(*steps: Callable[[], object]) -> Callable[[], bool]:
    """Does one thing after the other, some rounds apart."""
    left, rounds = list(steps), iter(range(1_000_000))

    def between() -> bool:
        if next(rounds) % 8 == 7 and left:
            left.pop(0)()
        return bool(left)

    return between


def of(told: list[Event], name: str) -> list[tuple[str, str]]:
    found = [one for one in told if one.get("subject") == name]
    return [(one["type"], one["data"].get("reason", "")) for one in found]


def test_streams_of_a_group_that_dies_go_on_in_another_one(ray: Ray) -> None:
    told: list[Event] = []
    one = begun(told)
    first, second = ray.actors
    mine = [name for name in NAMES if group_of(name, GROUPS) == GROUPS[0]]
    assert mine
    assert len(mine) < len(NAMES)
    assert [joining.name for joining in first.joined] == mine
    one.run(
        stepping(
            lambda: ray.kill(first),
            lambda: None,
            lambda: [second.finish(name) for name in NAMES],
        )
    )
    for name in NAMES:
        moves = [("stream.lost", "node_died"), ("stream.recovered", "")] if name in mine else []
        begin = [("stream.started", ""), ("alert.opened", "")]
        assert of(told, name) == [*begin, *moves, ("stream.ended", "end")]
    handed = {joining.name: joining.before for joining in second.joined if joining.before}
    assert set(handed) == set(mine)
    for name, before in handed.items():
        assert before.reason == "node_died"
        assert before.open is not None
        assert before.open.alert == f"of {name}"
    # The third takes the place of the first, and none of its streams.
    assert len(ray.actors) == 3
    assert ray.actors[2].joined == []
    assert all(actor.is_dead for actor in ray.actors)


def test_a_stream_that_was_to_leave_ends_with_its_group(ray: Ray) -> None:
    told: list[Event] = []
    one = begun(told)
    first, second = ray.actors
    gone = first.joined[0].name
    rest = [name for name in NAMES if name != gone]
    one.run(
        stepping(
            lambda: one.leave(gone),
            lambda: ray.kill(first),
            lambda: [second.finish(name) for name in rest],
        )
    )
    assert first.left == [gone]
    assert gone not in [joining.name for joining in second.joined]
    assert of(told, gone)[-2:] == [("alert.closed", "stream_ended"), ("stream.ended", "stopped")]


def test_what_is_open_is_closed_where_no_group_can_close_it(
    ray: Ray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_END_S", 0.2)
    told: list[Event] = []
    one = begun(told)

    def fail() -> None:
        raise UserError("stdout: nobody reads events there any more")

    def all_die() -> None:
        for actor in ray.actors:
            ray.kill(actor)

    with pytest.raises(UserError, match="nobody reads"):
        one.run(stepping(lambda: None, all_die, fail))
    closed = {str(each["subject"]) for each in told if each["type"] == "alert.closed"}
    assert closed == set(NAMES)
    assert {each["data"]["reason"] for each in told if each["type"] == "alert.closed"} == {
        "watch_ended"
    }


def test_a_group_that_could_begin_nowhere_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "connected_ray", lambda: Ray(fails=True))
    with pytest.raises(UserError, match=r"run.executor=ray: group \d cannot begin: no weights"):
        begun([])


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"Ray is missing; pip install -e '\.\[ray\]'"):
        begun([])
