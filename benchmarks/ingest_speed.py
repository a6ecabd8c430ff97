"""Canonical clips a second against the ffmpeg command line, in one run on the same cores.

    python benchmarks/ingest_speed.py
    python benchmarks/ingest_speed.py --collection ../shared/footage
    python benchmarks/ingest_speed.py --video2dataset OTHER_ENVIRONMENT/bin/python

All do the same: decode, 15 frames a second, centre square of 128×128, x264, a file for every 16
frames; ffmpeg and the whole stage also the sound of each as 24 kHz mono FLAC. ffmpeg runs once a
file, as many files at a time as there are cores. Machines are noisy, so the jobs take turns, and
ratios are taken round by round: of clips a second, and of clips a CPU second of all processes that
a job starts, which other work on the machine disturbs less. What the parts cost is timed in CPU
seconds, file by file in one process.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline import app
from pipeline.config import ClipFormat, IngestApp
from pipeline.copies import fingerprint
from pipeline.footage import canonical, foreign, scenes
from pipeline.footage.collection import IndexRow, read_index, write_index
from pipeline.footage.pictures import Squares, centre_square, luma, thumbnail
from pipeline.stages import ingest
from pipeline.store import manifest, video
from pipeline.store.sound import SOUND_HZ

_VIDEO2DATASET = """
import json, sys
import pandas as pd
from video2dataset import video2dataset
from video2dataset.subsamplers import ResolutionSubsampler
# Version 1.3.0 reads this attribute, which its class lacks.
ResolutionSubsampler.encode_formats = {"video": "mp4"}
if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    table = job["output"] + ".parquet"
    pd.DataFrame({"url": job["files"], "clips": job["clips"]}).to_parquet(table)
    exact = {"min_length": 0.0, "max_length": 1e9, "max_length_strategy": "all",
             "precision": "exact"}
    video2dataset(
        table, output_folder=job["output"], output_format="webdataset", input_format="parquet",
        clip_col="clips", encode_formats={"video": "mp4"}, tmp_dir=job["tmp"], config={
            "subsampling": {
                "ClippingSubsampler": {"args": exact},
                "ResolutionSubsampler": {
                    "args": {"video_size": job["size"], "resize_mode": "scale,crop"}},
                "FrameSubsampler": {"args": {"frame_rate": job["fps"]}},
            },
            "reading": {"yt_args": {"download_size": 360, "download_audio_rate": 0,
                                    "yt_metadata_args": None}, "timeout": 60, "sampler": None},
            "storage": {"number_sample_per_shard": 1, "oom_shard_count": 5,
                        "captions_are_subtitles": False},
            "distribution": {"processes_count": job["num_workers"], "thread_count": 1,
                             "subjob_size": 1000, "distributor": "multiprocessing"},
        })
"""


@dataclass(frozen=True)
class Job:
    """Files to make clips of, and with how many cores."""

    collection: Path
    files: tuple[Path, ...]
    num_workers: int
    cfg: IngestApp

    @property
    def clip(self) -> ClipFormat:
        """The canonical clip."""
        return self.cfg.clip

    @property
    def limits(self) -> foreign.DecodingLimits:
        """What a file may cost."""
        return foreign.DecodingLimits(
            self.cfg.max_pixels, self.cfg.max_duration_s, self.cfg.max_output_mb
        )


Work = Callable[[Job, Path], int]
"""Makes the clips of a job in an empty folder, and returns how many."""


def ffmpeg(job: Job, folder: Path) -> int:
    """One process a file, each with one thread."""
    clip = job.clip

    def convert(number: int) -> None:
        output = folder / str(number)
        output.mkdir()
        segments = ("-f", "segment", "-segment_time", str((clip.num_frames - 0.5) / clip.fps))
        sound = (
            *("-map", "0:a:0", "-vn", "-ac", "1", "-ar", str(SOUND_HZ), "-c:a", "flac"),
            *(*segments, output / "%05d.flac"),
        )
        subprocess.run(
            [
                *("ffmpeg", "-v", "error", "-nostdin", "-threads", "1", "-i", job.files[number]),
                *("-map", "0:v:0", "-an", "-threads", "1", "-filter_threads", "1", "-vf"),
                f"fps={clip.fps:g},crop='min(iw,ih)':'min(iw,ih)',"
                f"scale={clip.size}:{clip.size}:flags=area,format=yuv420p",
                *("-c:v", "libx264", "-crf", str(clip.crf), "-x264-params"),
                f"threads=1:mbtree=0:keyint={clip.num_frames}:scenecut=0",
                *(*segments, output / "%05d.mp4"),
                *(sound if job.cfg.sound and _has_sound(job.files[number]) else ()),
            ],
            check=True,
        )

    with ThreadPoolExecutor(job.num_workers) as threads:
        list(threads.map(convert, range(len(job.files))))
    return sum(map(len, _spans(job)))


def transcode(job: Job, folder: Path) -> int:
    """The project's own decoder, scaler and encoder, without anything else."""
    return _in_workers(partial(_transcode, job), folder, job)


