"""Streams scored frame by frame on one core: the same answers as whole clips, and at what cost.

    python benchmarks/streams.py
    python benchmarks/streams.py --models models --height 720
    python benchmarks/streams.py --every 16

The network is `causal` beside the encoder of `conf/embed.yaml`. First its logits at every frame of
a stream are compared with those for the whole as one clip, and it fails where they differ by more
than 1e-5 of the largest. Then it scores 1, 8 and 64 streams side by side, and decodes as many
H.264 streams to the network's pictures, as ingest does with PyAV, and with decord. It makes the
streams itself (15 frames a second, x264 crf 23). Each job is timed in CPU seconds of the whole
process for a second of one stream's video, all pinned to one core; they take turns, and ratios are
taken round by round.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import av
import decord
import numpy as np
import torch
from numpy.typing import NDArray
from outcome import Cell, Outcome, Table, write

from pipeline import app
from pipeline.config import ClipFormat
from pipeline.detect.detector import Detector
from pipeline.footage.pictures import Squares, centre_square
from pipeline.learn import encoders, networks
from pipeline.learn.model_card import ModelCard
from pipeline.learn.networks.base import Streaming
from pipeline.learn.networks.causal import CausalNet
from pipeline.learn.networks.origin import OriginNet
from pipeline.learn.networks.product import product_of
from pipeline.store import video

TOLERANCE = 1e-5
Frames = NDArray[np.uint8]


def causal_detector(models: Path | None, clip: ClipFormat, every_frames: int) -> Detector:
    """Trained weights, or what `conf/train.yaml` and `conf/embed.yaml` ask for, made up at random.

    The frozen encoder has its published weights. `every_frames` from one view to the next are of
    what is made up.
    """
    if models is not None:
        return Detector.load(models)
    pixels = networks.build(app.compose("train", "model.name=causal").model, clip)
    pictures = app.compose("embed").pictures
    origin = OriginNet(encoders.build(pictures), window=clip.num_frames, every_frames=every_frames)
    torch.manual_seed(0)
    assert isinstance(pixels, CausalNet)
    torch.nn.init.normal_(pixels.head.weight, std=0.1)
    torch.nn.init.normal_(origin.moving.weight, std=0.03)
    torch.nn.init.ones_(origin.motion_scale)
    network = product_of(pixels, origin)
    card = ModelCard(network.architecture(), clip, 1.0, "", None, {})
    detector = Detector(network, card, "cpu")
    # Statistics of real pictures, without which a fresh network says next to nothing.
    pixels.train()
    with torch.no_grad():
        pixels(torch.from_numpy(moving(clip.size, clip.size, clip.num_frames, 8)))
    pixels.eval()
    return detector


def moving(height: int, width: int, num_frames: int, num_clips: int) -> Frames:
    """Pictures that pan, with the grain of a sensor: uint8 (B, T, H, W, 3)."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(20, 235, (num_clips, height // 16 + 4, width // 16 + 8, 3))
    scene = coarse.repeat(16, axis=1).repeat(16, axis=2)
    clips = np.empty((num_clips, num_frames, height, width, 3), np.uint8)
    for number in range(num_frames):
        left, top = 2 * number % 64, number % 32
        shown = scene[:, top : top + height, left : left + width]
        grain = rng.normal(0, 3, shown.shape)
        clips[:, number] = (shown + grain).clip(0, 255)
    return clips


def compare(network: Streaming, clips: Frames) -> tuple[float, float, float]:
    """Largest difference between logits of stream and whole, largest logit, spread in time."""
    given = torch.from_numpy(clips)
    with torch.inference_mode():
        whole = network.frame_logits(given)
        state, furthest = network.start(len(clips)), 0.0
        for number, frames in enumerate(given.unbind(1)):
            logits, state = network.step(frames, state)
            furthest = max(furthest, (logits - whole[:, number]).abs().max().item())
    return furthest, whole.abs().max().item(), whole.std(1).mean().item()


def score(detector: Detector, frames: Frames) -> None:
    """Push the frames (B, T, H, W, 3) of B streams."""
    stream = detector.stream(len(frames))
    for number in range(frames.shape[1]):
        stream.push(frames[:, number])


def decode_as_ingest(data: bytes, num_streams: int, size: int) -> None:
    """Decode streams frame by frame in turn, with the reader and the scaler of ingest."""
    containers = [av.open(io.BytesIO(data), "r") for _ in range(num_streams)]
    for container in containers:
        container.streams.video[0].thread_count = 1
    readers = [container.decode(video=0) for container in containers]
    squares = [Squares(size) for _ in containers]
    for frames in zip(*readers, strict=True):
        for frame, square in zip(frames, squares, strict=True):
            square.convert([frame], centre_square((0, 0, frame.width, frame.height), 1.0))
    for container in containers:
        container.close()


