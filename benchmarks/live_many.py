"""How many streams a machine watches at once without leaving anything out, and what each costs.

    python benchmarks/live_many.py --models models [--streams 4 8 16] [--seconds 60]

A recording (640x360, 30 pictures a second, with sound) is repeated without a seam and published in
real time on this machine, by HTTP as MPEG-TS, to as many readers as there are streams; a process of
its own does that. `discern watch` follows them all. From when each has begun, for so many seconds,
what is counted is: clips answered and dropped, changes of load, how far the slowest is behind, and
the processors that the detector (with all else that `watch` does itself), the processes that fetch
and those that decode have taken. A number of streams holds where no clip was dropped and the load
was not changed. What the detector takes for pictures and for sound, `streams.py` measures.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
from live import footage
from live_memory import repeated
from outcome import Cell, Outcome, Table, write

PROJECT = Path(__file__).resolve().parent.parent
_SAID = re.compile(r"(\d+) clips answered, (\d+) dropped .*?(?:the slowest is ([\d.]+) s behind)?$")
_PATIENCE_S = 300.0
_PARTS_A_S = 10


def publish(path: Path, seconds: float, port: Connection) -> None:
    """Serve a recording in real time to whoever asks, until this process is ended."""
    data = path.read_bytes()
    size = len(data) // round(_PARTS_A_S * seconds)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            begun = time.monotonic()
            with suppress(OSError):
                for number, start in enumerate(range(0, len(data), size)):
                    self.wfile.write(data[start : start + size])
                    time.sleep(max(0.0, begun + number / _PARTS_A_S - time.monotonic()))

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    port.send(server.server_port)
    server.serve_forever()


class Watched:
    """What a `watch` says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.num_events: Counter[str] = Counter()
        self.said: tuple[int, int, float] = (0, 0, 0.0)
        for read in (self._events, self._words):
            threading.Thread(target=read, args=(process,), daemon=True).start()

    def _events(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.num_events[json.loads(line)["type"]] += 1

    def _words(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            if found := _SAID.search(line.rstrip()):
                answered, dropped, behind = found.groups()
                self.said = int(answered), int(dropped), float(behind or 0.0)


WATCH, FETCH, DECODE = "watch", "fetching", "decoding"


def kinds_of(process: psutil.Process) -> dict[int, str]:
    """What a process and those below it do, by their ids: who fetches has the network."""
    found = {process.pid: WATCH}
    for one in process.children(recursive=True):
        with suppress(psutil.Error):
            fetches = any(it.family.name == "AF_INET" for it in one.net_connections())
            found[one.pid] = FETCH if fetches else DECODE
    return found


def spent_s(kinds: Mapping[int, str]) -> Counter[str]:
    """Seconds of processors that some processes have taken, by what they do."""
    found: Counter[str] = Counter()
    for number, kind in kinds.items():
        with suppress(psutil.Error):
            times = psutil.Process(number).cpu_times()
            found[kind] += times.user + times.system
    return found


def measure(num_streams: int, url: str, folder: Path, models: Path, seconds: float) -> list[Cell]:
    """Watch so many streams; says what came of it, and returns it as a row."""
    listed = folder / f"{num_streams}.csv"
    rows = [f"stream-{number},{url}?{number}" for number in range(num_streams)]
    listed.write_text("\n".join(["id,url", *rows, ""]))
    command = [
        *(sys.executable, "-m", "pipeline", "watch", str(listed), "allow_private=true"),
        *(f"paths.models={models}", f"paths.work={folder / 'work'}", "threshold=0.999"),
        *("status_every_s=2", "timeout_s=60", "stills=false"),
    ]
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path])},
    ) as process:
        watched, until = Watched(process), time.monotonic() + _PATIENCE_S
        while watched.num_events["stream.started"] < num_streams and time.monotonic() < until:
            time.sleep(0.2)
        num_begun = watched.num_events["stream.started"]
        changes, (answered, dropped, _) = watched.num_events["load.changed"], watched.said
        kinds = kinds_of(psutil.Process(process.pid))
        before, begin = spent_s(kinds), time.monotonic()
        time.sleep(seconds)
        after, took_s = spent_s(kinds), time.monotonic() - begin
        changes = watched.num_events["load.changed"] - changes
        answered, dropped = watched.said[0] - answered, watched.said[1] - dropped
        process.terminate()
        process.wait()
    costs = {kind: (after[kind] - before[kind]) / took_s for kind in (WATCH, FETCH, DECODE)}
    holds = num_begun == num_streams and not (changes or dropped)
    each = [round(1000 * cost / num_streams) for cost in costs.values()]
    print(
        f"{num_streams} streams {'hold' if holds else 'do not hold'}: {num_begun} began, "
        f"{answered} clips answered, {dropped} dropped, load changed {changes} times, the slowest "
        f"{watched.said[2]:.1f} s behind; processors: {costs[WATCH]:.2f} in watch, "
        f"{costs[FETCH]:.2f} {FETCH}, {costs[DECODE]:.2f} {DECODE}, "
        f"{each[0]}, {each[1]} and {each[2]} ms a second of each",
        flush=True,
    )
    behind_s = round(watched.said[2], 1)
    return [num_streams, "yes" if holds else "no", answered, dropped, changes, behind_s, *each]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--streams", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--recording-s", type=int, default=20)
    parser.add_argument("--out", type=Path, help="for the page of results")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        short = footage(folder / "short.mp4", given.recording_s)
        # Whoever is slow to begin still finds all of it before him.
        num_times = 1 + round((given.seconds + _PATIENCE_S) / given.recording_s)
        path = repeated([short], folder / "long.ts", given.recording_s, num_times)
        here, there = multiprocessing.Pipe()
        arguments = (path, float(num_times * given.recording_s), there)
        publisher = multiprocessing.Process(target=publish, args=arguments, daemon=True)
        publisher.start()
        url = f"http://127.0.0.1:{here.recv()}/a.ts"
        models = given.models.resolve()
        print("published", flush=True)
        rows = [measure(one, url, folder, models, given.seconds) for one in given.streams]
        publisher.kill()
    if given.out:
        columns = [
            *("streams", "hold", "clips answered", "dropped", "changes of load", "slowest, s"),
            *("in watch, ms a second of each", f"{FETCH}, ms", f"{DECODE}, ms"),
        ]
        tables = [Table("Streams that a machine watches at once", columns, rows)]
        setting = (
            f"Of 640×360, 30 pictures a second with sound, by HTTP as MPEG-TS, {given.seconds:g} s "
            f"each; {os.cpu_count()} processors, on which the publisher runs too."
        )
        write(given.out, Outcome(Path(__file__).name, setting, tables))


if __name__ == "__main__":
    main()
