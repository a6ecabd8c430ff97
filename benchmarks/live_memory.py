"""Whether the memory of `discern watch` stays flat over hours of a stream, played fast.

    python benchmarks/live_memory.py --models models [--hours N] [key=value …]
    python benchmarks/live_memory.py --small [--hours N] [--out FILE]

A recording of some minutes, a texture that moves and is cut, with noise as its sound, is repeated
without a seam on one clock for so many hours (MPEG-TS), and `watch` plays it as fast as it can.
Memory that is resident in `watch`, and in each process that it has started, is read every second; a
line each tenth of the way says how far it is. The last line compares the mean of the last tenth
with that of the second one, when all that is loaded once has been.

With `--small` a day takes less than a quarter of an hour of one core: pictures of 64×48 and sound
of 8 kHz, and a detector with weights that are drawn, whose clips have few pictures a second. All
else is what `watch` does of any stream.
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
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import torch
from outcome import Outcome, Table, write

from pipeline.config import ClipFormat
from pipeline.learn import weights
from pipeline.learn.memory import Memory
from pipeline.learn.model_card import CARD
from pipeline.learn.networks.flash import FlashNet
from pipeline.store import video

PROJECT = Path(__file__).resolve().parent.parent
NUM_PARTS = 10
WATCH, STARTER, DECODER = "watch", "what starts decoders", "decoder"
SMALL_CLIP = ClipFormat(num_frames=8, size=32, fps=1.875, crf=18)
_SCENE_S = 20
_MB = 2**20


@dataclass(frozen=True)
class Form:
    """Of a recording."""

    width: int
    height: int
    fps: float
    rate_hz: int


LARGE, SMALL = Form(160, 120, 15, 48_000), Form(64, 48, 3.75, 8000)


def drawn(folder: Path) -> Path:
    """Weights of a small network that follows streams, with a memory; nothing has trained it."""
    clip = SMALL_CLIP
    folder.mkdir()
    torch.manual_seed(0)
    network = FlashNet(width=8, dropout=0.0, window=clip.num_frames, size=clip.size)
    weights.save(folder, network, clip=clip, temperature=1.0, provenance={})
    card = json.loads((folder / CARD).read_text())
    memory = Memory(clip.num_frames / clip.fps, origin_s=30.0, lasting=0.5, discharge_s=0.3)
    (folder / CARD).write_text(json.dumps({**card, "memory": memory.architecture()}))
    return folder


def recorded(path: Path, seconds: int, form: Form = LARGE) -> Path:
    """A recording of scenes of a texture that moves, with noise as its sound."""
    rng = np.random.default_rng(0)
    scenes, num_frames, width = [], round(_SCENE_S * form.fps), form.width
    for _ in range(-(-seconds // _SCENE_S)):
        blocks = rng.integers(20, 235, (form.height // 8 + 1, (width + 2 * num_frames) // 8 + 1, 3))
        wide = np.kron(blocks, np.ones((8, 8, 1))).astype(np.uint8)[: form.height]
        scenes += [wide[:, 2 * one : 2 * one + width] for one in range(num_frames)]
    noise = rng.normal(0, 0.05, (1, seconds * form.rate_hz)).astype(np.float32)
    frames = np.stack(scenes[: round(seconds * form.fps)])
    track = video.SoundTrack(noise, form.rate_hz, "aac", 16 if form is SMALL else 32)
    keyint = round(10 * form.fps)
    path.write_bytes(video.encode(frames, form.fps, crf=35, keyint=keyint, track=track))
    return path


def repeated(files: Sequence[Path], target: Path, seconds: int, num_times: int) -> Path:
    """The packets of files of one form, in turn and again and again, each `seconds` later."""
    with av.open(str(target), "w", format="mpegts") as written:
        copies: dict[int, Any] = {}
        last: dict[int, int] = {}
        for number in range(num_times):
            with av.open(str(files[number % len(files)])) as source:
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


def resident_mb(process: psutil.Process) -> dict[str, float]:
    """Memory of `watch`, of the process that starts others, and of the largest of these."""
    found = {WATCH: process.memory_info().rss / _MB}
    for one in process.children(recursive=True):
        try:
            # Decoders are no children of `watch` but of what starts them.
            what = STARTER if one.ppid() == process.pid else DECODER
            found[what] = max(found.get(what, 0.0), one.memory_info().rss / _MB)
        except psutil.Error:
            continue
    return found


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


Part = defaultdict[str, list[float]]


def means(part: Mapping[str, list[float]]) -> dict[str, float]:
    """The mean memory of each process in a tenth of the way."""
    return {what: float(np.mean(values)) for what, values in part.items()}


def told(memory: Mapping[str, float]) -> str:
    """As words."""
    return ", ".join(f"{what} {value:.0f} MB" for what, value in memory.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--recording-s", type=int, default=300)
    parser.add_argument("--out", type=Path, help="for the page of results")
    parser.add_argument("overrides", nargs="*", help="keys of watch")
    given = parser.parse_args()
    num_times = max(NUM_PARTS, round(given.hours * 3600 / given.recording_s))
    seconds = num_times * given.recording_s
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        models = drawn(folder / "models") if given.small else given.models.resolve()
        form = SMALL if given.small else LARGE
        short = recorded(folder / "short.mp4", given.recording_s, form)
        path = repeated([short], folder / "long.ts", given.recording_s, num_times)
        command = [
            *(sys.executable, "-m", "pipeline", "watch", str(path), "replay=true", "speed=max"),
            *(f"paths.models={models}", f"paths.work={folder / 'work'}"),
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
            parts = [Part(list) for _ in range(NUM_PARTS)]
            now = 0
            while process.poll() is None:
                before, now = now, min(NUM_PARTS - 1, int(NUM_PARTS * followed.at_s / seconds))
                if now > before:
                    print(
                        f"{followed.at_s / 3600:.2f} h after {time.monotonic() - begun:.0f} s: "
                        f"{told(means(parts[before]))}",
                        flush=True,
                    )
                for what, value in resident_mb(about).items():
                    parts[now][what].append(value)
                time.sleep(max(0.1, min(1.0, 0.1 * given.hours)))
        took_s = time.monotonic() - begun
    if process.returncode or not (parts[1] and parts[-1]):
        raise SystemExit(f"watch ended with {process.returncode} after {followed.at_s:.0f} s")
    early, late = means(parts[1]), means(parts[-1])
    changed = {what: late[what] / early[what] - 1 for what in early}
    said = [
        f"{what} {early[what]:.0f} MB, then {late[what]:.0f} MB ({100 * changed[what]:+.1f} %)"
        for what in early
    ]
    print(
        f"{followed.at_s / 3600:.2f} hours in {took_s / 60:.1f} minutes, {followed.num_alerts} "
        f"alerts: {'; '.join(said)}"
    )
    if given.out:
        rows = [
            [round((number + 1) * seconds / NUM_PARTS / 3600, 2)]
            + [round(means(part)[what], 1) if what in part else None for what in early]
            for number, part in enumerate(parts)
        ]
        setting = (
            f"{followed.at_s / 3600:.1f} hours of one stream ({form.width}×{form.height}, "
            f"{form.fps:g} pictures a second, sound of {form.rate_hz} Hz), played as fast as it "
            f"goes in {took_s / 60:.0f} minutes, {followed.num_alerts} alerts; "
            + (
                f"a detector with weights that were drawn, clips of {SMALL_CLIP.num_frames} "
                f"pictures of {SMALL_CLIP.size}×{SMALL_CLIP.size} at {SMALL_CLIP.fps:g} a second"
                if given.small
                else f"the detector of {given.models}"
            )
            + "."
        )
        columns = ["until hour", *(f"{what}, MB" for what in early)]
        table = Table("Resident memory, mean of each tenth of the way", columns, rows)
        write(given.out, Outcome(Path(__file__).name, setting, [table]))


if __name__ == "__main__":
    main()
