"""How fast batches of clips come, as ratios to copying memory and to other loaders, in one run.

    python benchmarks/loader.py
    python benchmarks/loader.py --originals ../shared/footage/clips

All deliver batches of 16 random clips of 16×128×128 RGB to this process, from two workers, with
everything in the page cache. The bound is two processes that read random samples straight into
shared memory and hand nothing over. litdata and webdataset are measured on the same clips where
they are installed: `pip install litdata webdataset` (in an environment of its own: litdata draws
in torchvision). Machines are noisy, so all take turns, and ratios are taken round by round.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loader_rivals import (
    BATCH,
    CLIP,
    SHAPE,
    Epoch,
    FromFiles,
    FromOriginals,
    of_litdata,
    of_torch,
    of_webdataset,
)
from numpy.typing import NDArray

from pipeline import app
from pipeline.learn.loader import Loader
from pipeline.stages import pack
from pipeline.store import manifest, video
from pipeline.store.manifest import Clip
from pipeline.store.packed_samples import Packed
from pipeline.store.shards import ShardWriter

ORIGINAL_FPS = 30
AIMS = [
    ("raw", "bound", 0.5),
    ("raw", "litdata raw", 3.0),
    ("raw", "webdataset raw", 3.0),
    ("raw", "originals", 20.0),
    ("h264", "files", 1.0),
    ("h264", "webdataset mp4", 1.0),
]


class Shuffled:
    """A sampler of `Loader`: every row `times` times an epoch, in random order."""

    def __init__(self, num_rows: int, times: int) -> None:
        self.num_rows, self.times, self.epoch = num_rows, times, 0

    def __len__(self) -> int:
        return self.num_rows * self.times

    def draw(self) -> NDArray[np.int64]:
        """Another order every time."""
        self.epoch += 1
        rng = np.random.default_rng(self.epoch)
        return np.concatenate([rng.permutation(self.num_rows) for _ in range(self.times)])


def make_clips(num_clips: int) -> list[bytes]:
    """Canonical clips of some 20 kB: clouds that move, with noise that is new in each frame."""
    made = []
    for seed in range(num_clips):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(40, 215, (16, 16, 3)).repeat(8, 0).repeat(8, 1)
        moved = np.stack([np.roll(coarse, (t, 2 * t), (0, 1)) for t in range(CLIP.num_frames)])
        noisy = moved + rng.normal(0, 4, SHAPE)
        frames = noisy.clip(0, 255).astype(np.uint8)
        made.append(video.encode(frames, CLIP.fps, crf=CLIP.crf, keyint=CLIP.num_frames))
    return made


def make_originals(folder: Path, num_files: int, duration_s: float) -> list[Path]:
    """480p H.264 as cameras and platforms write it: x264's defaults, key frames far apart."""
    import av

    folder.mkdir()
    for seed in range(num_files):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 255, (30, 54, 3), np.uint8).repeat(16, 0).repeat(16, 1)
        noise = rng.normal(0, 3, (*coarse.shape[:2], 1))
        with av.open(str(folder / f"{seed}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=ORIGINAL_FPS)
            stream.width, stream.height, stream.pix_fmt = 854, 480, "yuv420p"
            for t in range(round(duration_s * ORIGINAL_FPS)):
                moved = np.roll(coarse, (t, 3 * t), (0, 1)) + np.roll(noise, 7 * t, (0, 1))
                image = moved[:480, :854].clip(0, 255).astype(np.uint8)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return sorted(folder.iterdir())


def packed(folder: Path, clips: Sequence[bytes], encoding: str) -> Packed:
    """Clips packed by the project's own stage."""
    names = ("clips", "splits", "augmented")
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
    with ShardWriter(folder / "clips", 500) as writer:
        places = [writer.add(f"{i:016x}", mp4) for i, mp4 in enumerate(clips)]
    rows = [
        replace(_row(i), shard=place.shard, offset=place.offset, size=place.size)
        for i, place in enumerate(places)
    ]
    manifest.write_rows(folder / "splits" / manifest.MANIFEST, Clip, rows)
    manifest.write_rows(folder / "augmented" / manifest.MANIFEST, Clip, [])
    manifest.write_format(folder / "clips", CLIP)
    target = folder / encoding
    paths = [f"paths.{name}={folder / name}" for name in (*names, "work")]
    # Two workers would be too many for the few blocks of this.
    paths.append("run.executor=serial")
    cfg = app.compose("pack", *paths, f"paths.packed={target}", f"encoding={encoding}")
    cfg.run.progress = False
    pack.run(cfg)
    return Packed.open(target, folder / "work")


def _row(i: int) -> Clip:
    return Clip(
        clip_id=f"{i:016x}",
        parent_id=None,
        collection="made",
        path=f"{i}.mp4",
        source="made",
        origin="game",
        recording=f"made/{i}",
        start_s=0.0,
        box="0,0,128,128",
        discharge=False,
        licence="CC0-1.0",
        authority="",
        viewpoint="",
        notes="",
        pixels_sha256="",
        shard="",
        offset=0,
        size=0,
        cluster=f"made/{i}",
        split="train",
    )


def ours(samples: Packed, times: int, num_workers: int) -> Epoch:
    """The project's own loader."""
    zeros = np.zeros(len(samples.index), np.int64)
    sampler = Shuffled(len(zeros), times)
    loader = Loader(
        samples,
        zeros,
        sampler,
        batch_size=BATCH,
        drop_last=True,
        num_workers=num_workers,
    )
    return lambda: loader


class Bound:
    """Processes that read random samples straight into shared memory, and hand nothing over."""

    def __init__(self, samples: Packed, num_workers: int) -> None:
        self.samples, self.num_workers = samples, num_workers

    def rate(self, seconds: float) -> float:
        """Clips a second, over all processes."""
        context = multiprocessing.get_context("fork")
        barrier, told = context.Barrier(self.num_workers), context.SimpleQueue()
        workers = [
            context.Process(target=self._read, args=(seed, seconds, barrier, told))
            for seed in range(self.num_workers)
        ]
        for worker in workers:
            worker.start()
        total = sum(told.get() for _ in workers)
        for worker in workers:
            worker.join()
        return total

    def _read(self, seed: int, seconds: float, barrier: Any, told: Any) -> None:
        rng = np.random.default_rng(seed)
        # Who has got a batch works on it while the next one is read.
        buffers = torch.empty(2, BATCH, *SHAPE, dtype=torch.uint8).share_memory_().numpy()
        buffers[:] = 1
        heard = np.empty(self.samples.samples.num_sound, np.int16)
        barrier.wait()
        num_clips, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds:
            for target in buffers[num_clips // BATCH % 2]:
                row = int(rng.integers(len(self.samples.index)))
                self.samples.samples.read_into(self.samples.at(row), target, heard)
            num_clips += BATCH
        told.put(num_clips / spent)


def rate(epoch: Epoch, seconds: float) -> float:
    """Clips a second from the first batch of an epoch to its last, over enough epochs."""
    num_clips, spent = 0, 0.0
    while spent < seconds:
        batches: Iterator[Any] = iter(epoch())
        next(batches)
        start = time.perf_counter()
        num_clips += BATCH * sum(1 for _ in batches)
        spent += time.perf_counter() - start
    return num_clips / spent


def contenders(
    folder: Path, arguments: argparse.Namespace, clips: Sequence[bytes]
) -> dict[str, Callable[[float], float]]:
    """What delivers clips, by name; each measures for so many seconds."""
    workers = arguments.workers
    raw, h264 = (packed(folder / "ours", clips, encoding) for encoding in ("raw", "h264"))
    files = []
    (folder / "files").mkdir()
    for i, mp4 in enumerate(clips):
        files.append(folder / "files" / f"{i}.mp4")
        files[-1].write_bytes(mp4)
    if arguments.originals:
        suffixes = (".mp4", ".mkv", ".mov", ".webm", ".avi")
        originals = sorted(p for p in arguments.originals.rglob("*") if p.suffix in suffixes)
        if not originals:
            sys.exit(f"{arguments.originals}: no video file in it")
    else:
        originals = make_originals(folder / "originals", 8, arguments.seconds_of_original)
    epochs: dict[str, Epoch] = {
        "raw": ours(raw, 16, workers),
        "h264": ours(h264, 1, workers),
        "files": of_torch(FromFiles(files), workers),
        "originals": of_torch(FromOriginals(originals, 4 * BATCH), workers),
    }
    if importlib.util.find_spec("litdata"):
        epochs["litdata raw"] = of_litdata(folder / "litdata", clips, workers)
    if importlib.util.find_spec("webdataset"):
        for name, is_raw in (("raw", True), ("mp4", False)):
            place = folder / f"webdataset-{name}"
            epochs[f"webdataset {name}"] = of_webdataset(place, clips, workers, raw=is_raw)
    absent = [name for name in ("litdata", "webdataset") if not importlib.util.find_spec(name)]
    if absent:
        print(f"not installed, so not measured: {', '.join(absent)}; pip install them")
    bound = Bound(raw, workers)
    return {
        "bound": bound.rate,
        **{name: partial(rate, epoch) for name, epoch in epochs.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each in a round")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--originals", type=Path, metavar="FOLDER", help="default: 480p H.264, made"
    )
    parser.add_argument("--seconds-of-original", type=float, default=8.0)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="loader-") as name:
        clips = make_clips(arguments.clips)
        size = statistics.mean(map(len, clips)) / 1000
        print(f"{len(clips)} clips, {size:.1f} kB each as mp4; {arguments.workers} workers")
        rivals = contenders(Path(name), arguments, clips)
        rates: dict[str, list[float]] = {rival: [] for rival in rivals}
        for measure in rivals.values():
            measure(1e-3)
        print(f"{arguments.rounds} rounds of {', '.join(rivals)}", flush=True)
        for _ in range(arguments.rounds):
            for rival, measure in rivals.items():
                rates[rival].append(measure(arguments.seconds))
    print("clips a second, median of rounds:")
    for rival, found in rates.items():
        print(f"  {rival}: {statistics.median(found):.0f}")
    print("ratio, median of rounds (least to most), and what is aimed at:")
    for own, other, aim in AIMS:
        if other in rates:
            ratios = [a / b for a, b in zip(rates[own], rates[other], strict=True)]
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            print(f"  {own} / {other}: {statistics.median(ratios):.2f} ({spread}); >= {aim:g}")


if __name__ == "__main__":
    main()
