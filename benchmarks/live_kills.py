"""SIGKILL the processes of `discern watch` at random moments; no alert may be lost or open twice.

    python benchmarks/live_kills.py --models models [--kills N] [--seed N]

A recording is published for ever, by HTTP as MPEG-TS, to a `watch` that sends its events to a
receiver of signed webhooks, with an alert every few seconds. Again and again the fetcher, the
decoder, the receiver, all processes below `watch`, or `watch` itself with the detector is killed,
and where nobody else starts it again it is started here. A line a kill says how long it took until
the stream went on.
At the end all must have been delivered, every alert opened once and closed once, and no process of
any `watch` be left; else the exit status is 1.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

from pipeline.live import outbox, webhooks

PROJECT = Path(__file__).resolve().parent.parent
WHAT = {
    "fetcher": "stream.recovered",
    "decoder": "stream.recovered",
    "receiver": None,
    "all below": "stream.recovered",
    "watch": "stream.started",
}
"""What is killed, and the event that tells that it goes on; of a receiver the next one does."""
FPS, SECONDS = 15, 1200.0
_PATIENCE_S = 120.0


class Quiet(BaseHTTPRequestHandler):
    """A handler that prints nothing."""

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def recorded(path: Path, seconds: float) -> Path:
    """A recording of a texture that moves, and is never the same, as MPEG-TS."""
    texture = np.random.default_rng(0).integers(20, 235, (24, 4000, 3), np.uint8)
    wide = texture.repeat(5, 0).repeat(5, 1)
    with av.open(str(path), "w", format="mpegts") as target:
        stream: Any = target.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.gop_size = 160, 120, FPS
        for number in range(round(seconds * FPS)):
            left = 2 * number % (wide.shape[1] - 160)
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(wide[:, left : left + 160]), format="rgb24"
            )
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def published(path: Path, seconds: float) -> ThreadingHTTPServer:
    """A server of a recording, in real time, for as long as anybody reads."""
    data = path.read_bytes()
    num_parts = round(10 * seconds)
    size = -(-len(data) // num_parts)

    class Handler(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            with contextlib.suppress(OSError):
                for start in range(0, len(data), size):
                    self.wfile.write(data[start : start + size])
                    time.sleep(seconds / num_parts)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Receiver:
    """Takes events, unless it is dead; `bodies` holds each by its id."""

    def __init__(self, key: bytes) -> None:
        self._key, self._server, self.port = key, self._made(0), 0
        self.port = self._server.server_port
        self.bodies: dict[str, dict[str, Any]] = {}
        self.num_twice = 0

    def _made(self, port: int) -> ThreadingHTTPServer:
        outer = self

        class Handler(Quiet):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                name, at = self.headers["webhook-id"], int(self.headers["webhook-timestamp"])
                expected = webhooks.signature_headers(name, at, body, [outer._key])
                is_right = expected["webhook-signature"] == self.headers["webhook-signature"]
                if is_right:
                    outer.num_twice += name in outer.bodies
                    outer.bodies[name] = json.loads(body)
                self.send_response(204 if is_right else 401)
                self.end_headers()

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def die(self, seconds: float) -> None:
        """Answer nobody for a while."""
        self._server.shutdown()
        self._server.server_close()
        time.sleep(seconds)
        self._server = self._made(self.port)


class Watch:
    """A `discern watch` in a process of its own, which may be started anew."""

    def __init__(self, what: str, work: Path, models: Path, port: int, *more: str) -> None:
        self._command = [
            *(sys.executable, "-m", "pipeline", "watch", what, "allow_private=true"),
            *(f"paths.models={models}", f"paths.work={work}", f"outbox={work / 'box'}"),
            *("refractory_s=2", "update_every_s=1", "release=null", "timeout_s=5"),
            *(f"webhook=http://127.0.0.1:{port}/", *more),
        ]
        self.lines: list[dict[str, Any]] = []
        self.start()

    def start(self) -> None:
        """Start it, and read what it says."""
        self.process = subprocess.Popen(
            self._command,
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path])},
        )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with contextlib.suppress(ValueError):
                self.lines.append(json.loads(line))

    def below(self) -> list[psutil.Process]:
        """All processes that it has started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def one(self, what: str) -> psutil.Process | None:
        """The fetcher, which has the network, or the decoder, which has none."""
        for process in self.below():
            with contextlib.suppress(psutil.Error):
                has_network = any(
                    connection.family.name == "AF_INET" for connection in process.net_connections()
                )
                is_server = process.ppid() == self.process.pid
                if not is_server and has_network == (what == "fetcher"):
                    return process
        return None

    def has_told(self, kind: str, num_lines: int) -> bool:
        """Whether an event came after some lines."""
        return any(line["type"] == kind for line in self.lines[num_lines:])


