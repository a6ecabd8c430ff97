"""Broken and hostile files through the real ingest stage: is every one accounted for?

    python benchmarks/fuzz_ingest.py --mutants 1000

Deterministic mutations of files in ten codecs and containers, most with sound, and attacks made
by hand. Exits with 1 if the run breaks, a file is in neither clips nor rejects, an attack gets
through, a hostile track of sound costs a file its clips or passes for a recording, a worker takes
more memory than its limit, a good file raises an alarm, or one that shows pictures is not scored.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import struct
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline import app
from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow, write_index
from pipeline.footage.ingestion import ingest
from pipeline.footage.tombstones import forgotten
from pipeline.store import manifest, shards, video
from pipeline.store.manifest import Clip, File
from pipeline.store.pcm import FULL_SCALE
from pipeline.store.sound import read_sound

# Name, codec, pixel format, options of the encoder, codec of the sound.
KINDS: list[tuple[str, str, str, dict[str, str], str | None]] = [
    ("h264.mp4", "libx264", "yuv420p", {"g": "15"}, "aac"),
    ("faststart.mp4", "libx264", "yuv420p", {"g": "15"}, "libmp3lame"),
    ("h264.ts", "libx264", "yuv420p", {"g": "15"}, "aac"),
    ("hevc.mkv", "libx265", "yuv420p10le", {"x265-params": "keyint=15:log-level=none"}, "flac"),
    (
        *("vp9.webm", "libvpx-vp9", "yuv420p"),
        *({"g": "15", "deadline": "realtime", "cpu-used": "8"}, "libopus"),
    ),
    ("av1.mkv", "libsvtav1", "yuv420p", {"g": "15", "preset": "10"}, "ac3"),
    ("mpeg4.avi", "mpeg4", "yuv420p", {"g": "15"}, "libmp3lame"),
    ("mjpeg.avi", "mjpeg", "yuvj420p", {}, "pcm_s16le"),
    ("mpeg2.mpg", "mpeg2video", "yuv420p", {"g": "15"}, "mp2"),
    ("prores.mov", "prores_ks", "yuv422p10le", {}, "pcm_s24le"),
    ("flv1.flv", "flv", "yuv420p", {"g": "15"}, "aac"),
    ("anim.gif", "gif", "rgb8", {}, None),
]
SOUND_RATE = 48_000
NUM_FRAMES, RATE, WIDTH, HEIGHT = 60, 15, 160, 120
MAX_MEMORY_MB, TIMEOUT_S = 1536, 60.0
# Mean difference above which a frame is not what the good file shows, in levels, and above which
# the sound of a clip is not the good file's, in full scales.
WRONG_LEVELS, WRONG_SOUND = 6.0, 0.02
COLLECTION = "fuzz"

Frames = NDArray[np.uint8]


def scene() -> Frames:
    """A camera that passes over coloured blocks, uint8 (T, H, W, 3)."""
    rng = np.random.default_rng(7)
    blocks = rng.uniform(20, 235, (HEIGHT // 10 + 1, WIDTH // 4, 3))
    wide = np.kron(blocks, np.ones((10, 10, 1)))[:HEIGHT]
    frames = [
        wide[:, 2 * number : 2 * number + WIDTH] + rng.normal(0, 2, (HEIGHT, WIDTH, 1))
        for number in range(NUM_FRAMES)
    ]
    return np.stack(frames).clip(0, 255).astype(np.uint8)


def tones() -> NDArray[np.float64]:
    """Tones that come and go over noise, float64 (n,) in −1 to 1, as long as the scene."""
    t = np.arange(NUM_FRAMES * SOUND_RATE // RATE) / SOUND_RATE
    noise = np.random.default_rng(8).normal(0, 0.02, t.size)
    tones: NDArray[np.float64] = 0.3 * np.sin(2 * np.pi * 440 * t) * (t % 0.7 < 0.3) + noise
    return tones


def write_video(
    path: Path,
    frames: Frames,
    codec: str,
    pixels: str,
    options: dict[str, str],
    sound_codec: str | None = None,
    rate: int = SOUND_RATE,
    layout: str = "mono",
    repeats: int = 1,
) -> None:
    """Write pictures, and a track of sound `repeats` times as long."""
    is_faststart = path.name.startswith("faststart")
    movflags = {"movflags": "+faststart"} if is_faststart else {}
    with av.open(str(path), "w", options=movflags) as container:
        stream = container.add_stream(codec, rate=RATE)
        assert isinstance(stream, av.VideoStream), codec
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], pixels
        stream.options, stream.thread_count = {**options}, 1
        heard: list[av.AudioFrame] = []
        audio: av.AudioStream | None = None
        if sound_codec is not None:
            added = container.add_stream(sound_codec, rate=rate, layout=layout)
            assert isinstance(added, av.AudioStream), sound_codec
            audio = added
            audio.bit_rate = 128_000
            values = np.tile(tones(), repeats).astype(np.float32)
            whole = av.AudioFrame.from_ndarray(values[None], "flt", "mono")
            whole.sample_rate, whole.pts, whole.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
            size = audio.codec_context.frame_size or 1024
            resampler = av.AudioResampler(audio.codec_context.format.name, layout, rate, size)
            heard = [*resampler.resample(whole), *resampler.resample(None)]
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
            while audio and heard and (heard[0].time or 0) <= number / RATE:
                container.mux(audio.encode(heard.pop(0)))
        container.mux(stream.encode())
        if audio:
            for one in heard:
                container.mux(audio.encode(one))
            container.mux(audio.encode())


def flip_bits(data: bytearray, rng: np.random.Generator) -> None:
    for at in rng.integers(0, len(data), int(rng.choice([1, 4, 16, 64]))):
        data[at] ^= 1 << int(rng.integers(8))


def truncate(data: bytearray, rng: np.random.Generator) -> None:
    del data[int(len(data) * rng.uniform(0.02, 0.98)) :]


def zero_block(data: bytearray, rng: np.random.Generator) -> None:
    size = min(len(data), int(rng.integers(8, 4096)))
    at = int(rng.integers(0, len(data) - size + 1))
    data[at : at + size] = bytes(size)


def swap_blocks(data: bytearray, rng: np.random.Generator) -> None:
    size = min(len(data) // 3, int(rng.integers(16, 2048)))
    one, other = sorted(int(at) for at in rng.integers(0, len(data) - size, 2))
    first, second = data[one : one + size], data[other : other + size]
    data[one : one + size], data[other : other + size] = second, first


def edit_header(data: bytearray, rng: np.random.Generator) -> None:
    """Set whole fields at the start, or at the end, where mp4 keeps its tables."""
    reach = min(len(data) - 8, 1500)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, reach))
        at = at if rng.random() < 0.6 else len(data) - 8 - at
        value = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 65535]))
        data[at : at + 4] = struct.pack(">I", value)


def insert_bytes(data: bytearray, rng: np.random.Generator) -> None:
    at = int(rng.integers(0, len(data)))
    data[at:at] = rng.integers(0, 256, int(rng.integers(1, 300)), dtype=np.uint8).tobytes()


def remove_bytes(data: bytearray, rng: np.random.Generator) -> None:
    at = int(rng.integers(0, len(data)))
    del data[at : at + int(rng.integers(1, 2000))]


MUTATIONS: list[Callable[[bytearray, np.random.Generator], None]] = [
    *(flip_bits, truncate, zero_block, swap_blocks, edit_header, insert_bytes, remove_bytes),
]


@dataclass(frozen=True)
class Mutant:
    """A broken copy of the good file of a kind."""

    path: str
    kind: str
    mutation: str


def write_mutants(folder: Path, num_mutants: int, seed: int) -> list[Mutant]:
    mutants = []
    for number in range(num_mutants):
        kind = KINDS[number % len(KINDS)][0]
        mutate = MUTATIONS[number // len(KINDS) % len(MUTATIONS)]
        data = bytearray((folder / f"good-{kind}").read_bytes())
        mutate(data, np.random.default_rng([seed, number]))
        stem, suffix = kind.split(".")
        path = f"{number:05d}-{stem}-{mutate.__name__}.{suffix}"
        (folder / path).write_bytes(data)
        mutants.append(Mutant(path, kind, mutate.__name__))
    return mutants


def write_attacks(folder: Path) -> list[str]:
    """Files made to hurt; none of them may become a clip."""
    good = (folder / "good-h264.mp4").read_bytes()
    list_head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:4,\n"
    secret = folder / "good-h264.ts"
    texts = {
        "playlist-local.m3u8": f"{list_head}{secret}\n#EXT-X-ENDLIST\n",
        "playlist-local.mp4": f"{list_head}file://{secret}\n#EXT-X-ENDLIST\n",
        "playlist-url.mp4": f"{list_head}http://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        "concat.mp4": f"ffconcat version 1.0\nfile '{secret}'\n",
        "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "subtitle.mp4": "1\n00:00:01,000 --> 00:00:02,000\nhello\n",
        "metadata.mp4": ";FFMETADATA1\ntitle=x\n",
        "script.avs": 'DirectShowSource("good-h264.mp4")\n',
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "one-byte.mp4").write_bytes(b"\0")
    (folder / "giant-box.mp4").write_bytes(good[:32] + b"\xff\xff\xff\xffmoov" + bytes(4096))
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(1 << 16))
    write_sound(folder / "sound.wav")
    write_bomb(folder / "bomb.avi")
    write_endless(folder / "endless.mkv")
    outside = folder.parent / "outside.mp4"
    outside.write_bytes(good)
    (folder / "link-out.mp4").symlink_to(outside)
    (folder / "link-loop.mp4").symlink_to(folder / "link-loop.mp4")
    os.mkfifo(folder / "pipe.mp4")
    (folder / "folder.mp4").mkdir()
    names = [
        *("empty.mp4", "one-byte.mp4", "giant-box.mp4", "noise.mp4", "sound.wav", "bomb.avi"),
        *("endless.mkv", "link-out.mp4", "link-loop.mp4", "pipe.mp4", "folder.mp4", "absent.mp4"),
    ]
    return [*texts, *names]


def write_hostile_sounds(folder: Path) -> dict[str, set[str]]:
    """Good pictures beside tracks made to hurt, and what their clips may say of their sound."""
    write = partial(
        write_video, frames=scene(), codec="libx264", pixels="yuv420p", options={"g": "15"}
    )
    pcm = "pcm_s16le"
    write(folder / "rate-768k.mkv", sound_codec=pcm, rate=768_000)
    write(folder / "channels-8.mkv", sound_codec=pcm, layout="7.1")
    write(folder / "channels-16.mkv", sound_codec=pcm, layout="hexadecagonal")
    write(folder / "planes-8.mp4", sound_codec="aac", layout="7.1")
    write(folder / "planes-8.mkv", sound_codec="libopus", layout="7.1")
    write(folder / "planes-8.mov", sound_codec="alac", layout="7.1(wide)")
    for layout, tag in (("5.1", 124 << 16 | 6), ("7.1", 127 << 16 | 8)):
        path = folder / f"order-{layout}.mov"
        write(path, sound_codec=pcm, layout=layout)
        data = path.read_bytes()
        # An order of channels that FFmpeg keeps as a list: PyAV frees what it copies of that twice.
        place = data.index(b"chan") + 8
        path.write_bytes(data[:place] + tag.to_bytes(4, "big") + data[place + 4 :])
    write(folder / "long-sound.mkv", sound_codec="libopus", repeats=900)
    parts = [folder / f"codec-{name}.ts" for name in ("mp2", "aac")]
    for path in parts:
        write(path, sound_codec=path.stem.removeprefix("codec-"))
    (folder / "codec-change.ts").write_bytes(b"".join(path.read_bytes() for path in parts))
    return {
        "rate-768k.mkv": {"absent"},
        "channels-8.mkv": {"present"},
        "channels-16.mkv": {"absent"},
        "planes-8.mp4": {"present"},
        "planes-8.mkv": {"present"},
        "planes-8.mov": {"present"},
        "order-5.1.mov": {"present"},
        "order-7.1.mov": {"present"},
        "long-sound.mkv": {"present"},
        "codec-change.ts": {"present", "damaged"},
    }


def write_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_bomb(path: Path) -> None:
    """A few hundred kilobytes of frames of 12,000 by 12,000 pixels."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = 8000, 8000, "yuv420p", 1
        for number in range(2):
            frame = av.VideoFrame(8000, 8000, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_endless(path: Path) -> None:
    """Frames an hour apart, for a year."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE)
        for number in range(8760):
            frame = av.VideoFrame(64, 64, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([number % 256]) * plane.buffer_size)
            frame.pts, frame.time_base = number * 3600 * RATE, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_all(
    folder: Path, num_mutants: int, seed: int
) -> tuple[list[Mutant], list[str], dict[str, set[str]]]:
    """Write every file in a process of its own, since encoders leave threads behind."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_write_all, (folder, num_mutants, seed))


def _write_all(
    folder: Path, num_mutants: int, seed: int
) -> tuple[list[Mutant], list[str], dict[str, set[str]]]:
    for name, codec, pixels, encoding, sound_codec in KINDS:
        write_video(folder / f"good-{name}", scene(), codec, pixels, encoding, sound_codec)
    mutants = write_mutants(folder, num_mutants, seed)
    return mutants, write_attacks(folder), write_hostile_sounds(folder)


class PeakMemory(threading.Thread):
    """Watches the resident memory of this process's children."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb = 0.0
        self.done = threading.Event()

    def run(self) -> None:
        """Watch until `done` is set."""
        import psutil

        here = psutil.Process()
        while not self.done.wait(0.05):
            for child in here.children(recursive=True):
                try:
                    self.peak_mb = max(self.peak_mb, child.memory_info().rss / 2**20)
                except psutil.Error:
                    continue


def ingest_all(
    work: Path, folder: Path, num_workers: int, *, as_shown: bool = False
) -> tuple[Path, float, float]:
    """Run the stage; returns its output, wall seconds and the workers' peak memory in MB."""
    output = work / ("shown" if as_shown else "clips")
    cfg = app.compose(
        "ingest",
        *(f"paths.{key}={work / key}" for key in ("work", "footage", "synthetic")),
        *(f"collections=[{folder}]", "max_reject_rate=1.0", f"max_memory_mb={MAX_MEMORY_MB}"),
        *(f"timeout_s={TIMEOUT_S}", "max_cpu_s=60", "max_pixels=36000000"),
        *("run.executor=processes", f"run.num_workers={num_workers}", "run.progress=false"),
    )
    (work / "footage").mkdir(exist_ok=True)
    watch = PeakMemory()
    watch.start()
    start = time.monotonic()
    tombstones = forgotten(work / "footage")
    ingest([str(folder)], str(output), cfg, work / "work", cfg.run, tombstones, as_shown=as_shown)
    watch.done.set()
    watch.join()
    return output, time.monotonic() - start, watch.peak_mb


def report_shown(work: Path, folder: Path, num_workers: int, mutants: list[Mutant]) -> set[str]:
    """Tell how many mutants are scored; returns those that give pictures and are not."""
    output, _, _ = ingest_all(work, folder, num_workers, as_shown=True)
    rejects = {reject.path: reject for reject in manifest.read_rejects(output)}
    own = [mutant.path for mutant in mutants]
    lost = [rejects[path] for path in own if path in rejects]
    print(f"scored as shown: {len(own) - len(lost)} of {len(own)} mutants")
    print("the others:", dict(Counter(reject.reason for reject in lost).most_common()))
    gave_pictures = {"nothing_left", "damaged", "ends_early", "too_short", "still", "gap"}
    return {reject.path for reject in lost if reject.reason in gave_pictures}


def refuses_paths_out(work: Path) -> bool:
    """Whether an index that names a file outside its collection is refused."""
    folder = work / "climber"
    folder.mkdir()
    (work / "outside.mp4").write_bytes(b"x")
    write_index(folder, [row("../outside.mp4"), row("/etc/hostname")])
    try:
        ingest_all_of(work / "climbing", folder)
    except UserError:
        return True
    return False


def ingest_all_of(work: Path, folder: Path) -> None:
    work.mkdir()
    ingest_all(work, folder, 1)


def row(path: str) -> IndexRow:
    return IndexRow(path=path, origin="real", source="fuzz", discharge=False, licence="CC0-1.0")


def num_wrong(clips: list[Clip], output: Path, good: Frames) -> int:
    """How many clips show, somewhere, what the good file does not show at that time."""
    wrong = 0
    for clip in clips:
        frames = video.decode(shards.read_clip(output, clip)).astype(np.int16)
        start = round(clip.start_s * RATE)
        truth = good[start : start + len(frames)]
        if len(truth) < len(frames):
            wrong += 1
            continue
        wrong += np.abs(frames - truth).mean(axis=(1, 2, 3)).max() > WRONG_LEVELS
    return wrong


def report(
    files: dict[str, File], clips: dict[str, list[Clip]], output: Path, mutants: list[Mutant]
) -> None:
    good: dict[str, Frames] = {}
    usual: dict[str, int] = {}
    for kind, *_ in KINDS:
        own = sorted(clips[f"good-{kind}"], key=lambda clip: clip.start_s)
        shown = [video.decode(shards.read_clip(output, clip)) for clip in own]
        good[kind] = np.concatenate(shown).astype(np.int16)
        usual[kind] = len(own)
    fates: dict[str, Counter[str]] = defaultdict(Counter)
    num_silent_clips = num_clips = 0
    for mutant in mutants:
        file, own = files[mutant.path], clips.get(mutant.path, [])
        wrong = num_wrong(own, output, good[mutant.kind])
        is_marked = bool({"damaged", "ends_early"} & set(json.loads(file.marks)))
        num_clips += len(own)
        num_silent_clips += wrong
        if file.reject:
            fate = "rejected"
        elif wrong:
            fate = "marked, wrong clips left" if is_marked else "silently wrong"
        elif is_marked:
            fate = "marked, clips right"
        elif len(own) < usual[mutant.kind]:
            fate = "silently shorter"
        else:
            fate = "unharmed"
        fates[mutant.kind][fate] += 1
        fates[mutant.mutation][fate] += 1
        fates["all"][fate] += 1
    columns = [
        *("unharmed", "rejected", "marked, clips right", "marked, wrong clips left"),
        *("silently shorter", "silently wrong"),
    ]
    print(f"\n{'':14}" + "".join(f"{column:>26}" for column in columns))
    for name, counts in fates.items():
        print(f"{name:14}" + "".join(f"{counts[column]:26}" for column in columns))
    print(f"wrong clips in the output: {num_silent_clips} of {num_clips}")


def report_sounds(clips: dict[str, list[Clip]], output: Path, mutants: list[Mutant]) -> None:
    """Tell how many clips of mutants say of their sound what, and sound otherwise than they say."""
    good = {
        kind: {
            clip.start_s: read_sound(output, clip)
            for clip in clips[f"good-{kind}"]
            if clip.sound == "present"
        }
        for kind, *_ in KINDS
    }
    said: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant in mutants:
        for clip in clips.get(mutant.path, []):
            said[mutant.kind][clip.sound] += 1
            expected = good[mutant.kind].get(clip.start_s)
            samples = read_sound(output, clip)
            if clip.sound == "present" and samples is not None and expected is not None:
                apart = np.abs(samples.astype(np.float64) - expected).mean() / FULL_SCALE
                said[mutant.kind]["present, and not the good file's"] += int(apart > WRONG_SOUND)
    for kind, counts in said.items():
        print(f"sound of {kind:16} {dict(counts.most_common())}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=1008)
    parser.add_argument("--seed", type=int, default=11, help="of the mutations")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="work here, and leave everything")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        work = options.keep or Path(place)
        folder = work / COLLECTION
        folder.mkdir(parents=True)
        mutants, attacks, hostile = write_all(folder, options.mutants, options.seed)
        good = [f"good-{name}" for name, *_ in KINDS]
        names = [*good, *(mutant.path for mutant in mutants), *attacks, *hostile]
        write_index(folder, [row(name) for name in names])
        output, wall_s, peak_mb = ingest_all(work, folder, options.workers)
        files = {file.path: file for file in manifest.read_rows(output / manifest.FILES, File)}
        clips: dict[str, list[Clip]] = defaultdict(list)
        for clip in manifest.read_rows(output / manifest.MANIFEST, Clip):
            clips[clip.path].append(clip)
        rejects = {reject.path: reject for reject in manifest.read_rejects(output)}

        print(
            f"{len(names)} files in {wall_s:.0f} s, {len(clips)} with clips, {len(rejects)} rejects"
        )
        print("rejects:", dict(Counter(r.reason for r in rejects.values()).most_common()))
        hangs = [
            path for path, reject in rejects.items() if reject.reason in ("timeout", "cpu_time")
        ]
        hangs += [path for path, file in files.items() if "sound_over_limits" in file.marks]
        print(f"hangs: {len(hangs)} {hangs[:5]}")
        print(f"peak memory of a worker: {peak_mb:.0f} MB resident, limit {MAX_MEMORY_MB} MB")
        report(files, dict(clips), output, mutants)
        report_sounds(dict(clips), output, mutants)
        for name in hostile:
            said = sorted({clip.sound for clip in clips[name]})
            print(f"  {name:22} {said} {files[name].marks}")
        for name in attacks:
            fate = (
                f"{rejects[name].reason}: {rejects[name].detail[:70]}" if name in rejects else "?"
            )
            print(f"  {name:22} {fate}")
        faults = {
            "shown and not scored": report_shown(work, folder, options.workers, mutants),
            "neither clips nor reject": set(names) - clips.keys() - rejects.keys(),
            "clips and reject": clips.keys() & rejects.keys(),
            "not in files": set(names) ^ files.keys(),
            "attack that got through": set(attacks) & clips.keys(),
            "alarm on a good file": {
                name
                for name in good
                if name in rejects or {"damaged", "ends_early"} & set(json.loads(files[name].marks))
            },
            "sound that a good file lacks": {
                f"good-{kind}"
                for kind, *_, codec in KINDS
                if {clip.sound for clip in clips[f"good-{kind}"]}
                != {"present" if codec else "absent"}
            },
            "hostile track that cost clips or passes for another": {
                name
                for name, may_say in hostile.items()
                if not clips[name] or not {clip.sound for clip in clips[name]} <= may_say
            },
            "unforeseen": {
                path for path, reject in rejects.items() if reject.reason == "unforeseen"
            },
            "hang": set(hangs),
            "memory over the limit": {f"{peak_mb:.0f} MB"} if peak_mb > MAX_MEMORY_MB else set(),
            "paths out of the collection": set() if refuses_paths_out(work) else {"../outside.mp4"},
        }
        found = {fault: sorted(which)[:5] for fault, which in faults.items() if which}
        print("faults:", found or "none")
        sys.exit(bool(found))


if __name__ == "__main__":
    main()
