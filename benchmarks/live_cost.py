"""What a second of one stream costs `discern watch`, part by part.

    python benchmarks/live_cost.py --models models [--seconds 20] [--rounds 5] [--together 6]
    python benchmarks/live_cost.py --models models --precision bf16-mixed

A recording of 640x360 and 30 pictures a second, with sound, goes once through all that a stream
goes through, in seconds of a processor of its own, one thread each: it is published in real time by
HTTP as MPEG-TS and fetched; decoded to pictures; cuts are found, windows cropped and scaled; they
are encoded and decoded, as the detector has learned them; the sound is decoded and cut; pictures
and sound are hashed, which costs nothing where no bank is searched; and the parts of the network
answer, for one stream and for several that are asked about together. Jobs take turns, and the
median of the rounds is told, with the least and the most. What finds cuts and windows is what all
of it takes beyond the pictures and the encoding, and sound and hashes are differences too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from live import FPS, HEIGHT, WIDTH, footage
from live_many import publish
from live_memory import repeated
from numpy.typing import NDArray
from outcome import Cell, Outcome, Table, write
from streams import title_of
from threadpoolctl import threadpool_limits
from torch import Tensor

from pipeline.config import ClipFormat
from pipeline.detect.detector import FULL, MIXED, Detector
from pipeline.footage import foreign
from pipeline.learn.networks.base import State, Streaming
from pipeline.learn.networks.product import ProductNet
from pipeline.live import fetcher
from pipeline.live.addresses import Rules
from pipeline.live.decoder import DecodingTask, decoded
from pipeline.live.fetcher import Bounds, Fetch
from pipeline.live.messages import StreamClip
from pipeline.live.scoring import StreamScorer
from pipeline.live.windows import divided
from pipeline.store import video

FETCH, ALL = "fetch", "all of it, without hashes"
PICTURES, WINDOWS, ENCODED, SOUND, HASHES = (
    "decode pictures",
    "find cuts, crop and scale",
    "encode and decode the clips",
    "decode and cut sound",
    "hash pictures and sound for banks",
)
_LIMITS = foreign.DecodingLimits(36_000_000, 7200.0)
_MEMORY_MB = 4096
_MS = 1000.0


def spent_s(job: Callable[[], object]) -> float:
    """Seconds of processors that a job takes in all threads of this process."""
    begin = time.process_time()
    job()
    return time.process_time() - begin


def consumed(found: Iterable[object]) -> None:
    """Go through something."""
    for _ in found:
        pass


def fetched_s(path: Path, seconds: float) -> float:
    """Seconds of a processor that fetching a recording takes, which is published in real time."""
    # What is loaded once is no part of what a second costs.
    import_module("pipeline.live.protocols")
    here, there = multiprocessing.Pipe()
    publisher = multiprocessing.Process(target=publish, args=(path, seconds, there), daemon=True)
    publisher.start()
    rules = Rules(schemes=("http",), allow_private=True)
    fetch = Fetch(f"http://127.0.0.1:{here.recv()}/a.ts", rules, Bounds(15.0, 32.0))
    _, report = multiprocessing.Pipe(duplex=False)
    ends = [multiprocessing.Pipe(duplex=False) for _ in range(2)]
    writable = tuple(one for _, one in ends)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = multiprocessing.get_context("fork").Process(
        target=fetcher.main, args=(fetch, report, writable, _MEMORY_MB, os.getpid())
    )
    process.start()
    for one in writable:
        one.close()
    for readable, _ in ends:
        threading.Thread(target=_drain, args=(readable.fileno(),), daemon=True).start()
    process.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    publisher.kill()
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _drain(pipe: int) -> None:
    while os.read(pipe, 2**16):
        pass


def clips_of(path: Path, clip: ClipFormat) -> list[StreamClip]:
    """The clips of a recording."""
    found = decoded(DecodingTask(path, clip, _LIMITS, _MEMORY_MB), None)
    return [one for one in found if isinstance(one, StreamClip)]


def decoding_s(path: Path, clip: ClipFormat, frames: list[NDArray[np.uint8]]) -> dict[str, float]:
    """Seconds of a processor that each part of decoding takes; `frames` are those of the clips."""

    def read() -> None:
        with foreign.Video(path, _LIMITS) as source:
            consumed(source.pictures(clip.fps))

    def divide() -> None:
        with foreign.Video(path, _LIMITS) as source:
            consumed(divided(source, clip))

    def encode() -> list[bytes]:
        return [video.encode(one, clip.fps, crf=clip.crf, keyint=clip.num_frames) for one in frames]

    def whole(*, prints: bool) -> None:
        consumed(decoded(DecodingTask(path, clip, _LIMITS, _MEMORY_MB, prints), None))

    encoded = encode()
    read_s, divide_s, encode_s = spent_s(read), spent_s(divide), spent_s(encode)
    decode_s = spent_s(lambda: [np.asarray(video.decode(one)) for one in encoded])
    whole_s = spent_s(lambda: whole(prints=False))
    return {
        PICTURES: read_s,
        WINDOWS: divide_s - read_s - encode_s,
        ENCODED: encode_s + decode_s,
        SOUND: whole_s - divide_s - decode_s,
        HASHES: spent_s(lambda: whole(prints=True)) - whole_s,
    }


def parts_of(network: Streaming) -> dict[str, Callable[..., object]]:
    """What answers of a network, by its name: takes frames, a state and sounds."""
    if not isinstance(network, ProductNet):
        return {}
    discharge, origin, hearing = network.discharge, network.origin, network.hearing
    assert isinstance(discharge, Streaming)
    found: dict[str, Callable[..., object]] = {
        "picture encoder": lambda frames, state, _: origin.advance(frames, state),
        "pixel network": lambda frames, state, _: discharge.advance(frames, state),
    }
    if hearing is not None:
        found["sound encoder"] = lambda _, state, sounds: hearing.advance(sounds, state)
    return found


def answering_s(detector: Detector, clips: list[StreamClip], num_streams: int) -> dict[str, float]:
    """Seconds of a processor that each part of the detector takes, of one of some streams."""
    network = detector.network
    assert isinstance(network, Streaming)
    given = [
        [torch.from_numpy(np.stack([one] * num_streams)) for one in (clip.frames, clip.sound)]
        for clip in clips
    ]
    found = {}
    state = network.start(num_streams)
    with torch.inference_mode():
        # At a state that goes on, so that each part is asked as often as in a stream.
        for frames, sounds in given[:2]:
            heard = [sounds] if detector.hears else []
            _, state = network.advance(frames, state, *heard)
        for name, part in parts_of(network).items():
            found[name] = spent_s(partial(_asked, part, given, state))
    scorer = StreamScorer(detector)
    whole_s = spent_s(
        lambda: [scorer.score({str(n): clip for n in range(num_streams)}) for clip in clips]
    )
    found["the rest of an answer" if found else "network"] = whole_s - sum(found.values())
    return {name: value / num_streams for name, value in found.items()}


def _asked(part: Callable[..., object], given: list[list[Tensor]], state: State) -> None:
    for frames, sounds in given:
        part(frames, state, sounds)


def told(rounds: Sequence[Mapping[str, float]], seconds: float) -> dict[str, tuple[float, str]]:
    """Milliseconds a second of a stream: the median of the rounds, and the least and the most."""
    found = {}
    for name in rounds[0]:
        values = [max(0.0, _MS * one[name] / seconds) for one in rounds]
        found[name] = (
            round(statistics.median(values), 1),
            f"{min(values):.1f} to {max(values):.1f}",
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--together", type=int, default=6, help="streams that are asked together")
    parser.add_argument("--precision", choices=(FULL, MIXED), default=FULL)
    parser.add_argument("--out", type=Path, help="for the page of results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    threadpool_limits(1)
    with tempfile.TemporaryDirectory() as text:
        folder, seconds = Path(text), float(given.seconds)
        short = footage(folder / "short.mp4", given.seconds)
        path = repeated([short], folder / "stream.ts", given.seconds, 1)
        fetching = [{FETCH: fetched_s(path, seconds)} for _ in range(given.rounds)]
        detector = Detector.load(given.models, precision=given.precision)
        clip = detector.card.clip
        clips = clips_of(path, clip)
        frames = [one.frames for one in clips]
        answering_s(detector, clips[:3], 1)
        of_one: list[Mapping[str, float]] = []
        of_many: list[Mapping[str, float]] = []
        for number in range(given.rounds):
            answering = answering_s(detector, clips, 1)
            of_one.append(fetching[number] | decoding_s(path, clip, frames) | answering)
            of_many.append(answering_s(detector, clips, given.together))
    rows = table(of_one, of_many, seconds)
    for row in rows:
        print(" | ".join("–" if cell is None else str(cell) for cell in row), flush=True)
    if given.out:
        setting = (
            f"Milliseconds of a processor for a second of a stream of {WIDTH}×{HEIGHT}, {FPS} "
            f"pictures a second with sound, one thread each, median of {given.rounds} rounds over "
            f"{given.seconds} s with the least and the most; precision={given.precision}."
        )
        columns = ["part", "ms", "least to most", f"ms, {given.together} asked together"]
        columns.append("least to most, together")
        title = title_of("What a second of a stream costs", given.precision)
        tables = [Table(title, columns, rows)]
        write(given.out, Outcome(Path(__file__).name, setting, tables))


def table(
    of_one: list[Mapping[str, float]], of_many: list[Mapping[str, float]], seconds: float
) -> list[list[Cell]]:
    """The rows: each part, alone and together, and all that a stream without banks costs."""
    whole = [{**one, ALL: sum(one.values()) - one[HASHES]} for one in of_one]
    shared = [
        sum(value for name, value in one.items() if name not in many and name != HASHES)
        for one, many in zip(of_one, of_many, strict=True)
    ]
    together = [
        {**many, ALL: base + sum(many.values())} for many, base in zip(of_many, shared, strict=True)
    ]
    alone, beside = told(whole, seconds), told(together, seconds)
    return [[name, *alone[name], *beside.get(name, (None, None))] for name in alone]


if __name__ == "__main__":
    main()
