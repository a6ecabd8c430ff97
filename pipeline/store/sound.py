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

from pipeline.errors import UserError
from pipeline.store import shards
from pipeline.store.manifest import PRESENT, QUIET, SILENT, Clip
from pipeline.store.pcm import FULL_SCALE

SOUND_HZ = 24_000
"""Samples a second."""

QUIET_RMS = 10 ** (-70 / 20)
"""Level, as a share of full scale, below which sound tells next to nothing."""

Samples = NDArray[np.int16]
_SAMPLES_A_FRAME = 4096
_ABOUT = slice(8, 42)
"""Bytes of FLAC's STREAMINFO, which tells format and length, in a file of one."""


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
    # Players would write tags into the padding; a clip has none.
    options = {"fflags": "+bitexact", "metadata_header_padding": "0"}
    with av.open(buffer, "w", format="flac", options=options) as container:
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
    """Decode what `encode` wrote to int16 (n,).

    Raises:
        ValueError: a byte of it is another than was written.
    """
    import av

    about = data[_ABOUT]
    start = _first_frame(data)
    if data[:4] != b"fLaC" or len(about) < _ABOUT.stop - _ABOUT.start or start >= len(data):
        raise ValueError("cannot be decoded (no FLAC)")
    decoder = av.CodecContext.create("flac", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.extradata = about
    # Without, a byte that changed would be a click that nobody wrote.
    decoder.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
    try:
        # All frames at once, since a decoder knows where each ends. A demuxer looks for where the
        # next begins, and takes what happens to look like it amid the samples of one in thousands.
        frames = [frame.to_ndarray()[0] for frame in decoder.decode(av.Packet(data[start:]))]
        frames += [frame.to_ndarray()[0] for frame in decoder.decode(None)]
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f"cannot be decoded ({error})") from error
    samples = np.concatenate(frames or [np.zeros(0, np.int16)]).astype(np.int16, copy=False)
    num_written = int.from_bytes(about[13:18], "big") & (1 << 36) - 1
    if samples.size != num_written:
        raise ValueError(f"cannot be decoded ({samples.size} samples of {num_written})")
    return samples


def _first_frame(data: bytes) -> int:
    """Return where the blocks that tell about a FLAC file end, and its frames begin."""
    start, is_last = 4, False
    while not is_last and start + 4 <= len(data):
        is_last = bool(data[start] & 0x80)
        start += 4 + int.from_bytes(data[start + 1 : start + 4], "big")
    return start


def told_by_level(samples: Samples) -> str:
    """One of `manifest.PRESENCES` that the level of int16 (n,) tells: silent, quiet or present."""
    if not samples.any():
        return SILENT
    mean_square = float(np.mean(np.square(samples.astype(np.float64))))
    return QUIET if mean_square < (QUIET_RMS * FULL_SCALE) ** 2 else PRESENT


def read_sound(folder: Path, clip: Clip) -> Samples | None:
    """Read the sound of a clip as int16 (n,) at `SOUND_HZ`; None where every sample is zero.

    Raises:
        UserError: the shard is missing, ends before the sound does, or holds other bytes.
    """
    if not clip.sound_size:
        return None
    try:
        return decode(shards.read_flac(folder, clip))
    except ValueError as error:
        raise UserError(
            f"{folder / clip.shard}: the sound of clip {clip.clip_id} {error}; "
            "run dvc checkout or dvc repro"
        ) from error
