"""How soon `discern watch` calls a webhook after a clip was published.

    python benchmarks/live.py --models models [key=value …]

A file is published in real time on this machine, by HTTP as MPEG-TS and as FLV, and as HLS with
segments of a second. An alert opens every few clips. What is measured is the time from the end of
such a clip being published to the webhook being called, with all that lies between: protocol,
decoding, what is looked ahead for cuts, the network, the queue on disk. A discharge lies up to the
length of a clip before its end. Settings of `watch` may follow, such as `max_wait_s=600`, with
which a machine that is slow loses no clip.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from pipeline import app
from pipeline.commands import watch
from pipeline.config import WatchApp
from pipeline.live import webhooks
from pipeline.store import video

WIDTH, HEIGHT, FPS = 640, 360, 30
PROTOCOLS = ("mpegts", "flv", "hls")
WAIT_S = 120.0
"""How long the benchmarks wait for what takes a second or a few."""
_TYPES = {"mpegts": "video/mp2t", "flv": "video/x-flv"}


def footage(path: Path, seconds: float) -> Path:
    """A file of a texture that moves, with noise as its sound and a key frame every second."""
    rng = np.random.default_rng(0)
    num_frames = round(seconds * FPS)
    blocks = rng.integers(20, 235, (HEIGHT // 20, (WIDTH + 2 * num_frames) // 20 + 1, 3))
    wide = np.kron(blocks, np.ones((20, 20, 1))).astype(np.uint8)
    frames = np.stack([wide[:, 2 * number : 2 * number + WIDTH] for number in range(num_frames)])
    noise = rng.normal(0, 0.05, (1, round(seconds * 48_000))).astype(np.float32)
    track = video.SoundTrack(noise, 48_000, "aac", 96)
    path.write_bytes(video.encode(frames, FPS, crf=23, keyint=FPS, track=track))
    return path


@dataclass
class Published:
    """A file that is published, once, as soon as somebody asks."""

    path: Path
    folder: Path
    protocol: str
    begun: float | None = None
    first_s: list[float] = field(default_factory=list)
    """Second of the file at which who asks begins."""
    sent: dict[float, float] = field(default_factory=dict)
    """When each picture was published, by its second of the file."""
    is_over: Callable[[], bool] = lambda: False
    """Whether the rest of the file is left out, which is asked before every packet."""

    def send(self, target: Any, container: str, **options: str) -> None:
        """Write packets when a camera would."""
        with (
            av.open(str(self.path)) as source,
            av.open(target, "w", format=container, options=options) as written,
        ):
            copies = {one.index: written.add_stream_from_template(one) for one in source.streams}
            self.begun = begun = time.time()
            for packet in source.demux():
                if self.is_over():
                    break
                if packet.dts is None or packet.pts is None:
                    continue
                due = begun + float(packet.dts * packet.time_base)
                time.sleep(max(0.0, due - time.time()))
                if packet.stream.type == "video":
                    self.sent[float(packet.pts * packet.time_base)] = time.time()
                packet.stream = copies[packet.stream.index]
                written.mux(packet)

    def segments(self) -> None:
        """Publish as HLS in the folder."""
        self.send(
            str(self.folder / "index.m3u8"),
            "hls",
            hls_time="1",
            hls_list_size="30",
            hls_segment_filename=str(self.folder / "%d.ts"),
            hls_flags="temp_file",
        )

    def wait_for_segments(self) -> None:
        """Wait until there are as many as a player begins before the end."""
        until(lambda: (self.folder / "1.ts").is_file())

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Give what is asked for."""
        if self.protocol == "hls":
            asked = self.folder / Path(request.path).name
            if not asked.is_file():
                request.send_error(404)
                return
            if asked.suffix == ".ts" and not self.first_s:
                self.first_s.append(float(asked.stem))
            data = asked.read_bytes()
            request.send_response(200)
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data)
        elif self.begun is None:
            self.first_s.append(0.0)
            request.send_response(200)
            request.send_header("Content-Type", _TYPES[self.protocol])
            request.end_headers()
            self.send(
                _Written(request), self.protocol, flush_packets="1", flvflags="no_duration_filesize"
            )
        else:
            request.send_error(404)


class _Written:
    def __init__(self, request: BaseHTTPRequestHandler) -> None:
        self.write = request.wfile.write


def until(is_so: Callable[[], bool], most_s: float = WAIT_S) -> None:
    """Wait until something is so, or give up."""
    give_up_at = time.monotonic() + most_s
    while not is_so() and time.monotonic() < give_up_at:
        time.sleep(0.05)


def served(answer: Callable[[BaseHTTPRequestHandler], None]) -> ThreadingHTTPServer:
    """A server of this machine that has begun."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                answer(self)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def delays(
    path: Path, work: Path, protocol: str, models: Path, overrides: Sequence[str]
) -> list[float]:
    """Seconds from the end of clips being published to the webhook being called."""
    work.mkdir()
    published = Published(path, work, protocol)
    came: list[tuple[float, dict[str, Any]]] = []

    def receive(request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        came.append((time.time(), json.loads(body)))
        request.send_response(204)
        request.end_headers()

    source, receiver = served(published.answer), served(receive)
    os.environ[webhooks.SECRET] = f"whsec_{base64.b64encode(bytes(32)).decode()}"
    if protocol == "hls":
        threading.Thread(target=published.segments, daemon=True).start()
        published.wait_for_segments()
    cfg = app.compose(
        "watch",
        *(f"paths.models={models}", f"paths.work={work}", "allow_private=true"),
        *("threshold=0.0001", "refractory_s=1.5", "update_every_s=1e6"),
        *("timeout_s=60", "end_after_s=0"),
        f"webhook=http://127.0.0.1:{receiver.server_port}/",
        *overrides,
    )
    assert isinstance(cfg, WatchApp)
    with contextlib.redirect_stdout(io.StringIO()):
        watch.run(f"http://127.0.0.1:{source.server_port}/index.m3u8", cfg=cfg)
    for server in (source, receiver):
        server.shutdown()
    assert published.begun is not None
    zero = published.begun + published.first_s[0]
    return [
        at - zero - event["data"]["at_s"] for at, event in came if event["type"] == "alert.opened"
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=PROTOCOLS)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for watch")
    given = parser.parse_args()
    models = given.models.resolve()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        path = footage(folder / "published.mp4", given.seconds)
        for protocol in given.protocols:
            found = np.array(delays(path, folder / protocol, protocol, models, given.overrides))
            if not found.size:
                raise SystemExit(f"{protocol}: no alert came")
            print(
                f"{protocol}: {found.size} alerts, median {np.median(found):.2f} s, "
                f"{found.min():.2f} to {found.max():.2f} s"
            )


if __name__ == "__main__":
    main()
