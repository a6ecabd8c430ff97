"""Streams of servers on this machine, watched from their first byte to the last event."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline import app
from tests.live.made import kinds, watched, write_footage, write_model
from tests.live.servers import Server, body, chunked, paced, playlist, remuxed, segmented, serving
from tests.made import scene, write_video

OVERRIDES = ("threshold=0.001", "refractory_s=2", "allow_private=true")
Watch = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


@pytest.fixture
def see(tmp_path: Path, compose: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> Watch:
    """The events of an address that is watched with a tiny detector."""
    write_model(tmp_path / "models")

    def watch(url: str, *overrides: str) -> list[dict[str, Any]]:
        return watched(capsys, compose, url, *OVERRIDES, "timeout_s=6", *overrides)

    return watch


def outline(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What became of a stream, and why."""
    streams = [one for one in events if one["type"].startswith("stream.")]
    return [(one["type"], one["data"].get("reason", "")) for one in streams]


def once(*routes: Callable[[BaseHTTPRequestHandler], None]) -> Any:
    """Each answer once, and then that there is nothing."""
    left = list(routes)

    def answer(request: BaseHTTPRequestHandler) -> None:
        if left:
            left.pop(0)(request)
        else:
            request.send_error(404)

    return answer


@pytest.mark.slow
@pytest.mark.parametrize("container", ["ts", "flv"])
def test_a_stream_by_http_is_watched_until_its_server_has_no_more(
    server: Server, see: Watch, tmp_path: Path, container: str
) -> None:
    data = remuxed(write_footage(tmp_path / "a.mp4", 120), container)
    server.routes["/a"] = once(chunked(lambda: paced(data, 3.0)))
    events = see(server.url("/a"), "end_after_s=1.5")
    assert outline(events) == [
        ("stream.started", ""),
        ("stream.lost", "end"),
        ("stream.ended", "not_found"),
    ]
    assert events[0]["data"]["sound"] == "present"
    assert {"alert.opened", "alert.closed"} <= set(kinds(events))


