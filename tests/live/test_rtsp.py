"""Cameras that speak RTSP."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.live.rtsp import _messages
from pipeline.store import video
from tests.live.cameras import showing
from tests.live.made import watched, write_model
from tests.live.test_fetching import fetched
from tests.made import scene

OK = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"
MOVED = b"RTSP/1.0 302 Found\r\nCSeq: 1\r\nLocation: rtsp://10.0.0.1/\r\n\r\n"


def recording(path: Path, num_frames: int) -> Path:
    """As a camera records: no picture refers to a later one."""
    noise = np.random.default_rng(0).normal(0, 0.1, (1, num_frames * 1600)).astype(np.float32)
    track = video.SoundTrack(noise, 48_000, "aac", 96)
    path.write_bytes(video.encode(scene(0, num_frames), 30, keyint=30, track=track))
    return path


def test_what_a_camera_sends_is_passed_on(tmp_path: Path) -> None:
    with showing(recording(tmp_path / "a.mp4", 60)) as camera:
        report, seen, heard = fetched(camera.url)
    assert report.reason == "end"
    assert seen == heard
    # Packets of a transport stream, of a second and more.
    assert seen[:1] == b"\x47"
    assert len(seen) % 188 == 0
    assert len(seen) > 20_000
    assert [one.split()[0] for one in camera.asked][:5] == [
        *("OPTIONS", "DESCRIBE", "SETUP", "SETUP", "PLAY")
    ]


def test_a_camera_that_redirects_is_not_followed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0.5)
        where = f"rtsp://127.0.0.1:{other.getsockname()[1]}/"
        with showing(tmp_path / "a.mp4", where) as camera:
            report, *got = fetched(camera.url)
        assert (report.reason, report.is_final, got) == ("refused", True, [b"", b""])
        with pytest.raises(TimeoutError):
            other.accept()


def test_a_camera_of_a_private_address_is_refused_from_the_start(tmp_path: Path) -> None:
    with showing(tmp_path / "a.mp4") as camera:
        report, *_ = fetched(camera.url, allow_private=False)
    assert report.reason == "refused"
    assert camera.asked == []


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_messages_come_whole_and_none_that_redirects(size: int) -> None:
    packet = b"$\x00\x00\x05RTSP/"
    body = b"RTSP/1.0 200 OK\r\nContent-Length: 8\r\n\r\n$\x00\xff\xffRTSP"
    data = OK + packet + body + packet

    def parts(data: bytes) -> Any:
        return (data[start : start + size] for start in range(0, len(data), size))

    assert list(_messages(parts(data))) == [OK, packet, body, packet]
    # Half of a message is none, and does no harm.
    assert list(_messages(parts(data[:-1]))) == [OK, packet, body]
    for wrong in (MOVED, packet + MOVED, b"\r\n" + MOVED, b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 2**15):
        found: list[bytes] = []
        with pytest.raises(ValueError, match=r"an answer|no end"):
            found.extend(_messages(parts(wrong)))
        assert MOVED not in found


@pytest.mark.slow
def test_a_camera_is_watched(
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_model(tmp_path / "models")
    with showing(recording(tmp_path / "a.mp4", 240)) as camera:
        own = ("timeout_s=60", "max_wait_s=600", "end_after_s=0", "threshold=0.001")
        events = watched(capsys, compose, camera.url, "allow_private=true", *own)
    turns = [one for one in events if one["type"].startswith("stream.")]
    assert [one["type"] for one in turns] == ["stream.started", "stream.lost", "stream.ended"]
    started = turns[0]["data"]
    assert (started["codec"], started["sound"], started["width"]) == ("h264", "present", 128)
    assert turns[-1]["data"]["at_s"] == pytest.approx(8.0, abs=1.0)
    assert "alert.opened" in [one["type"] for one in events]
    assert "seCret" not in json.dumps(events) + caplog.text
