"""One foreign file to canonical clips: decode, divide at cuts, crop bars, scale, encode, hash.

Streams: besides the finished clips, no more frames are held than a clip and the look-ahead for
cuts have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import fingerprint, foreign, pictures, scenes, video
from pipeline.config import ClipFormat
from pipeline.pictures import Box


@dataclass(frozen=True)
class Window:
    """One canonical clip.

    Attributes:
        start_frame: of its first frame, on the grid of times 1/fps.
        mp4: the clip.
        pixels_sha256: of its uint8 (T, H, W, 3) RGB frames before they were encoded.
        fingerprint: `fingerprint.fingerprint` of them.
        box: left, top, width, height of what it shows, in displayed pixels of the source.
    """

    start_frame: int
    mp4: bytes
    pixels_sha256: str
    fingerprint: NDArray[np.uint8]
    box: Box


@dataclass(frozen=True)
class Dropped:
    """A stretch of a file that became no clip, and why.

    Reasons: "black" (or all of one colour), "still" (nothing moves), "damaged", "ends_early" (the
    last clip of a file that was cut off), "too_short" (the rest of a scene), "gap" (no frames).
    """

    start_s: float
    end_s: float
    reason: str


@dataclass(frozen=True)
class Canonical:
    """What one file was and what it became.

    Attributes:
        sha256, num_bytes: of the file.
        width, height: stored pixels, before rotation and pixel aspect ratio.
        marks: sorted codes of what is unusual, as in `foreign.Video`.
        cuts_s: times of the first frames after cuts.
    """

    sha256: str
    num_bytes: int
    container: str
    codec: str
    pixel_format: str
    width: int
    height: int
    fps: float | None
    duration_s: float
    marks: tuple[str, ...]
    cuts_s: tuple[float, ...]
    dropped: tuple[Dropped, ...]
    windows: tuple[Window, ...]


def canonicalise(
    path: Path, clip: ClipFormat, stride_frames: int, limits: foreign.Limits
) -> Canonical:
    """Make the canonical clips of a file.

    Raises:
        foreign.DecodeError: it gives no pictures, or is over `limits`.
    """
    # To open a pipe would wait for ever.
    if not path.is_file():
        raise foreign.DecodeError("not_a_file", "a folder, a pipe or a device")
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise foreign.DecodeError("unreadable", error.strerror or "not readable") from error
    with foreign.Video(path, limits) as source:
        divider = _Divider(source, clip, stride_frames, limits)
        divider.run()
        return Canonical(
            sha256=sha256,
            num_bytes=path.stat().st_size,
            container=source.container,
            codec=source.codec,
            pixel_format=source.pixel_format,
            width=source.width,
            height=source.height,
            fps=source.fps,
            duration_s=source.duration_s,
            marks=tuple(sorted(source.marks)),
            cuts_s=tuple(divider.cuts_s),
            dropped=tuple(_merged(divider.dropped)),
            windows=tuple(divider.windows),
        )


class _Divider:
    """Divides the pictures of one file into windows that straddle no cut, break or damage."""

    def __init__(
        self, source: foreign.Video, clip: ClipFormat, stride_frames: int, limits: foreign.Limits
    ) -> None:
        self._source, self._clip, self._stride_frames = source, clip, stride_frames
        self._max_bytes = limits.max_output_mb * 1e6
        self._num_bytes = 0
        self._squares = pictures.Squares(clip.size)
        self._bars: scenes.Bars | None = None
        self._held: list[foreign.Picture] = []
        # Index of the first picture of the scene that no window shows.
        self._next_index = 0
        self.windows: list[Window] = []
        self.dropped: list[Dropped] = []
        self.cuts_s: list[float] = []

    def run(self) -> None:
        for picture, kind in scenes.divide(self._samples()):
            if kind == "cut":
                self.cuts_s.append(picture.index / self._clip.fps)
            if kind or picture.damaged:
                self._end_scene(picture.index)
            if picture.damaged:
                self._drop(picture.index, picture.index + 1, "damaged")
                self._next_index = picture.index + 1
                continue
            self._held.append(picture)
            if len(self._held) == self._clip.num_frames:
                self._take_window()
        self._end_scene(None)
        self._withdraw()

    def _samples(self) -> Iterator[scenes.Sample]:
        with foreign.refusing():
            for picture in self._source.pictures(self._clip.fps):
                thumbnail = pictures.thumbnail(picture.frame)
                yield scenes.Sample(picture, thumbnail, picture.after_break)

    def _end_scene(self, next_index: int | None) -> None:
        """Drop the pictures that wait for a window; the next scene begins at `next_index`."""
        if self._held:
            end_index = self._held[-1].index + 1
            self._drop(self._next_index, end_index, "too_short")
            self._next_index = end_index
            self._held = []
        if next_index is not None:
            self._drop(self._next_index, next_index, "gap")
            self._next_index = next_index

    def _drop(self, start_index: int, end_index: int, reason: str) -> None:
        if start_index < end_index:
            fps = self._clip.fps
            self.dropped.append(Dropped(start_index / fps, end_index / fps, reason))

    def _take_window(self) -> None:
        first, last = self._held[0], self._held[-1]
        pixels, box = self._show()
        reason = scenes.blank_reason(pixels)
        if reason:
            self._drop(first.index, last.index + 1, reason)
        else:
            self._store(first.index, pixels, box)
        self._next_index = last.index + 1
        self._held = self._held[self._stride_frames :]

    def _show(self) -> tuple[NDArray[np.uint8], Box]:
        """The RGB frames of the held pictures without bars, and the box of the source they show."""
        first, aspect = self._held[0], self._source.aspect
        frames = [picture.frame for picture in self._held]
        with foreign.refusing():
            self._bars = scenes.find_bars([pictures.luma(frame) for frame in frames], self._bars)
            stored = pictures.centre_square(
                self._bars.content(first.frame.width, first.frame.height), aspect
            )
            pixels = self._squares.convert(frames, stored)
            orientation = pictures.orientation(first.frame)
        width, height = (side * first.reduction for side in (first.frame.width, first.frame.height))
        box = pictures.stretched(stored, aspect, first.reduction)
        shown_width = round(width * aspect)
        return orientation.show(pixels), orientation.show_box(box, shown_width, height)

    def _store(self, start_frame: int, pixels: NDArray[np.uint8], box: Box) -> None:
        clip = self._clip
        window = Window(
            start_frame=start_frame,
            mp4=video.encode(pixels, clip.fps, crf=clip.crf, keyint=clip.num_frames),
            pixels_sha256=hashlib.sha256(pixels.data).hexdigest(),
            fingerprint=fingerprint.fingerprint(pixels),
            box=box,
        )
        self._num_bytes += len(window.mp4)
        if self._num_bytes > self._max_bytes:
            raise foreign.DecodeError(
                "too_much_output", f"its clips take more than {self._max_bytes / 1e6:g} MB"
            )
        self.windows.append(window)

    def _withdraw(self) -> None:
        """Drop windows in which damage was found late, and the last of a file that ends early."""
        fps, length = self._clip.fps, self._clip.num_frames
        kept = []
        for window in self.windows:
            start_s, end_s = window.start_frame / fps, (window.start_frame + length) / fps
            if self._source.is_damaged(start_s, end_s):
                self._drop(window.start_frame, window.start_frame + length, "damaged")
            elif (
                "ends_early" in self._source.marks
                and end_s > self._source.duration_s - length / fps
            ):
                self._drop(window.start_frame, window.start_frame + length, "ends_early")
            else:
                kept.append(window)
        self.windows = kept


def _merged(dropped: list[Dropped]) -> Iterator[Dropped]:
    """Join neighbours of one reason, in order of time."""
    last: Dropped | None = None
    for one in sorted(dropped, key=lambda one: (one.start_s, one.end_s)):
        if last and last.reason == one.reason and one.start_s <= last.end_s + 1e-6:
            last = Dropped(last.start_s, max(last.end_s, one.end_s), last.reason)
            continue
        if last:
            yield last
        last = one
    if last:
        yield last
