"""Fingerprints of a whole file that others exchange too: PDQ of its pictures, Chromaprint of sound.

They are of what a player shows, bars and all, whatever becomes of it as clips.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.copies import chromaprint
from pipeline.copies.fingerprint import pdq
from pipeline.footage import foreign, pictures, stretches
from pipeline.footage.foreign.mixing import Heard
from pipeline.footage.stretches import ContiguousSound

LONGEST_SIDE = 1024
"""Larger pictures are halved until no side is longer, before they are hashed. On public videos that
moved 5 bits of 256 on average and 8 at most, and took a fifth of the time."""

# Sound is hashed in pieces of so many samples, once a quarter of a second more is known.
_PIECE = 10 * chromaprint.RATE_HZ
_KNOWN_AHEAD = chromaprint.RATE_HZ // 4


@dataclass(frozen=True)
class TimedPrint:
    """The fingerprint of one picture of a file.

    Attributes:
        time_s: when it is on the screen, by a player's clock.
        after_cut: it is the first one after a cut.
        pdq: 64 hexadecimal digits, as PDQ's tools print them.
        quality: PDQ's, 0 (flat) to 100; of a hash below 50 the industry makes no use.
    """

    time_s: float
    after_cut: bool
    pdq: str
    quality: int


class FramePrinter:
    """Hashes the pictures of one file: the first of each second, and the first after each cut."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._next_s = 0.0
        self._scale = pictures.Scaler()
        self._last: tuple[int, str, int] | None = None
        self.prints: list[TimedPrint] = []

    def see(self, picture: foreign.ScreenFrame, *, after_cut: bool) -> None:
        """Look at the next picture on the grid; a damaged one is nobody's fingerprint."""
        time_s = picture.index / self._fps
        if picture.damaged or not (after_cut or time_s >= self._next_s):
            return
        if self._last is None or self._last[0] != picture.number:
            self._last = picture.number, *self._hashed(picture)
        _, text, quality = self._last
        self.prints.append(TimedPrint(time_s, after_cut, text, quality))
        if time_s >= self._next_s:
            self._next_s = time_s // 1 + 1

    def _hashed(self, picture: foreign.ScreenFrame) -> tuple[str, int]:
        frame = picture.frame
        with foreign.refusing():
            whole = (0, 0, frame.width, frame.height)
            hashes, quality = hashed(frame, whole, self._scale)
        return hashes[0].tobytes().hex(), quality


def hashed(frame: Any, box: pictures.Box, scale: pictures.Scaler) -> tuple[NDArray[np.uint8], int]:
    """PDQ of what a frame shows in a box, uint8 (2, 32) with its mirror image, and its quality."""
    _, _, width, height = box
    while max(width, height) > LONGEST_SIDE:
        width, height = max(1, width // 2), max(1, height // 2)
    pixels = scale.convert(frame, box, width, height)
    hashes, quality = pdq(pictures.orientation(frame).show(pixels[None]))
    return hashes[0], int(quality[0])


@dataclass(frozen=True)
class TrackPrints:
    """Holds the fingerprint of a track.

    Attributes:
        items: uint32 (n,), of Chromaprint, as others make them.
        narrow_items: uint32 (n,), of the notes between `chromaprint.NARROW_HZ` alone.
        start_s: when the first of each begins, by a player's clock.
    """

    items: NDArray[np.uint32]
    narrow_items: NDArray[np.uint32]
    start_s: float


class TrackPrinter:
    """Makes the fingerprint of a track from its samples as they pass."""

    def __init__(self, end_s: float, *, of_mean: bool) -> None:
        """Start on a track.

        Args:
            end_s: no more is read than what begins before it.
            of_mean: listen to the mean of its channels throughout, as `fpcalc` does.
        """
        self._end = round(end_s * chromaprint.RATE_HZ)
        self._of_mean = of_mean
        self._stretches: list[ContiguousSound] = []
        self._start: int | None = None
        self._done = 0
        self._printer = chromaprint.Chromaprint()

    def passing(self, heard: Iterator[Heard]) -> Iterator[Heard]:
        """Hand on what is heard, up to the end."""
        for one in heard:
            if one.start_s * chromaprint.RATE_HZ >= self._end:
                return
            taken = one.of_mean() if self._of_mean else one
            stretches.append(self._stretches, taken, chromaprint.RATE_HZ)
            if self._start is None:
                self._start = self._done = self._stretches[0].origin
            while self._stretches[-1].end - _KNOWN_AHEAD >= self._done + _PIECE:
                self._take(self._done + _PIECE)
            yield one

    @property
    def heard_until_s(self) -> float:
        """Give when what was heard so far ends, by a player's clock; 0 where nothing was heard."""
        return max((one.end for one in self._stretches), default=0) / chromaprint.RATE_HZ

    def finish(self) -> TrackPrints | None:
        """The fingerprint of all that was heard; None where nothing was."""
        if self._start is None:
            return None
        end = min(self._end, self._stretches[-1].end)
        while self._done < end:
            self._take(min(self._done + _PIECE, end))
        start_s = self._start / chromaprint.RATE_HZ
        return TrackPrints(self._printer.items(), self._printer.narrow_items(), start_s)

    def _take(self, stop: int) -> None:
        values, _ = stretches.overlaid(self._stretches, self._done, stop)
        self._printer.add(values)
        self._done = stop
        for stretch in self._stretches:
            stretch.forget(stop)
        self._stretches = [one for one in self._stretches if one.held] or self._stretches[-1:]