def _transcode(job: Job, folder: Path, number: int) -> int:
    num_clips = 0
    with (folder / f"{number}.bin").open("wb") as output:
        for pixels in _windows(job, number):
            output.write(_encode(pixels, job.clip))
            num_clips += 1
    return num_clips


def canonicalise(job: Job, folder: Path) -> int:
    """All that happens to a file, without sandbox, tables and shards."""
    return _in_workers(partial(_canonicalise, job), folder, job)


def _canonicalise(job: Job, folder: Path, number: int) -> int:
    made = canonical.canonicalise(job.files[number], job.clip, job.cfg.stride_frames, job.limits)
    (folder / f"{number}.bin").write_bytes(b"".join(window.mp4 for window in made.windows))
    return len(made.windows)


def _in_workers(work: Callable[[Path, int], int], folder: Path, job: Job) -> int:
    forkserver = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(job.num_workers, forkserver) as pool:
        return sum(pool.map(partial(work, folder), range(len(job.files))))


def whole_ingest(job: Job, folder: Path) -> int:
    """The stage as it is: sandbox, cuts, bars, fingerprints, tables, shards."""
    cfg = job.cfg
    for name in ("footage", "synthetic", "clips", "work"):
        setattr(cfg.paths, name, str(folder / name))
    cfg.collections = [str(job.collection)]
    cfg.max_reject_rate = 1.0
    cfg.run.executor, cfg.run.num_workers, cfg.run.progress = "processes", job.num_workers, False
    ingest.run(cfg)
    return sum(1 for _ in manifest.read_rows(folder / "clips" / manifest.MANIFEST, manifest.Clip))


