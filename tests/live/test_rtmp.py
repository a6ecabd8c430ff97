"""RTMP from nginx, as `benchmarks/rtmp_server.py` starts it."""

from __future__ import annotations

import io
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline import app
from pipeline.live import remux, rtmp
from pipeline.live.addresses import Rules
from pipeline.live.fetcher import Bounds, Fetch, FetchFailure
from pipeline.live.remux import remuxed
from pipeline.store import video
from tests.live.made import watched, write_model
from tests.made import scene, write_with_sound

sys.path.insert(0, str(app.PROJECT / "benchmarks"))
import rtmp_server

served = pytest.mark.skipif(not rtmp_server.is_there(), reason=f"no nginx at {rtmp_server.NGINX}")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[str]:
    """The address of a server's application, below which streams are published and played."""
    with rtmp_server.serving(tmp_path / "nginx") as address:
        yield address


def publish(path: Path, url: str) -> None:
    """Send the packets of a file when a camera would."""
    with av.open(str(path)) as source, av.open(url, "w", format="flv") as target:
        copies = {one.index: target.add_stream_from_template(one) for one in source.streams}
        begin = time.monotonic()
        for packet in source.demux():
            if packet.dts is None:
                continue
            due = begin + float(packet.dts * packet.time_base)
            time.sleep(max(0.0, due - time.monotonic()))
            packet.stream = copies[packet.stream.index]
            target.mux(packet)


@pytest.mark.slow
@served
def test_a_published_stream_is_watched_lost_found_again_and_ends(
    root: str,
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_model(tmp_path / "models")
    # A player that joins waits for the next key frame.
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 8 * 48_000)).astype(np.float32)
    track = video.SoundTrack(noise, 48_000, "aac", 96)
    path = tmp_path / "a.mp4"
    path.write_bytes(video.encode(scene(0, 240), 30, keyint=30, track=track))
    url = f"{root}/seCret"

    def publisher() -> None:
        publish(path, url)
        time.sleep(12)
        publish(path, url)

    thread = threading.Thread(target=publisher, daemon=True)
    thread.start()
    overrides = ("timeout_s=8", "end_after_s=24", "threshold=0.001", "refractory_s=3")
    events = watched(capsys, compose, url, "allow_private=true", "max_wait_s=600", *overrides)
    thread.join()
    turns = [one for one in events if one["type"].startswith("stream.")]
    assert [one["type"] for one in turns] == [
        "stream.started",
        "stream.lost",
        "stream.recovered",
        "stream.lost",
        "stream.ended",
    ]
    started = turns[0]["data"]
    assert (started["container"], started["codec"], started["sound"]) == (
        "mpegts",
        "h264",
        "present",
    )
    # RTMP tells of no end: nothing came any more.
    assert turns[1]["data"]["reason"] == "timeout"
    times = [one["data"]["at_s"] for one in turns]
    # What had come is answered to its end: who waits for a publisher misses nothing of it.
    assert times[3] - times[2] == pytest.approx(8, abs=1.5)
    assert times == sorted(times)
    assert 1 < turns[1]["data"]["at_s"] < 9
    opened = [one["data"]["alert"] for one in events if one["type"] == "alert.opened"]
    closed = [one["data"]["alert"] for one in events if one["type"] == "alert.closed"]
    assert len(opened) >= 2
    assert sorted(opened) == sorted(closed)
    assert "seCret" not in json.dumps(events) + caplog.text


