"""Many small files that a script makes: each its own scene, some of equal bytes, some hostile."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pipeline.store import video

_SIDES = (64, 80, 96, 112, 128)
_RATE_HZ = 16_000
_COPY_EVERY, _COPIED_BEFORE = 50, 40


def make_files(folder: Path, number: int) -> list[Path]:
    """Files of a second or two; one in 50 has the bytes of another one. Those there are stay."""
    folder.mkdir(exist_ok=True)
    made = [folder / f"{count:06d}.mp4" for count in range(number)]
    for count, path in enumerate(made):
        if path.is_file():
            continue
        is_copy = count % _COPY_EVERY == _COPY_EVERY - 1
        data = made[count - _COPIED_BEFORE].read_bytes() if is_copy else make_scene(count)
        # A file that is there is whole.
        partial = path.with_suffix(".part")
        partial.write_bytes(data)
        partial.rename(path)
    return made


def num_copies(number: int) -> int:
    """Of so many files, those that have the bytes of an earlier one."""
    return number // _COPY_EVERY


def make_scene(seed: int) -> bytes:
    """Something crosses a slope of colours; one in 20 flashes, one in 5 sounds, one in 40 bangs."""
    rng = np.random.default_rng(seed)
    width, height = (int(rng.choice(_SIDES)) for _ in range(2))
    rate, seconds = 15 if seed % 3 == 0 else 8, 2 if seed % 20 == 7 else 1
    corners = rng.uniform(20, 180, (4, 3))
    down, right = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    top, bottom = (corners[n] * (1 - right) + corners[n + 1] * right for n in (0, 2))
    slope = (top * (1 - down) + bottom * down).astype(np.uint8)
    frames = np.repeat(slope[None], rate * seconds, 0)
    colour = (corners.mean(0) + rng.uniform(-30, 30, 3)).clip(0, 255).astype(np.uint8)
    start, pace = rng.uniform(0, 0.4, 2), rng.uniform(0.2, 0.5, 2)
    for number, frame in enumerate(frames):
        place = start + pace * number / rate
        y, x = int(place[0] * height), int(place[1] * width)
        frame[y : y + height // 5, x : x + width // 5] = colour
    if seed % 20 == 0:
        frames[rate // 2, height // 3 : height // 2, width // 3 : width // 2] = 255
    if seed % 5:
        return _encoded(frames, rate)
    noise = rng.normal(0, 0.01, (1, _RATE_HZ * seconds)).astype(np.float32)
    if seed % 40 == 0:
        fading = np.exp(-np.arange(3_000) / 600)
        noise[:, 7_500:10_500] += (rng.normal(0, 0.6, 3_000) * fading).astype(np.float32)
    return video.encode(frames, rate, track=video.SoundTrack(noise, _RATE_HZ, "aac", 48))


def _encoded(frames: video.Frames, rate: int) -> bytes:
    """A file of MPEG-4, for a fifth of what H.264 takes."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.thread_count = "yuv420p", 1
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def make_hostile(folder: Path, good: Sequence[Path], number: int) -> list[Path]:
    """Files that are broken, are something else, or would harm a reader, in ten ways in turn.

    Args:
        folder: for them.
        good: what `make_files` made, of which those with sound are harmed.
        number: how many.
    """
    rng = random.Random(1)
    made, whole = [], good[::5]
    for count in range(number):
        data = bytearray(whole[count % len(whole)].read_bytes())
        kind = count % 10
        if kind == 0:
            data = data[: rng.randrange(len(data))]
        elif kind == 1:
            for _ in range(200):
                data[rng.randrange(len(data))] = rng.randrange(256)
        elif kind == 2:
            data[4:8] = rng.randbytes(4)
        elif kind == 3:
            data = bytearray(rng.randbytes(rng.randrange(1, 50_000)))
        elif kind == 4:
            data = bytearray(struct.pack(">I4s", 2**31, b"moov") + bytes(data[8:]))
        elif kind == 5:
            place = data.find(b"avcC")
            data[place : place + 40] = rng.randbytes(40)
        elif kind == 6:
            data = bytearray(b"#EXTM3U\nfile:///etc/passwd\nhttp://127.0.0.1/x%d\n" % count)
        elif kind == 7:
            data = bytearray(b"<html>%d</html>" % count) * rng.randrange(1, 999)
        elif kind == 8:
            place = data.find(b"stts")
            data[place : place + 24] = b"stts" + b"\xff" * 20
        else:
            data = bytearray(count * 4096)
        made.append(folder / f"hostile-{count:04d}.mp4")
        made[-1].write_bytes(bytes(data))
    return made