def waited(what: str, has_come: Callable[[], bool]) -> float:
    """Wait for something; returns how long that took."""
    begin = time.monotonic()
    while time.monotonic() - begin < _PATIENCE_S:
        if has_come():
            return time.monotonic() - begin
        time.sleep(0.05)
    raise SystemExit(f"no {what} came for {_PATIENCE_S:.0f} s")


def kill(what: str, watch: Watch, receiver: Receiver, rng: random.Random) -> None:
    """Kill something, and start it again where nobody else does."""
    if what == "receiver":
        receiver.die(rng.uniform(0.5, 3.0))
    elif what == "watch":
        watch.process.send_signal(signal.SIGKILL)
        watch.process.wait()
        watch.start()
    elif what == "all below":
        for process in watch.below():
            process.kill()
    else:
        process = None
        while process is None:
            process = watch.one(what)
        process.kill()


def goes_on(what: str, watch: Watch, num_lines: int, receiver: Receiver, num_bodies: int) -> bool:
    """Whether what was killed is at work again."""
    kind = WHAT[what]
    if kind is None:
        return len(receiver.bodies) > num_bodies
    return watch.has_told(kind, num_lines)


def faults(receiver: Receiver, box: Path) -> list[str]:
    """What is wrong with what was delivered."""
    found = []
    told = list(receiver.bodies.values())
    opened, closed = (
        [one["data"]["alert"] for one in told if one["type"] == kind]
        for kind in ("alert.opened", "alert.closed")
    )
    for names, kind in ((opened, "opened"), (closed, "closed")):
        if len(names) != len(set(names)):
            found.append(f"an alert was {kind} twice")
    if set(opened) != set(closed):
        found.append(f"{len(set(opened) ^ set(closed))} alerts were not opened and closed")
    with contextlib.closing(sqlite3.connect(box / outbox.FILE)) as database:
        for table in ("events", "left_open"):
            (num,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
            if num:
                found.append(f"{num} rows are left in {table}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    key = bytes(32)
    os.environ[webhooks.SECRET] = f"whsec_{base64.b64encode(key).decode()}"
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        path = recorded(folder / "a.ts", SECONDS)
        server, receiver = published(path, SECONDS), Receiver(key)
        own = folder / "work", given.models.resolve(), receiver.port
        address = f"http://127.0.0.1:{server.server_port}/a.ts"
        watch = Watch(address, *own, "threshold=0.0001")
        waited("alert", lambda: watch.has_told("alert.opened", 0))
        before_mb = psutil.Process(watch.process.pid).memory_info().rss / 2**20
        everything = {one.pid for one in watch.below()}
        for number in range(given.kills):
            what = list(WHAT)[number % len(WHAT)]
            time.sleep(rng.uniform(0.2, 4.0))
            num_lines = len(watch.lines)
            kill(what, watch, receiver, rng)
            num_bodies = len(receiver.bodies)
            took_s = waited(what, partial(goes_on, what, watch, num_lines, receiver, num_bodies))
            everything |= {one.pid for one in watch.below()}
            print(f"{number + 1:2} {what}: goes on after {took_s:.1f} s", flush=True)
        after_mb = psutil.Process(watch.process.pid).memory_info().rss / 2**20
        zombies = [one for one in watch.below() if one.status() == psutil.STATUS_ZOMBIE]
        watch.process.send_signal(signal.SIGTERM)
        watch.process.wait(60)
        until = time.monotonic() + 20
        while any(map(psutil.pid_exists, everything)) and time.monotonic() < until:
            time.sleep(0.2)
        left = [one for one in everything if psutil.pid_exists(one)]
        # What was not delivered when it was stopped, the next one delivers.
        short = recorded(folder / "b.ts", 5.0)
        last = Watch(str(short), *own, "threshold=1", "replay=true", "speed=max")
        last.process.wait(_PATIENCE_S)
        found = faults(receiver, folder / "work" / "box")
        found += [f"{len(zombies)} zombies"] * bool(zombies)
        found += [f"{len(left)} processes are left"] * bool(left)
    opened = sum(one["type"] == "alert.opened" for one in receiver.bodies.values())
    print(
        f"{given.kills} kills, {opened} alerts, {len(receiver.bodies)} events, "
        f"{receiver.num_twice} of them delivered twice; memory of watch {before_mb:.0f} MB before "
        f"and {after_mb:.0f} MB after; {'; '.join(found) or 'nothing lost'}"
    )
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
