"""Canonical sound: 24 kHz mono int16, kept as FLAC, which loses nothing.

24 kHz, since 1/15 s is 1,600 samples exactly. Encoding is byte-deterministic: one thread, one
level of compression and a bit-exact container.
"""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.store import shards
from pipeline.store.manifest import PRESENT, QUIET, SILENT, Clip

SOUND_HZ = 24_000
"""Samples a second."""

QUIET_RMS = 10 ** (-70 / 20)
"""Of full scale; what is below it tells next to nothing."""

Samples = NDArray[np.int16]
_SAMPLES_A_FRAME = 4096


def num_samples(num_frames: int, fps: float) -> int:
    """Samples that last as long as `num_frames` pictures of `fps`, to the nearest one."""
    return round(num_frames * SOUND_HZ / fps)


def encode(samples: Samples) -> bytes:
    """Encode to FLAC, the same bytes for the same input always.

    Args:
        samples: int16 (n,) at `SOUND_HZ`, n at least 1.
    """
    import av

    assert samples.dtype == np.int16 and samples.ndim == 1 and samples.size > 0, samples.shape
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("flac", rate=SOUND_HZ, layout="mono", format="s16")
        stream.codec_context.thread_count = 1
        stream.options = {"compression_level": "5", "frame_size": str(_SAMPLES_A_FRAME)}
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for start in range(0, samples.size, _SAMPLES_A_FRAME):
            chunk = np.ascontiguousarray(samples[None, start : start + _SAMPLES_A_FRAME])
            frame = av.AudioFrame.from_ndarray(chunk, format="s16", layout="mono")
            frame.sample_rate, frame.pts = SOUND_HZ, start
            frame.time_base = Fraction(1, SOUND_HZ)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def decode(data: bytes) -> Samples:
    """Decode what `encode` wrote to int16 (n,)."""
    import av

    with av.open(io.BytesIO(data), "r") as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(frames).astype(np.int16, copy=False)


def told_by_level(samples: Samples) -> str:
    """One of `manifest.PRESENCES` that the level of int16 (n,) tells: silent, quiet or present."""
    if not samples.any():
        return SILENT
    mean_square = float(np.mean(np.square(samples.astype(np.float64))))
    return QUIET if mean_square < (QUIET_RMS * 2**15) ** 2 else PRESENT


def read_sound(folder: Path, clip: Clip) -> Samples | None:
    """Read the sound of a clip as int16 (n,) at `SOUND_HZ`; None where every sample is zero.

    Raises:
        UserError: the shard is missing or ends before the sound does.
    """
    if not clip.sound_size:
        return None
    return decode(shards.read_flac(folder, clip))
