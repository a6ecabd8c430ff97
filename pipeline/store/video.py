"""Canonical clips: writing them with x264 and reading them again.

Encoding is byte-deterministic: one thread, a fixed group of pictures, no macroblock tree (its
look-ahead state is uninitialised in x264) and a bit-exact container. What we encoded is read with
decord, the fastest reader of such clips, or with PyAV where decord has no wheel, which gives the
same pixels; `foreign` reads what comes from outside.
"""

from __future__ import annotations

import io
import logging
from fractions import Fraction
from functools import cache
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

Frames = NDArray[np.uint8]
READER = "av" if find_spec("decord") is None else "decord"
"""The package that canonical clips are read with."""


def encode(
    frames: Frames, fps: float, *, crf: int = 18, kbit_s: int | None = None, keyint: int = 16
) -> bytes:
    """Encode to H.264 in mp4, the same bytes for the same input always.

    Args:
        frames: uint8 (T, H, W, 3) RGB with even H and W.
        fps: frames per second.
        crf: x264 constant rate factor, 0 (lossless) to 51.
        kbit_s: mean bit rate to hold instead of a quality, as a platform does.
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
        control = {"crf": crf}
        if kbit_s is not None:
            most, held = 3 * kbit_s // 2, 2 * kbit_s
            control = {"bitrate": kbit_s, "vbv-maxrate": most, "vbv-bufsize": held}
        parameters = {"threads": 1, "mbtree": 0, "keyint": keyint, "scenecut": 0} | control
        stream.options = {
            "x264-params": ":".join(f"{name}={value}" for name, value in parameters.items())
        }
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


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

    with av.open(io.BytesIO(data), "r") as container:
        return np.stack(
            [
                np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                for frame in container.decode(video=0)
            ]
        )


@cache
def _tell_of_pyav() -> None:
    """Say once in a process why reading is slow."""
    log.warning(
        "video: decord, which has wheels for x86-64 alone, is not installed; PyAV reads the clips, "
        "with the same pixels but more slowly"
    )
