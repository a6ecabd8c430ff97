"""Streams scored frame by frame on one core: the same answers as whole clips, and at what cost.

    python benchmarks/streams.py
    python benchmarks/streams.py --models models --height 720
    python benchmarks/streams.py --every 16
    python benchmarks/streams.py --precision bf16-mixed

The network is that of `conf/train.yaml` beside the encoders of `conf/embed.yaml`. First
its logits at every frame of a stream are compared with those for the whole as one clip, and it
fails where they differ by more than 1e-5 of the largest. Then it scores 1, 8 and 64 streams side by
side, with their sound and without, and decodes as many H.264 streams to the network's pictures, as
ingest does with PyAV, those with the samples of their AAC tracks, and with decord. It makes the
streams itself (15 frames a second, x264 crf 23; noise at 48 kHz). Each job is timed in CPU seconds
of the whole process for a second of one stream's video, all pinned to one core; they take turns,
and ratios are taken round by round. A core holds as many streams as fit into a second of decoding
and scoring with sound.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
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
from pipeline.detect.detector import FULL, MIXED, Detector
from pipeline.footage.pictures import Squares, centre_square
from pipeline.learn import encoders, networks
from pipeline.learn.model_card import ModelCard
from pipeline.learn.networks.base import Streaming
from pipeline.learn.networks.hearing import HeardNet
from pipeline.learn.networks.origin import OriginNet
from pipeline.learn.networks.product import ProductNet, product_of
from pipeline.store import video
from pipeline.store.pcm import wave_of
from pipeline.store.sound import SOUND_HZ, Samples, num_samples

TOLERANCE = 1e-5
COLUMNS = (
    "streams",
    "score pictures",
    "score pictures and sound",
    "decode as ingest",
    "the same with sound",
    "decode with decord",
    "pictures/ingest",
    "pictures/decord",
    "both/ingest with sound",
    "streams a core",
)
Frames = NDArray[np.uint8]


def asked_for(models: Path | None, clip: ClipFormat, every_frames: int, precision: str) -> Detector:
    """Trained weights, or what `conf/train.yaml` and `conf/embed.yaml` ask for, made up at random.

    Frozen encoders have their published weights. `every_frames` from one view to the next are of
    what is made up.
    """
    if models is not None:
        return Detector.load(models, precision=precision)
    pixels = networks.build(app.compose("train").model, clip)
    pictures = app.compose("embed").pictures
    origin = OriginNet(encoders.build(pictures), window=clip.num_frames, every_frames=every_frames)
    torch.manual_seed(0)
    torch.nn.init.normal_(dict(pixels.named_parameters())["head.weight"], std=0.1)
    torch.nn.init.normal_(origin.layer.weight, std=0.03)
    sound = app.compose("embed").sound
    hearing = HeardNet(
        encoders.build_sound(sound.name),
        num_samples=num_samples(clip.num_frames, clip.fps),
        num_frames=clip.num_frames,
        every_frames=sound.every_frames,
    )
    hearing.scale.fill_(0.6)
    hearing.offset.fill_(2.0)
    network = product_of(pixels, origin, hearing)
    card = ModelCard(network.architecture(), clip, 1.0, "", None, {})
    detector = Detector(network, card, "cpu", precision=precision)
    # Statistics of real pictures, without which a fresh network says next to nothing.
    pixels.train()
    with torch.no_grad():
        pixels(torch.from_numpy(moving(clip.size, clip.size, clip.num_frames, 8)))
    pixels.eval()
    return detector


def title_of(title: str, precision: str) -> str:
    """Of a table that may be there once for each precision."""
    return title if precision == FULL else f"{title}, encoder of pictures in bfloat16"


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


def compare(network: Streaming, clips: Frames, sounds: Samples) -> tuple[float, float, float]:
    """Largest difference between logits of stream and whole, largest logit, spread in time."""
    given, heard = torch.from_numpy(clips), torch.from_numpy(sounds)
    with torch.inference_mode():
        whole = network.advance(given, network.start(len(clips)), heard)[0]
        state, furthest = network.start(len(clips)), 0.0
        parts = heard.chunk(clips.shape[1], dim=1)
        for number, frames in enumerate(given.unbind(1)):
            logits, state = network.step(frames, state, parts[number])
            furthest = max(furthest, (logits - whole[:, number]).abs().max().item())
    return furthest, whole.abs().max().item(), whole.std(1).mean().item()


def noise(num_streams: int, num_samples: int) -> Samples:
    """Sound as loud as speech, of which something is heard: int16 (B, S)."""
    return np.random.default_rng(1).normal(0, 1500, (num_streams, num_samples)).astype(np.int16)


def score(detector: Detector, frames: Frames, sounds: Samples | None = None) -> None:
    """Push the frames (B, T, H, W, 3), and the sounds (B, S), of B streams."""
    stream = detector.stream(len(frames))
    num_frames = frames.shape[1]
    heard = [None] * num_frames if sounds is None else np.split(sounds, num_frames, axis=1)
    for number, sound in enumerate(heard):
        stream.push(frames[:, number], sound)


def decode_as_ingest(data: bytes, num_streams: int, size: int, *, with_sound: bool = False) -> None:
    """Decode streams in turn, with the reader and the scaler of ingest, and their samples."""
    containers = [av.open(io.BytesIO(data), "r") for _ in range(num_streams)]
    for container in containers:
        container.streams.video[0].thread_count = 1
    tracks = {"video": 0} | ({"audio": 0} if with_sound else {})
    readers = [container.decode(**tracks) for container in containers]
    squares = [Squares(size) for _ in containers]
    resamplers = [av.AudioResampler("s16", "mono", SOUND_HZ) for _ in containers]
    for frames in zip(*readers, strict=True):
        for frame, square, resampler in zip(frames, squares, resamplers, strict=True):
            if isinstance(frame, av.VideoFrame):
                square.convert([frame], centre_square((0, 0, frame.width, frame.height), 1.0))
            else:
                resampler.resample(frame)
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
    parser.add_argument("--precision", choices=(FULL, MIXED), default=FULL)
    parser.add_argument("--out", type=Path, help="file of JSON for docs/results.md")
    arguments = parser.parse_args()
    ingest = app.compose("ingest")
    clip = ingest.clip
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    detector = asked_for(arguments.models, clip, arguments.every, arguments.precision)
    detector.stream(1)
    network = detector.network
    assert isinstance(network, Streaming)
    assert isinstance(network, ProductNet)
    if network.hearing is None:
        sys.exit(f"{arguments.models}: hears nothing; train with sound (conf/embed.yaml)")
    seen = product_of(network.discharge, network.origin)
    card = replace(detector.card, architecture=seen.architecture())
    deaf = Detector(seen, card, "cpu", precision=arguments.precision)
    for num_streams in (1, 8):
        clips = moving(clip.size, clip.size, 4 * clip.num_frames, num_streams)
        sounds = noise(num_streams, num_samples(clips.shape[1], clip.fps))
        furthest, largest, spread = compare(network, clips, sounds)
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
    pictures = moving(arguments.height, width, num_frames, 1)[0]
    wave = wave_of(noise(1, round(48_000 * arguments.seconds))).astype(np.float32)
    track = video.SoundTrack(wave, 48_000, "aac", 96)
    data = video.encode(pictures, clip.fps, crf=23, track=track)
    kbit_s = len(data) * 8 / 1000 / arguments.seconds
    print(f"streams of {width}×{arguments.height}, {kbit_s:.0f} kbit/s")
    print("CPU ms for a second of one stream's video; cost of scoring as a share of decoding")
    print(" | ".join(COLUMNS))
    rows: list[Sequence[Cell]] = []
    for num_streams in arguments.streams:
        frames = np.repeat(moving(clip.size, clip.size, num_frames, 1), num_streams, axis=0)
        sounds = noise(num_streams, num_samples(num_frames, clip.fps))
        jobs: dict[str, Callable[[], None]] = {
            "score": partial(score, deaf, frames),
            "hear": partial(score, detector, frames, sounds),
            "ingest": partial(decode_as_ingest, data, num_streams, clip.size),
            "all": partial(decode_as_ingest, data, num_streams, clip.size, with_sound=True),
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
            f"{statistics.median(one[a] / one[b] for one in rounds):.2f}"
            for a, b in (("score", "ingest"), ("score", "decord"), ("hear", "all"))
        ]
        whole = statistics.median(one["hear"] + one["all"] for one in rounds)
        cells.append(f"{1000 / (per_second * whole):.1f}")
        print(f"{num_streams} | {' | '.join(cells)}", flush=True)
        rows.append((num_streams, *map(float, cells)))
    if arguments.out:
        write(
            arguments.out,
            Outcome(
                Path(__file__).name,
                "CPU milliseconds of one core for a second of one stream's video of "
                f"{width}×{arguments.height}, and scoring as a share of decoding; "
                f"{arguments.every} frames from one view of the encoder to the next; "
                f"precision={arguments.precision}.",
                [Table(title_of("Cost of streams", arguments.precision), COLUMNS, rows)],
            ),
        )


if __name__ == "__main__":
    main()
