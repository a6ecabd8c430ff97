"""Whether the memory of `discern watch` stays flat over hours of a stream, played fast.

    python benchmarks/live_memory.py --models models [--hours N] [key=value …]

A recording of some minutes, a texture that moves and is cut, with noise as its sound, is repeated
without a seam on one clock for so many hours (MPEG-TS), and `watch` plays it as fast as it can.
Memory that is resident in `watch`, and in its decoder, is read every second; a line each tenth of
the way says how far it is. The last line compares the mean of the last tenth with that of the
second one, when all that is loaded once has been.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

from pipeline.store import video

PROJECT = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT, FPS = 160, 120, 15
NUM_PARTS = 10
_SCENE_S = 20
_MB = 2**20


def recorded(path: Path, seconds: int) -> Path:
    """A recording of scenes of a texture that moves, with noise as its sound."""
    rng = np.random.default_rng(0)
    scenes = []
    for _ in range(-(-seconds // _SCENE_S)):
        blocks = rng.integers(20, 235, (HEIGHT // 10, (WIDTH + 2 * _SCENE_S * FPS) // 10 + 1, 3))
        wide = np.kron(blocks, np.ones((10, 10, 1))).astype(np.uint8)
        scenes += [wide[:, 2 * one : 2 * one + WIDTH] for one in range(_SCENE_S * FPS)]
    noise = rng.normal(0, 0.05, (1, seconds * 48_000)).astype(np.float32)
    frames = np.stack(scenes[: seconds * FPS])
    track = video.SoundTrack(noise, 48_000, "aac", 32)
    path.write_bytes(video.encode(frames, FPS, crf=35, keyint=10 * FPS, track=track))
    return path


def repeated(path: Path, target: Path, seconds: int, num_times: int) -> Path:
    """The packets of a file again and again, each time `seconds` later."""
    with av.open(str(target), "w", format="mpegts") as written:
        copies: dict[int, Any] = {}
        last: dict[int, int] = {}
        for number in range(num_times):
            with av.open(str(path)) as source:
                for one in source.streams if not number else ():
                    copies[one.index] = written.add_stream_from_template(one)
                for packet in source.demux():
                    if packet.dts is None or packet.pts is None:
                        continue
                    later = round(number * seconds / packet.time_base)
                    packet.dts, packet.pts = packet.dts + later, packet.pts + later
                    index = packet.stream.index
                    if packet.dts <= last.get(index, packet.dts - 1):
                        continue
                    last[index] = packet.dts
                    packet.stream = copies[index]
                    written.mux(packet)
    return target


def resident_mb(process: psutil.Process) -> tuple[float, float]:
    """Memory of `watch`, and of the largest process that it has started."""
    own = process.memory_info().rss / _MB
    below = [0.0]
    for one in process.children(recursive=True):
        try:
            below.append(one.memory_info().rss / _MB)
        except psutil.Error:
            continue
    return own, max(below)


class Followed:
    """How far the events of a `watch` have come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.at_s, self.num_alerts = 0.0, 0
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            self.num_alerts += event["type"] == "alert.opened"
            self.at_s = max(self.at_s, event["data"].get("at_s", 0.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--recording-s", type=int, default=300)
    parser.add_argument("overrides", nargs="*", help="keys of watch")
    given = parser.parse_args()
    num_times = max(NUM_PARTS, round(given.hours * 3600 / given.recording_s))
    seconds = num_times * given.recording_s
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        short = recorded(folder / "short.mp4", given.recording_s)
        path = repeated(short, folder / "long.ts", given.recording_s, num_times)
        command = [
            *(sys.executable, "-m", "pipeline", "watch", str(path), "replay=true", "speed=max"),
            *(f"paths.models={given.models.resolve()}", f"paths.work={folder / 'work'}"),
            *("threshold=0.0001", f"refractory_s={min(30.0, seconds / 50)}", "release=null"),
            *(f"ingest.max_duration_s={2 * seconds}", "status_every_s=3600", *given.overrides),
        ]
        begun = time.monotonic()
        with subprocess.Popen(
            command,
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path])},
        ) as process:
            followed, about = Followed(process), psutil.Process(process.pid)
            parts: list[list[tuple[float, float]]] = [[] for _ in range(NUM_PARTS)]
            told = 0
            while process.poll() is None:
                now = min(NUM_PARTS - 1, int(NUM_PARTS * followed.at_s / seconds))
                parts[now].append(resident_mb(about))
                if now > told:
                    told = now
                    own, below = parts[now][-1]
                    print(
                        f"{followed.at_s / 3600:.2f} h after {time.monotonic() - begun:.0f} s: "
                        f"watch {own:.0f} MB, decoder {below:.0f} MB",
                        flush=True,
                    )
                time.sleep(max(0.1, min(1.0, 0.1 * given.hours)))
        took_s = time.monotonic() - begun
    if process.returncode or not (parts[1] and parts[-1]):
        raise SystemExit(f"watch ended with {process.returncode} after {followed.at_s:.0f} s")
    early, late = (np.array(parts[number]).mean(0) for number in (1, NUM_PARTS - 1))
    said = [
        f"{what} {was:.0f} MB, then {now:.0f} MB ({100 * (now / was - 1):+.1f} %)"
        for what, was, now in zip(("watch", "decoder"), early, late, strict=True)
    ]
    print(
        f"{followed.at_s / 3600:.2f} hours in {took_s / 60:.1f} minutes, {followed.num_alerts} "
        f"alerts: {'; '.join(said)}"
    )


if __name__ == "__main__":
    main()