@pytest.mark.slow
@served
def test_a_stream_that_is_published_anew_at_once_has_another_clock(
    root: str,
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_model(tmp_path / "models")
    path = tmp_path / "a.mp4"
    path.write_bytes(video.encode(scene(0, 240), 30, keyint=30))
    url = f"{root}/key"

    def publisher() -> None:
        # Who watches may come to the second one, or the third.
        for _ in range(4):
            publish(path, url)

    threading.Thread(target=publisher, daemon=True).start()
    overrides = ("timeout_s=10", "end_after_s=12", "threshold=0.001", "max_wait_s=600")
    events = watched(capsys, compose, url, "allow_private=true", *overrides)
    turns = [one for one in events if one["type"].startswith("stream.")]
    found = [(one["type"], one["data"].get("reason")) for one in turns]
    anew = [("stream.lost", "clock"), ("stream.recovered", "clock")]
    assert found[0] == ("stream.started", None)
    assert found[1:3] == anew
    # RTMP tells of no end.
    assert found[-2] == ("stream.lost", "timeout")
    assert found[-1][0] == "stream.ended"
    times = [one["data"]["at_s"] for one in turns]
    assert times == sorted(times)


def publish_late(folder: Path, url: str, num: int, late_s: float) -> None:
    """Publish pictures, and sound (MP3, which nothing tells of before it comes) some time later."""
    sounds = folder / "a.mp3"
    noise = np.random.default_rng(0).normal(0, 0.1, (1, num * 1600))
    write_with_sound(sounds.with_suffix(".mp4"), scene(0, num), noise, codec="mp3")
    pictures = folder / "b.mp4"
    pictures.write_bytes(video.encode(scene(0, num), 30, keyint=15))
    options = {"flvflags": "no_metadata", "max_interleave_delta": "1"}
    with (
        av.open(str(pictures)) as seen,
        av.open(str(sounds.with_suffix(".mp4"))) as heard,
        av.open(url, "w", format="flv", options=options) as target,
    ):
        packets = []
        for file, begins_s in ((seen, 0.0), (heard, late_s)):
            track = file.streams.best("video" if file is seen else "audio")
            copied = target.add_stream_from_template(track)
            for packet in file.demux(track):
                if packet.dts is not None and (at_s := packet.dts * packet.time_base) >= begins_s:
                    packet.stream = copied
                    packets.append((float(at_s), packet))
        begin = time.monotonic()
        for at_s, packet in sorted(packets, key=lambda one: one[0]):
            time.sleep(max(0.0, begin + at_s - time.monotonic()))
            target.mux(packet)


@pytest.mark.slow
@served
def test_sound_that_begins_late_is_found_by_another_connection(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remux, "_FIRST_LOOK_S", 0.5)
    url = f"{root}/key"
    thread = threading.Thread(target=publish_late, args=(tmp_path, url, 600, 6.0), daemon=True)
    thread.start()
    fetch = Fetch(url, Rules(allow_private=True), Bounds(timeout_s=10.0, max_segment_mb=1.0))
    found: list[tuple[str, int]] = []
    tracks: list[str] = []
    until = time.monotonic() + 120

    class Written:
        def __init__(self) -> None:
            self.data = b""

        def write(self, data: bytes) -> int:
            self.data += data
            return len(data)

    while time.monotonic() < until and (not found or found[-1][0] == "tracks"):
        written: Any = Written()
        try:
            report = rtmp.follow(fetch, written)
        except FetchFailure:
            # Nobody publishes yet.
            continue
        found.append((report.reason, report.num_late))
        fetch = replace(fetch, num_late=report.num_late)
        with av.open(io.BytesIO(written.data), "r") as file:
            tracks.append("".join(one.type[0] for one in file.streams))
    thread.join()
    assert found == [("tracks", 1), ("timeout", 0)]
    assert tracks == ["v", "va"]


def test_pictures_do_not_wait_for_a_track_that_has_gone(tmp_path: Path) -> None:
    """Sound of 2 s beside pictures of 8 s: what is passed on, by what has come until then."""
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 2 * 48_000)).astype(np.float32)
    path = tmp_path / "a.mp4"
    track = video.SoundTrack(noise, 48_000, "aac", 96)
    path.write_bytes(video.encode(scene(0, 240), 30, keyint=30, track=track))
    come_s, late_s = 0.0, list[float]()
    with av.open(str(path)) as file:

        class Source:
            streams = file.streams

            def dumps_format(self) -> str:
                return ""

            def demux(self, *streams: Any) -> Iterator[Any]:
                nonlocal come_s
                packets = [one for one in file.demux(*streams) if one.dts is not None]
                for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
                    come_s = float(packet.dts * packet.time_base)
                    yield packet

        class Written:
            def write(self, data: bytes) -> int:
                for start in range(0, len(data), 188):
                    packet = data[start : start + 188]
                    begins_pictures = packet[1] & 0x40 and packet[2] == 0 and packet[1] & 0x1F == 1
                    late_s.extend([come_s - len(late_s) / 30] * bool(begins_pictures))
                return len(data)

        written: Any = Written()
        remuxed(Source(), written)
    assert len(late_s) == 240
    assert max(late_s[:200]) < 1.0