def decode_with_decord(data: bytes, num_streams: int, size: int) -> None:
    """Decode streams frame by frame in turn, scaled by decord."""
    readers = [
        decord.VideoReader(io.BytesIO(data), width=size * 16 // 9, height=size, num_threads=1)
        for _ in range(num_streams)
    ]
    left = (size * 16 // 9 - size) // 2
    for _ in range(len(readers[0])):
        for reader in readers:
            np.ascontiguousarray(reader.next().asnumpy()[:, left : left + size])


def cpu_seconds(job: Callable[[], None]) -> float:
    """Of all threads of this process."""
    start = time.process_time()
    job()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=Path, help="trained weights; made up if left out")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--height", type=int, default=360, help="of the streams, 16:9")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each stream")
    parser.add_argument("--rounds", type=int, default=5)
    default = app.compose("embed").pictures.every_frames
    parser.add_argument("--every", type=int, default=default, help="frames between views")
    parser.add_argument("--out", type=Path, help="file of JSON for docs/results.md")
    arguments = parser.parse_args()
    ingest = app.compose("ingest")
    clip = ingest.clip
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    detector = causal_detector(arguments.models, clip, arguments.every)
    detector.stream(1)
    network = detector.network
    assert isinstance(network, Streaming)
    for num_streams in (1, 8):
        clips = moving(clip.size, clip.size, 4 * clip.num_frames, num_streams)
        furthest, largest, spread = compare(network, clips)
        print(
            f"streams: {num_streams} of {clips.shape[1]} frames: logits of stream and clip differ "
            f"by {furthest:.1e} at most; the largest is {largest:.2f}, and they vary by "
            f"{spread:.2f} in time"
        )
        if not furthest <= TOLERANCE * max(1.0, largest) < spread:
            sys.exit(f"more than {TOLERANCE}, or nothing to compare")
    state = network.start(1).values()
    num_bytes = sum(value.numel() * value.element_size() for value in state)
    num_parameters = sum(p.numel() for p in network.parameters())
    print(f"{num_parameters} parameters, {num_bytes / 1e6:.2f} MB of state a stream")

    num_frames = round(arguments.seconds * clip.fps)
    width = arguments.height * 16 // 9 // 2 * 2
    data = video.encode(moving(arguments.height, width, num_frames, 1)[0], clip.fps, crf=23)
    kbit_s = len(data) * 8 / 1000 / arguments.seconds
    print(f"streams of {width}×{arguments.height}, {kbit_s:.0f} kbit/s")
    print("CPU ms for a second of one stream's video; cost of scoring as a share of decoding")
    print("streams | score | decode as ingest | decode with decord | score/ingest | score/decord")
    rows: list[Sequence[Cell]] = []
    for num_streams in arguments.streams:
        frames = np.repeat(moving(clip.size, clip.size, num_frames, 1), num_streams, axis=0)
        jobs: dict[str, Callable[[], None]] = {
            "score": partial(score, detector, frames),
            "ingest": partial(decode_as_ingest, data, num_streams, clip.size),
            "decord": partial(decode_with_decord, data, num_streams, clip.size),
        }
        rounds = [
            {name: cpu_seconds(job) for name, job in jobs.items()}
            for _ in range(arguments.rounds + 1)
        ][1:]
        per_second = 1000 / num_streams / arguments.seconds
        cells = [
            f"{per_second * statistics.median(one[name] for one in rounds):.1f}" for name in jobs
        ]
        cells += [
            f"{statistics.median(one['score'] / one[other] for one in rounds):.2f}"
            for other in ("ingest", "decord")
        ]
        print(f"{num_streams} | {' | '.join(cells)}", flush=True)
        rows.append((num_streams, *map(float, cells)))
    if arguments.out:
        columns = ("streams", "score", "decode as ingest", "decode with decord")
        write(
            arguments.out,
            Outcome(
                Path(__file__).name,
                "CPU milliseconds of one core for a second of one stream's video of "
                f"{width}×{arguments.height}, and scoring as a share of decoding; "
                f"{arguments.every} frames from one view of the encoder to the next.",
                [Table("Cost of streams", (*columns, "score/ingest", "score/decord"), rows)],
            ),
        )


if __name__ == "__main__":
    main()
