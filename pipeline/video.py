"""Codecs: reading foreign video with PyAV, writing and re-reading canonical clips.

Encoding is byte-deterministic: one thread, a fixed group of pictures, no macroblock tree (its
look-ahead state is uninitialised in x264) and a bit-exact container. Decoding foreign files uses
PyAV, whose frame times are exact; clips that we encoded are re-read with decord, the fastest.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]

_FORMATS_THAT_OPEN_OTHER_FILES = {"hls", "concat", "dash", "image2", "imf"}


class DecodeError(Exception):
    """A foreign file cannot be decoded; `reason` is a short code, the text says what happened."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Limits:
    """What a foreign file may cost: pixels of one frame, and length in seconds."""

    max_pixels: int
    max_duration_s: float


def encode(frames: Frames, fps: float, *, crf: int = 18, keyint: int = 16) -> bytes:
    """Encode to H.264 in mp4, the same bytes for the same input always.

    Args:
        frames: uint8 (T, H, W, 3) RGB with even H and W.
        fps: frames per second.
        crf: x264 constant rate factor, 0 (lossless) to 51.
        keyint: distance of key frames in frames.
    """
    import av

    num_frames, height, width, channels = frames.shape
    assert frames.dtype == np.uint8 and channels == 3 and num_frames > 0
    assert height % 2 == 0 and width % 2 == 0, f"odd frame size {width}x{height}"
    rate = Fraction(fps).limit_denominator(1001)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        stream.options = {
            "crf": str(crf),
            "x264-params": f"threads=1:mbtree=0:keyint={keyint}:scenecut=0",
        }
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def decode(data: bytes) -> Frames:
    """Decode a clip that `encode` wrote to uint8 (T, H, W, 3) RGB."""
    import decord

    reader = decord.VideoReader(io.BytesIO(data), num_threads=1)
    return np.asarray(reader.get_batch(range(len(reader))).asnumpy())


def resample(path: Path, fps: float, size: int, limits: Limits) -> Iterator[Frames]:
    """Yield the frames on screen at times 0, 1/fps, 2/fps … of a foreign video.

    Times come from timestamps, so variable frame rates keep their pace; rotation metadata and
    pixel aspect ratio are applied; the centre square is scaled to `size`.

    Yields:
        uint8 (size, size, 3) RGB.

    Raises:
        DecodeError: not a video, broken, or over `limits`.
    """
    next_index = 0
    for frame, aspect, end_s in _shown(path, limits):
        square: Frames | None = None
        while next_index / fps < end_s - 1e-6:
            if square is None:
                square = _centre_square(frame, aspect, size, limits)
            yield square
            next_index += 1


def _shown(path: Path, limits: Limits) -> Iterator[tuple[Any, float, float]]:
    """Decoded frames, their pixel aspect ratio, and when in seconds the next frame shows."""
    shown, shown_s, step_s, aspect = None, 0.0, 0.0, 1.0
    for frame, aspect, time_s in _decoded(path, limits):
        if shown is not None:
            if time_s <= shown_s:
                continue
            step_s = time_s - shown_s
            yield shown, aspect, time_s
        shown, shown_s = frame, time_s
    if shown is None:
        raise DecodeError("no_frames", "the video stream holds no frame that can be decoded")
    yield shown, aspect, shown_s + (step_s or 1e-3)


def _decoded(path: Path, limits: Limits) -> Iterator[tuple[Any, float, float]]:
    """Every frame of the first video stream, its pixel aspect ratio, its time in seconds."""
    import av

    try:
        # The option keeps demuxers from following a playlist to other files or to the network.
        with av.open(str(path), options={"protocol_whitelist": "file"}) as container:
            if container.format.name in _FORMATS_THAT_OPEN_OTHER_FILES:
                raise DecodeError("playlist", f"{container.format.name} can open other files")
            if not container.streams.video:
                raise DecodeError("no_video", "the file holds no video stream")
            stream = container.streams.video[0]
            stream.thread_count = 1
            if stream.width * stream.height > limits.max_pixels:
                raise DecodeError("too_large", f"{stream.width}x{stream.height} pixels a frame")
            rate = float(stream.average_rate or 25)
            aspect = float(stream.sample_aspect_ratio or 1)
            first_s: float | None = None
            for number, frame in enumerate(container.decode(stream)):
                if frame.is_corrupt:
                    raise DecodeError("corrupt_frame", f"frame {number} is corrupt")
                at_s = frame.time if frame.time is not None else number / rate
                first_s = at_s if first_s is None else first_s
                if at_s - first_s > limits.max_duration_s:
                    raise DecodeError("too_long", f"runs past {limits.max_duration_s:g} s")
                yield frame, aspect, at_s - first_s
    except MemoryError:
        raise
    # Besides its own errors, PyAV raises all of these on hostile files.
    except (
        av.FFmpegError,
        OSError,
        ValueError,
        AttributeError,
        IndexError,
        EOFError,
        RuntimeError,
    ) as error:
        raise DecodeError("decode_error", f"{type(error).__name__}: {error}") from error


def _centre_square(frame: Any, aspect: float, size: int, limits: Limits) -> Frames:
    """Scale a frame so that its shorter side, in square pixels, is `size`; cut out the centre."""
    shown_width = frame.width * aspect
    scale = size / min(shown_width, frame.height)
    width = max(size, round(shown_width * scale))
    height = max(size, round(frame.height * scale))
    if width * height > limits.max_pixels:
        raise DecodeError("too_large", f"pixels {aspect:g} times as wide as high")
    image = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
    image = np.rot90(image, k=round(frame.rotation / 90) % 4)
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return np.ascontiguousarray(image[top : top + size, left : left + size])