@pytest.mark.slow
def test_a_live_playlist_is_watched_to_its_end(server: Server, see: Watch, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", scene(0, 180), options={"g": "30"})
    parts = segmented(path, tmp_path / "hls")
    assert len(parts) == 6
    names = [f"{n}.ts" for n in range(len(parts))]
    begin: list[float] = []

    def live(request: BaseHTTPRequestHandler) -> None:
        begin.append(time.monotonic())
        there = 2 + int(begin[-1] - begin[0])
        first = max(0, min(there, len(parts)) - 3)
        ends = there >= len(parts)
        body(playlist(names[first:there], first=first, ends=ends), "audio/mpegurl")(request)

    server.routes["/live/a.m3u8"] = live
    for name, part in zip(names, parts, strict=True):
        server.routes[f"/live/{name}"] = body(part)
    events = see(server.url("/live/a.m3u8"))
    assert outline(events) == [("stream.started", ""), ("stream.ended", "end")]
    assert events[-1]["data"]["at_s"] == pytest.approx(6.0, abs=0.6)
    # Of each segment once.
    asked = [path for path, _ in server.asked if path.endswith(".ts")]
    assert len(asked) == len(set(asked)) == len(parts)


def test_a_discontinuity_is_told_and_the_stream_goes_on_behind_it(
    server: Server, see: Watch, tmp_path: Path
) -> None:
    names = []
    for number in range(2):
        path = write_footage(tmp_path / f"{number}.mp4", 60, seed=number)
        server.routes[f"/{number}.ts"] = body(remuxed(path, "ts"))
        names.append(f"{number}.ts")
    text = playlist(names, extra={1: "#EXT-X-DISCONTINUITY"})
    server.routes["/a.m3u8"] = body(text, "audio/mpegurl")
    events = see(server.url("/a.m3u8"))
    assert outline(events) == [
        ("stream.started", ""),
        ("stream.lost", "discontinuity"),
        ("stream.recovered", "discontinuity"),
        ("stream.ended", "end"),
    ]
    times = [one["data"]["at_s"] for one in events if "at_s" in one["data"]]
    assert times == sorted(times)


def test_a_clock_that_jumps_back_is_told_and_the_detector_begins_anew(
    server: Server, see: Watch, tmp_path: Path
) -> None:
    data = remuxed(write_footage(tmp_path / "a.mp4", 90), "ts")
    server.routes["/a"] = once(
        chunked(lambda: iter([data, data])), body(data), lambda request: request.send_error(403)
    )
    events = see(server.url("/a"))
    assert outline(events) == [
        ("stream.started", ""),
        ("stream.lost", "clock"),
        ("stream.recovered", "clock"),
        ("stream.ended", "end"),
    ]


@pytest.mark.slow
def test_a_stream_that_stalls_is_lost_and_comes_back(
    server: Server, see: Watch, tmp_path: Path
) -> None:
    data = remuxed(write_footage(tmp_path / "a.mp4", 120), "ts")
    half = len(data) // 2

    def stalls() -> Iterator[bytes]:
        yield data[:half]
        # One packet every three seconds keeps a connection alive, and shows nothing.
        for number in range(20):
            time.sleep(1)
            yield data[half + 188 * number : half + 188 * (number + 1)]

    server.routes["/a"] = once(chunked(stalls), body(data))
    events = see(server.url("/a"), "timeout_s=3")
    assert outline(events) == [
        ("stream.started", ""),
        ("stream.lost", "stalled"),
        ("stream.recovered", "stalled"),
        ("stream.ended", "end"),
    ]
    recovered = next(one["data"] for one in events if one["type"] == "stream.recovered")
    assert 1 < recovered["lost_s"] < 20
    # What was open over the loss is closed once, and nothing is open twice.
    names = [one["data"]["alert"] for one in events if one["type"] == "alert.opened"]
    closed = [one["data"]["alert"] for one in events if one["type"] == "alert.closed"]
    assert sorted(names) == sorted(closed)
    assert len(set(names)) == len(names)


def test_a_stream_that_never_comes_is_lost_once_and_ends(server: Server, see: Watch) -> None:
    begin = time.monotonic()
    events = see(server.url("/none"), "end_after_s=2")
    assert outline(events) == [("stream.lost", "not_found"), ("stream.ended", "not_found")]
    assert 1.5 < time.monotonic() - begin < 15
    # Pauses double.
    assert 2 <= len(server.asked) <= 5


def test_a_stream_that_shows_nothing_that_is_decoded_ends_with_the_reason(
    server: Server, see: Watch
) -> None:
    server.routes["/a"] = body(b"\0" * 100_000)
    events = see(server.url("/a"), "end_after_s=1")
    assert outline(events) == [("stream.ended", "decode_error")]


def test_a_stream_without_sound_is_watched(server: Server, see: Watch, tmp_path: Path) -> None:
    path = write_footage(tmp_path / "a.mp4", 60)
    server.routes["/a"] = body(remuxed(path, "ts", sound=False))
    events = see(server.url("/a"))
    assert events[0]["data"]["sound"] == "absent"
    assert outline(events) == [("stream.started", ""), ("stream.ended", "end")]


@pytest.mark.slow
def test_secrets_reach_neither_events_nor_the_log(server: Server, tmp_path: Path) -> None:
    model = write_model(tmp_path / "models")
    data = remuxed(write_footage(tmp_path / "a.mp4", 60), "ts")
    halves = [chunked(lambda: iter([data[: len(data) // 2]])), body(b"no video" * 1000)]
    server.routes["/seCret/a.ts"] = once(*halves)
    url = server.url("/seCret/a.ts?token=seCret").replace("http://", "http://me:seCret@")
    command = [sys.executable, "-m", "pipeline", "watch", url, *OVERRIDES, f"paths.models={model}"]
    result = subprocess.run(
        command,
        cwd=app.PROJECT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(["", *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert kinds(events)[0] == "stream.started"
    assert kinds(events)[-1] == "stream.ended"
    said = result.stdout + result.stderr
    assert "127.0.0.1" in said
    assert "seCret" not in said
    # The header of the password.
    assert server.asked[0][1] is not None
    assert server.asked[0][1].split()[1] not in said


@pytest.mark.slow
@pytest.mark.parametrize("which", ["fetcher", "decoder"])
def test_a_process_that_is_killed_costs_a_moment(
    server: Server, see: Watch, tmp_path: Path, which: str
) -> None:
    data = remuxed(write_footage(tmp_path / "a.mp4", 240), "ts")
    server.routes["/a"] = once(chunked(lambda: paced(data, 30.0, 400)), body(data))
    before = {one.pid for one in psutil.Process().children(recursive=True)}
    killed = []

    def kill() -> None:
        while not server.asked:
            time.sleep(0.1)
        time.sleep(6)
        new = [one for one in psutil.Process().children(recursive=True) if one.pid not in before]
        has_network = {
            one.pid: any(c.family.name == "AF_INET" for c in one.net_connections()) for one in new
        }
        for one in new:
            if has_network[one.pid] == (which == "fetcher") and one.num_threads() > 1:
                os.kill(one.pid, signal.SIGKILL)
                killed.append(one.pid)
                return

    threading.Thread(target=kill, daemon=True).start()
    events = see(server.url("/a"), "timeout_s=30")
    assert len(killed) == 1
    reason = f"{which}_died"
    assert outline(events) == [
        ("stream.started", ""),
        ("stream.lost", reason),
        ("stream.recovered", reason),
        ("stream.ended", "end"),
    ]
    left = {one.pid for one in psutil.Process().children(recursive=True)} - before
    assert not [one for one in left if psutil.Process(one).status() == psutil.STATUS_ZOMBIE]
