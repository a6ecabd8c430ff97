"""What an engine hands over: frames with their truth, in a file format that tells nothing."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.engines import tracks
from pipeline.engines.tracks import TrackFormat
from pipeline.errors import UserError

SOUND_HZ = tracks.SOUND_HZ
"""Samples a second of what an engine hands over, before the file's own rate is drawn."""

_ASPECTS = ((16, 9), (4, 3), (16, 10), (5, 4))
_ASPECT_ODDS = (0.5, 0.25, 0.15, 0.1)
# So small a file stands for an upload of many more pixels, whose own losses scaling down hides.
_BITS_PER_PIXEL = (0.05, 1.0)
_KEYINTS = (15, 30, 60, 120)
# Powers of the one number whose multiples fill five dimensions most evenly: g ** 6 = g + 1.
_STEPS = 1.1347241384015194 ** -np.arange(1.0, 6.0)


@dataclass(frozen=True)
class VideoFormat:
    """Size, rate and encoding of one file."""

    width: int
    height: int
    fps: float
    kbit_s: int
    """Mean bit rate of the file's own H.264, which devices and platforms hold, not a quality."""
    keyint: int
    track: TrackFormat | None = None
    """Of the file's sound; None for a file without a track."""

    def num_frames(self, duration_s: float) -> int:
        """Whole frames of a duration, the same for every engine and appearance."""
        # The nudge keeps 4.4 s at 25 frames a second, 110.00000000000001 or so, whole.
        return int(duration_s * self.fps + 1e-6)

    def num_samples(self, num_frames: int) -> int:
        """Samples of sound at `SOUND_HZ` that last as long as frames."""
        return round(num_frames * SOUND_HZ / self.fps)


def draw_format(
    seed: int, index: int, engine: str, heights: Sequence[int], rates_fps: Sequence[float]
) -> VideoFormat:
    """Draw the format of the files of a recording.

    Every engine draws from this one distribution, and the appearances of twins share a draw, so
    that neither container nor index tells origin or class. Recordings are few, so the draws are
    spread evenly over it (a Kronecker sequence; Roberts, 2018), or chance would tie a format to
    an origin.

    Raises:
        UserError: a height that cannot be encoded.
    """
    odd = [height for height in heights if height % 2]
    if odd:
        raise UserError(
            f"conf/synthesize.yaml: heights={list(heights)}: H.264 needs even sides; "
            f"change {odd[0]}"
        )
    offsets = np.random.default_rng([seed, zlib.crc32(engine.encode())]).random(len(_STEPS))
    aspect, height, rate, bits, keyint = (offsets + index * _STEPS) % 1
    across, down = _ASPECTS[int(np.searchsorted(np.cumsum(_ASPECT_ODDS[:-1]), aspect, "right"))]
    tall = heights[int(height * len(heights))]
    wide = round(tall * across / down / 2) * 2
    fps = float(rates_fps[int(rate * len(rates_fps))])
    low, high = np.log(_BITS_PER_PIXEL)
    return VideoFormat(
        width=wide,
        height=tall,
        fps=fps,
        kbit_s=max(1, round(np.exp(low + bits * (high - low)) * wide * tall * fps / 1000)),
        keyint=_KEYINTS[int(keyint * len(_KEYINTS))],
        track=tracks.draw_track(seed, index, engine),
    )


@dataclass(frozen=True)
class Recorded:
    """What the index of a collection says of one of its files."""

    name: str
    """File stem, unique in its collection."""
    origin: str
    source: str
    recording: str
    discharges_s: tuple[float, ...]
    """Start times in seconds of every discharge within the file, from the engine's own truth."""
    viewpoint: str
    licence: str
    authority: str
    notes: str
    heard_s: tuple[float, ...] = field(default=(), kw_only=True)
    """Times in seconds at which discharges are heard that nobody sees."""
    rendered: bool = field(default=False, kw_only=True)
    """As the index of a collection has it."""


@dataclass(frozen=True)
class Take(Recorded):
    """One file of a synthetic collection, before encoding."""

    frames: NDArray[np.uint8]
    """uint8 (T, H, W, 3) RGB of the format's size."""
    format: VideoFormat
    sound: NDArray[np.int16] | None = None
    """int16 (N,) mono at `SOUND_HZ`, as long as the frames to the nearest sample; None for none."""


@dataclass(frozen=True)
class Original(Recorded):
    """One file that a collection takes as it was found."""

    suffix: str
    """The end of its file name, with the dot."""
    content: bytes


class UnusableDraw(Exception):
    """A draw that cannot be used; the text is a short reason code."""
