"""Streams of servers on this machine, watched from their first byte to the last event."""

from __future__ import annotations

import itertools
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
from pipeline.live import feed, plan
from tests.live.made import kinds, watched, without_names, write_footage, write_model
from tests.live.servers import Server, body, chunked, paced, playlist, remuxed, segmented, serving
from tests.made import scene, write_video

OVERRIDES = ("threshold=0.001", "refractory_s=2", "allow_private=true", "max_wait_s=600")
Watch = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


@pytest.fixture
def see(tmp_path: Path, compose: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> Watch:
    """The events of an address that is watched with a tiny detector."""
    write_model(tmp_path / "models")

    def see(url: str, *overrides: str, fails: str | None = None) -> list[dict[str, Any]]:
        return watched(capsys, compose, url, *OVERRIDES, "timeout_s=60", *overrides, fails=fails)

    return see


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


def test_a_recording_without_a_length_is_watched_once(
    server: Server, see: Watch, tmp_path: Path
) -> None:
    data = remuxed(write_footage(tmp_path / "a.mp4", 60), "ts")
    server.routes["/a"] = chunked(lambda: iter([data]))
    events = see(server.url("/a"), "end_after_s=1")
    assert outline(events) == [
        ("stream.started", ""),
        ("stream.lost", "end"),
        ("stream.ended", "repeats"),
    ]
    assert len(server.asked) >= 2


def test_a_file_that_is_replayed_alerts_as_the_same_bytes_did_live(
    server: Server, see: Watch, tmp_path: Path
) -> None:
    path = write_footage(tmp_path / "a.mp4", 70, 80)
    data = remuxed(path, "ts")
    replayed = path.with_suffix(".ts")
    replayed.write_bytes(data)
    server.routes["/a"] = once(chunked(lambda: paced(data, 5.0, 100)))
    own = ("update_every_s=0", "end_after_s=0")
    live = see(server.url("/a"), *own)
    again = see(str(replayed), *own, "replay=true", "speed=max")
    alerts = [
        [
            (kind, {**data, "stream": ""})
            for kind, data in without_names(events)
            if kind.startswith("alert.")
        ]
        for events in (live, again)
    ]
    assert len(alerts[0]) > 5
    assert alerts[0] == alerts[1]


@pytest.mark.slow
def test_a_live_playlist_is_watched_to_its_end(server: Server, see: Watch, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", scene(0, 180), options={"g": "30"})
    parts = segmented(path, tmp_path / "hls")
    assert len(parts) == 6
    names = [f"{n}.ts" for n in range(len(parts))]
    num_asked = itertools.count()

    def live(request: BaseHTTPRequestHandler) -> None:
        # As if it were asked for every half of a segment, however late that is.
        there = 2 + next(num_asked) // 2
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
            time.sleep(3)
            yield data[half + 188 * number : half + 188 * (number + 1)]

    server.routes["/a"] = once(chunked(stalls), body(data))
    events = see(server.url("/a"), "timeout_s=5")
    assert outline(events) == [
        ("stream.started", ""),
        ("stream.lost", "stalled"),
        ("stream.recovered", "stalled"),
        ("stream.ended", "end"),
    ]
    recovered = next(one["data"] for one in events if one["type"] == "stream.recovered")
    assert recovered["lost_s"] > 1
    # What was open over the loss is closed once, and nothing is open twice.
    names = [one["data"]["alert"] for one in events if one["type"] == "alert.opened"]
    closed = [one["data"]["alert"] for one in events if one["type"] == "alert.closed"]
    assert sorted(names) == sorted(closed)
    assert len(set(names)) == len(names)


def test_a_stream_that_never_comes_is_lost_once_and_ends(server: Server, see: Watch) -> None:
    begin = time.monotonic()
    fails = r"nothing could be watched: 127.0.0.1: not_found \(http://127.0.0.1:"
    events = see(server.url("/none"), "end_after_s=5", fails=fails)
    assert outline(events) == [("stream.lost", "not_found"), ("stream.ended", "not_found")]
    assert time.monotonic() - begin > 4.5
    # Pauses double; a process that asks takes a second or more to start on a machine at work.
    assert 2 <= len(server.asked) <= 6


def test_a_stream_that_shows_nothing_that_is_decoded_ends_with_the_reason(
    server: Server, see: Watch
) -> None:
    server.routes["/a"] = body(b"\0" * 100_000)
    events = see(server.url("/a"), "end_after_s=1", fails="127.0.0.1: decode_error")
    assert outline(events) == [("stream.ended", "decode_error")]


def test_a_stream_without_sound_is_watched(server: Server, see: Watch, tmp_path: Path) -> None:
    path = write_footage(tmp_path / "a.mp4", 60)
    server.routes["/a"] = body(remuxed(path, "ts", sound=False))
    events = see(server.url("/a"))
    assert events[0]["data"]["sound"] == "absent"
    assert outline(events) == [("stream.started", ""), ("stream.ended", "end")]


def test_a_finished_recording_is_not_answered_faster_than_it_may_be(
    server: Server, see: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_AHEAD_S", 1.0)
    data = remuxed(write_footage(tmp_path / "a.mp4", 150), "ts")
    server.routes["/a"] = body(data)
    begin = time.monotonic()
    events = see(server.url("/a"), "max_waiting_clips=1", "status_every_s=1")
    assert time.monotonic() - begin > 3.0
    assert outline(events) == [("stream.started", ""), ("stream.ended", "end")]
    assert events[-1]["data"]["num_dropped"] <= 4


def test_a_decoder_that_has_worked_for_long_is_replaced(
    server: Server, see: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "LONGEST_SESSION_S", 2.0)
    data = [remuxed(write_footage(tmp_path / f"{n}.mp4", n), "ts") for n in (120, 50)]
    server.routes["/a"] = once(*(body(one) for one in data))
    assert outline(see(server.url("/a"))) == [
        ("stream.started", ""),
        ("stream.lost", "too_long"),
        ("stream.recovered", "too_long"),
        ("stream.ended", "end"),
    ]


@pytest.mark.slow
def test_a_stream_of_another_codec_from_here_on_is_found_again(
    server: Server, see: Watch, tmp_path: Path
) -> None:
    parts = [
        write_video(
            tmp_path / f"{codec}.ts",
            scene(1, 90),
            codec=codec,
            container_options={"output_ts_offset": begins},
        ).read_bytes()
        for codec, begins in (("libx264", "0"), ("mpeg2video", "3"))
    ]
    # What comes after the change goes on for as long as anybody listens.
    after = lambda: itertools.chain([parts[0]], paced(parts[1], 4.0), paced(parts[1], 9.0))  # noqa: E731
    server.routes["/a"] = once(chunked(after), body(parts[1]))
    events = see(server.url("/a"), "timeout_s=4")
    found = outline(events)
    assert found[0] == ("stream.started", "")
    assert found[1:-1] == [("stream.lost", "decode_error"), ("stream.recovered", "decode_error")]
    assert found[-1] == ("stream.ended", "end")
    codecs = [one["data"]["codec"] for one in events if "codec" in one["data"]]
    assert codecs == ["h264", "mpeg2video"]


@pytest.mark.slow
def test_a_hostile_server_costs_no_other_stream_anything(
    server: Server,
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_model(tmp_path / "models")
    data = remuxed(write_footage(tmp_path / "a.mp4", 240), "ts")

    def drip(request: BaseHTTPRequestHandler) -> None:
        for letter in b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 10_000:
            request.wfile.write(bytes([letter]))
            time.sleep(0.2)

    server.routes["/good"] = once(chunked(lambda: paced(data, 8.0, 100)))
    server.routes["/drip"] = drip
    server.routes["/noise"] = chunked(lambda: itertools.repeat(os.urandom(2**16)))
    server.routes["/away.m3u8"] = body(playlist(["http://10.0.0.1/a.ts"]), "audio/mpegurl")
    rows = [f"{name.strip('/').partition('.')[0]},{server.url(name)}" for name in server.routes]
    path = tmp_path / "streams.csv"
    path.write_text("\n".join(["id,url", *rows, ""]))
    overrides = (*OVERRIDES, "timeout_s=10", "end_after_s=3", "hosts=[127.0.0.1]")
    events = watched(capsys, compose, path, *overrides)
    of_good = [one for one in events if one["subject"] == "good"]
    assert outline(of_good)[:2] == [("stream.started", ""), ("stream.lost", "end")]
    assert of_good[-1]["data"]["at_s"] == pytest.approx(8.0, abs=0.6)
    assert of_good[-1]["data"]["num_dropped"] == 0
    ended = {
        one["subject"]: one["data"]["reason"] for one in events if one["type"] == "stream.ended"
    }
    assert ended["away"] == "refused"
    assert ended["drip"] == "stalled"
    assert ended["noise"] in ("decode_error", "stalled")


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
    server: Server, see: Watch, tmp_path: Path, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    data = remuxed(write_footage(tmp_path / "a.mp4", 240), "ts")
    server.routes["/a"] = once(chunked(lambda: paced(data, 30.0, 400)), body(data))
    before = {one.pid for one in psutil.Process().children(recursive=True)}
    killed = []

    def kill() -> None:
        while "stream.started" not in caplog.text:
            time.sleep(0.1)
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