def video2dataset(job: Job, folder: Path, python: str) -> int:
    """In its own environment, on clips that are known beforehand."""
    description: dict[str, Any] = {
        "files": [str(path) for path in job.files],
        "clips": _spans(job),
        "output": str(folder / "dataset"),
        "tmp": str(folder),
        "size": job.clip.size,
        "fps": job.clip.fps,
        "num_workers": job.num_workers,
    }
    script = folder / "job.py"
    script.write_text(_VIDEO2DATASET)
    command = [python, str(script), json.dumps(description)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stats = (folder / "dataset").glob("*_stats.json")
    done = sum(json.loads(path.read_text())["successes"] for path in stats)
    if done != len(job.files):
        sys.exit(f"video2dataset: {done} of {len(job.files)} files")
    return sum(map(len, description["clips"]))


def _spans(job: Job) -> list[list[list[float]]]:
    """Start and end in seconds of every whole clip of every file."""
    clip_s = job.clip.num_frames / job.clip.fps
    numbers = [int(_duration_s(path) / clip_s) for path in job.files]
    return [[[i * clip_s, (i + 1) * clip_s] for i in range(number)] for number in numbers]


def _duration_s(path: Path) -> float:
    import av

    with av.open(str(path)) as container:
        assert container.duration is not None
        return container.duration / av.time_base


def _has_sound(path: Path) -> bool:
    import av

    with av.open(str(path)) as container:
        return bool(container.streams.audio)


def _windows(job: Job, number: int) -> Iterator[Any]:
    """The uint8 (T, size, size, 3) windows of a file."""
    squares, held = Squares(job.clip.size), []
    with foreign.Video(job.files[number], job.limits) as source:
        for picture in source.pictures(job.clip.fps):
            held.append(picture.frame)
            if len(held) == job.clip.num_frames:
                yield _scale(squares, held, source.aspect)
                held = []


def _scale(squares: Squares, frames: list[Any], aspect: float) -> Any:
    box = centre_square((0, 0, frames[0].width, frames[0].height), aspect)
    return squares.convert(frames, box)


def _encode(pixels: Any, clip: ClipFormat) -> bytes:
    return video.encode(pixels, clip.fps, crf=clip.crf, keyint=clip.num_frames)


def costs(job: Job) -> dict[str, float]:
    """CPU seconds a clip of each part of `canonicalise`, in this process."""
    spent: dict[str, float] = defaultdict(float)
    num_clips = 0

    @contextmanager
    def timed(part: str) -> Iterator[None]:
        start = time.process_time()
        yield
        spent[part] += time.process_time() - start

    for number in range(len(job.files)):
        samples, squares, bars = [], Squares(job.clip.size), None
        with foreign.Video(job.files[number], job.limits) as source:
            held: list[Any] = []
            pictures = source.pictures(job.clip.fps)
            while True:
                with timed("decode"):
                    picture = next(pictures, None)
                if picture is None:
                    break
                with timed("cuts"):
                    samples.append(scenes.SampledFrame(None, thumbnail(picture.frame)))
                held.append(picture.frame)
                if len(held) == job.clip.num_frames:
                    with timed("bars"):
                        bars = scenes.find_bars([luma(frame) for frame in held], bars)
                    with timed("scale"):
                        pixels = _scale(squares, held, source.aspect)
                    with timed("encode"):
                        _encode(pixels, job.clip)
                    with timed("fingerprints"):
                        fingerprint.fingerprint(pixels)
                    held = []
                    num_clips += 1
        with timed("cuts"):
            list(scenes.divide(samples))
        with timed("canonicalise"):
            canonical.canonicalise(job.files[number], job.clip, job.cfg.stride_frames, job.limits)
    rest = 2 * spent["canonicalise"] - sum(spent.values())
    whole = spent.pop("canonicalise")
    parts = {**spent, "hashes and the rest": rest, "all": whole}
    return {part: cpu_s / num_clips for part, cpu_s in parts.items()}


def write_corpus(folder: Path, num_files: int, duration_s: float) -> None:
    """A collection of moving, noisy 720p30 H.264 at some 9 Mbit/s, uncut, with 48 kHz AAC."""
    for number in range(num_files):
        subprocess.run(
            [
                *("ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i"),
                f"testsrc2=size=1280x720:rate=30:duration={duration_s}",
                *("-f", "lavfi", "-i"),
                f"anoisesrc=amplitude=0.2:color=pink:seed={number}:r=48000:d={duration_s}",
                *("-ac", "2", "-c:a", "aac", "-b:a", "128k"),
                *(
                    "-vf",
                    f"hue=h={number * 360 // num_files},noise=alls=14:allf=t:all_seed={number}",
                ),
                *("-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-pix_fmt", "yuv420p"),
                folder / f"{number}.mp4",
            ],
            check=True,
        )
    write_index(
        folder,
        [IndexRow(f"{n}.mp4", "game", "test picture", False, "CC0-1.0") for n in range(num_files)],
    )


def measure(work: Work, job: Job) -> tuple[float, float]:
    """Clips a second, and clips a CPU second, of a job in a process of its own."""
    before, start = _cpu_s(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.write(writing, str(work(job, Path(folder))).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as told:
            num_clips = int(told.read() or sys.exit("a job failed"))
        wall_s = time.perf_counter() - start
        with suppress(ChildProcessError):
            while True:
                os.wait()
    return num_clips / wall_s, num_clips / (_cpu_s() - before)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _adopt_orphans() -> None:
    """Count the processes that a job's processes leave behind as ours (Linux: prctl(2))."""
    set_child_subreaper = 36
    ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


def compare(
    job: Job, rivals: dict[str, Work], num_rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """What `measure` says of every rival in every round."""
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in rivals}
    for _ in range(num_rounds):
        for name, work in rivals.items():
            rates[name].append(measure(work, job))
        line = [f"{name} {wall[-1][0]:.2f} ({wall[-1][1]:.2f})" for name, wall in rates.items()]
        print("; ".join(line), flush=True)
    return rates


def ratio(own: list[float], other: list[float]) -> str:
    """Median, least and largest of the rounds."""
    ratios = [a / b for a, b in zip(own, other, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collection", type=Path, help="footage; default: made for the purpose")
    parser.add_argument("--files", type=int, default=8, help="to make")
    parser.add_argument("--seconds", type=float, default=20, help="of each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--video2dataset", metavar="PYTHON", help="of its own environment")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.workers])
    _adopt_orphans()
    cfg = app.compose("ingest")
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.collection or Path(made)
        if not arguments.collection:
            write_corpus(folder, arguments.files, arguments.seconds)
        files = tuple(folder / row.path for row in read_index(folder))
        job = Job(folder, files, arguments.workers, cfg)
        rivals: dict[str, Work] = {
            "ffmpeg": ffmpeg,
            "transcode": transcode,
            "canonicalise": canonicalise,
            "ingest": whole_ingest,
        }
        if arguments.video2dataset:
            rivals["video2dataset"] = partial(video2dataset, python=arguments.video2dataset)
        print(f"{arguments.workers} cores, {len(files)} files; clips a second (a CPU second)")
        rates = compare(job, rivals, arguments.rounds)
        for name in list(rivals)[1:]:
            wall, cpu = (
                ratio([own[i] for own in rates[name]], [other[i] for other in rates["ffmpeg"]])
                for i in (0, 1)
            )
            print(f"{name} over ffmpeg: {wall} by the clock, {cpu} in CPU seconds")
        print("CPU seconds a clip:")
        for part, cpu_s in costs(job).items():
            print(f"  {part}: {cpu_s:.4f}")


if __name__ == "__main__":
    main()
