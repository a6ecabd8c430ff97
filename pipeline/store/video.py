"""Canonical clips, and files with sound: writing them with x264, and reading clips again.

Encoding is byte-deterministic: one thread, a fixed group of pictures, no macroblock tree (its
look-ahead state is uninitialised in x264) and a bit-exact container. What we encoded is read with
decord, or with PyAV where decord has no wheel, which gives the same pixels; `foreign` reads what
comes from outside.
"""

from __future__ import annotations

import io
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

Frames = NDArray[np.uint8]
_SAMPLE_FORMATS = {"aac": "fltp", "libmp3lame": "fltp", "libopus": "flt"}
READER = "av" if find_spec("decord") is None else "decord"
"""The package that canonical clips are read with."""


@dataclass(frozen=True)
class SoundTrack:
    """Sound to be encoded beside pictures, which begins with them."""

    samples: NDArray[np.float32]
    """float32 (channels, N) in -1 to 1, of one or two channels, N at least 1."""
    rate_hz: int
    codec: str
    """FFmpeg's name of the encoder, of a codec that mp4 holds."""
    kbit_s: int
    """Mean bit rate of all channels."""


def encode(
    frames: Frames,
    fps: float,
    *,
    crf: int = 18,
    kbit_s: int | None = None,
    keyint: int = 16,
    track: SoundTrack | None = None,
) -> bytes:
    """Encode to H.264 in mp4, the same bytes for the same input always.

    Args:
        frames: uint8 (T, H, W, 3) RGB with even H and W.
        fps: frames per second.
        crf: x264 constant rate factor, 0 (lossless) to 51.
        kbit_s: mean bit rate to hold instead of a quality, as a platform does.
        keyint: distance of key frames in frames.
        track: the sound; the pictures are encoded as without it.
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
        control = {"crf": crf}
        if kbit_s is not None:
            most, held = 3 * kbit_s // 2, 2 * kbit_s
            control = {"bitrate": kbit_s, "vbv-maxrate": most, "vbv-bufsize": held}
        parameters = {"threads": 1, "mbtree": 0, "keyint": keyint, "scenecut": 0} | control
        stream.options = {
            "x264-params": ":".join(f"{name}={value}" for name, value in parameters.items())
        }
        heard = deque(() if track is None else _packets_of_sound(container, track))
        for packet in _packets_of_pictures(stream, frames, rate):
            # What is played together lies together, for readers that cannot seek.
            while heard and _time(heard[0]) <= _time(packet):
                container.mux(heard.popleft())
            container.mux(packet)
        container.mux(heard)
    return buffer.getvalue()


def _time(packet: Any) -> Fraction:
    return Fraction(packet.dts * packet.time_base)


def _packets_of_pictures(stream: Any, frames: Frames, rate: Fraction) -> Iterator[Any]:
    import av

    for number, image in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = number, 1 / rate
        yield from stream.encode(frame)
    yield from stream.encode()


def _packets_of_sound(container: Any, track: SoundTrack) -> list[Any]:
    """Add a stream to a container that has written nothing yet, and encode the sound for it."""
    import av

    num_channels, num_samples = track.samples.shape
    layout = {1: "mono", 2: "stereo"}[num_channels]
    stream = container.add_stream(track.codec, rate=track.rate_hz, layout=layout)
    context = stream.codec_context
    context.thread_count, context.bit_rate = 1, 1000 * track.kbit_s
    context.flags |= av.codec.context.Flags.bitexact
    context.format = _SAMPLE_FORMATS[track.codec]
    context.time_base = Fraction(1, track.rate_hz)
    context.open()
    packets = []
    for start in range(0, num_samples, context.frame_size):
        samples = np.ascontiguousarray(track.samples[:, start : start + context.frame_size])
        if not context.format.is_planar:
            samples = samples.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format=context.format.name, layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = track.rate_hz, start, context.time_base
        packets += stream.encode(frame)
    return [*packets, *stream.encode()]


def decode(data: bytes) -> Frames:
    """Decode a clip that `encode` wrote to uint8 (T, H, W, 3) RGB."""
    if READER == "av":
        _tell_of_pyav()
        return _decode_with_pyav(data)
    import decord

    reader = decord.VideoReader(io.BytesIO(data), num_threads=1)
    return np.asarray(reader.get_batch(range(len(reader))).asnumpy())


def _decode_with_pyav(data: bytes) -> Frames:
    import av
    from av.video.reformatter import VideoReformatter

    # One for all frames, since to make one costs more than to convert a small frame.
    reformatter = VideoReformatter()
    with av.open(io.BytesIO(data), "r") as container:
        return np.stack(
            [
                reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
                for frame in container.decode(video=0)
            ]
        )


@cache
def _tell_of_pyav() -> None:
    """Say once in a process what reads the clips."""
    log.warning(
        "video: decord, which has wheels for x86-64 alone, is not installed; PyAV reads the clips, "
        "with the same pixels"
    )
