"""One foreign file to canonical clips: decode, and divide at cuts, breaks and damage.

Besides the finished clips, no more frames are held than a clip and the look-ahead for
cuts have.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pipeline.config import ClipFormat
from pipeline.footage import foreign, scenes, sound
from pipeline.footage.exchangeable import FramePrinter, TimedPrint
from pipeline.footage.windows import Window, WindowMaker, sample_pictures
from pipeline.store.manifest import ABSENT, DAMAGED, SILENT
from pipeline.store.sound import num_samples

_READ_AT_ONCE = 2**20
PicturesOf = Callable[[foreign.Video], Iterator[foreign.ScreenFrame]]
"""Gives the pictures of a file on the grid of the clips."""
_UNREAD_TRACK = {"sound_no_decoder", "sound_refused"}


@dataclass(frozen=True)
class Dropped:
    """A stretch of a file that became no clip, and why.

    Reasons: "starts_late" (no picture yet, as where the first ones cannot be decoded), "black" (or
    all of one colour), "still" (nothing moves), "few_pictures" (next to nothing moves, as in a
    timelapse), "damaged", "ends_early" (the last clip of a file that was cut off), "too_short" (the
    rest of a scene), "gap" (no frames).
    """

    start_s: float
    end_s: float
    reason: str


@dataclass(frozen=True)
class Canonical:
    """Holds what one file was and what it became.

    Attributes:
        sha256, md5, num_bytes: of the file.
        width, height: stored pixels, before rotation and pixel aspect ratio.
        duration_s: from the start of the file to the end of its last picture, by a player's clock.
        marks: sorted codes of what is unusual, as in `foreign.Video`; "short" and "still" where
            every window has that mark.
        cuts_s: times of the first frames after cuts.
        frame_prints: in order of time.
        track: of sound.
        dropped: in order of time; together with the windows they make up the whole duration.
    """

    sha256: str
    md5: str
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
    frame_prints: tuple[TimedPrint, ...]
    track: sound.Track
    windows: tuple[Window, ...]

    @cached_property
    def is_mute(self) -> bool:
        """Return whether no window holds any sound, though a track that there is could be read."""
        return not _UNREAD_TRACK & set(self.track.marks) and all(
            window.presence in (ABSENT, SILENT) for window in self.windows
        )


def muted(made: Canonical, mark: str) -> Canonical:
    """Give what became of a file without its sound, with a mark that says why it has none."""
    return replace(
        made,
        marks=tuple(sorted({*made.marks, mark})),
        track=sound.Track(marks=(mark,)),
        windows=tuple(replace(window, presence=DAMAGED) for window in made.windows),
    )


def canonicalise(
    path: Path,
    clip: ClipFormat,
    stride_frames: int,
    limits: foreign.DecodingLimits,
    *,
    as_shown: bool = False,
    with_sound: bool = True,
    pictures_of: PicturesOf | None = None,
) -> Canonical:
    """Make the canonical clips of a file.

    Args:
        path: the file.
        clip: the format of the clips.
        stride_frames: from the start of a clip to the start of the next one.
        limits: what the file may cost.
        as_shown: keep all that a player shows, to be scored: damaged pictures too, and the last
            picture of a piece that is shorter than a clip for as long as the clip lasts. Only what
            is black is dropped then, and all but the first clip of a picture that stays. Without,
            clips are fit to train on.
        with_sound: give clips the sound of the file, if it has any.
        pictures_of: gives its pictures in place of `foreign.Video.pictures`, having looked at them.

    Raises:
        foreign.DecodeError: it gives no pictures, or is over `limits`.
    """
    # To open a pipe would wait for ever.
    if not path.is_file():
        raise foreign.DecodeError("not_a_file", "a folder, a pipe or a device")
    try:
        sha256, md5 = digests(path)
    except OSError as error:
        raise foreign.DecodeError("unreadable", error.strerror or "not readable") from error
    with foreign.Video(path, limits) as source:
        budget = foreign.Budget(limits.max_output_mb)
        pictures = pictures_of(source) if pictures_of else source.pictures(clip.fps)
        divider = _Divider(source, pictures, clip, stride_frames, budget, as_shown=as_shown)
        divider.run()
        track, windows = sound.Track(), divider.windows
        if with_sound:
            track, windows = _with_sound(path, limits, budget, source, windows, clip)
        marks = source.marks | divider.common_marks() | set(track.marks)
        return Canonical(
            sha256=sha256,
            md5=md5,
            num_bytes=path.stat().st_size,
            container=source.container,
            codec=source.codec,
            pixel_format=source.pixel_format,
            width=source.width,
            height=source.height,
            fps=source.fps,
            duration_s=source.duration_s,
            marks=tuple(sorted(marks)),
            cuts_s=tuple(divider.cuts_s),
            dropped=tuple(_merged(divider.dropped, source.duration_s)),
            frame_prints=tuple(divider.printer.prints),
            track=track,
            windows=tuple(windows),
        )


def digests(path: Path) -> tuple[str, str]:
    """SHA-256 and MD5 of the bytes of a file, which is read once."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while data := file.read(_READ_AT_ONCE):
            sha256.update(data)
            md5.update(data)
    return sha256.hexdigest(), md5.hexdigest()


def _with_sound(
    path: Path,
    limits: foreign.DecodingLimits,
    budget: foreign.Budget,
    source: foreign.Video,
    windows: list[Window],
    clip: ClipFormat,
) -> tuple[sound.Track, list[Window]]:
    """Give windows, whose pictures have been read, the sound of their times."""
    windows = sorted(windows, key=lambda window: window.start_frame)
    starts = [num_samples(window.start_frame, clip.fps) for window in windows]
    length = num_samples(clip.num_frames, clip.fps)
    track, made = sound.sounds_of(
        path, limits, budget, source.zeros_s, starts, length, source.duration_s
    )
    return track, [
        replace(window, flac=flac, presence=presence)
        for window, (flac, presence) in zip(windows, made, strict=True)
    ]


@dataclass(frozen=True)
class _Taken:
    """A window that waits for what the rest of the file says of it."""

    window: Window
    first_number: int
    last_number: int
    """Number of the last of the frames that it shows."""


class _Divider:
    """Divides the pictures of one file into windows that straddle no cut, break or damage."""

    def __init__(
        self,
        source: foreign.Video,
        pictures: Iterator[foreign.ScreenFrame],
        clip: ClipFormat,
        stride_frames: int,
        budget: foreign.Budget,
        *,
        as_shown: bool,
    ) -> None:
        self._source, self._pictures = source, pictures
        self._clip, self._stride_frames = clip, stride_frames
        self._as_shown = as_shown
        self._maker = WindowMaker(source.aspect, clip, budget, as_shown=as_shown)
        self._held: list[foreign.ScreenFrame] = []
        # The last pictures of the scene, of which a window can be made that ends with it.
        self._last: deque[foreign.ScreenFrame] = deque(maxlen=clip.num_frames if as_shown else 0)
        # Index of the first picture of the scene that no window shows.
        self._next_index = 0
        self._taken: list[_Taken] = []
        self.printer = FramePrinter(clip.fps)
        self.windows: list[Window] = []
        self.dropped: list[Dropped] = []
        self.cuts_s: list[float] = []

    def run(self) -> None:
        """Go through the file once."""
        self._divide()
        self._end_scene(None)
        self._settle()

    def common_marks(self) -> set[str]:
        """Marks of the file that come of its windows: those that every one of them has."""
        marks = [set(window.marks) for window in self.windows]
        return set.intersection(*marks) & {"short", "still"} if marks else set()

    def _divide(self) -> None:
        for picture, kind in scenes.divide(self._samples()):
            self.printer.see(picture, after_cut=kind == "cut")
            if not self._held and not self._next_index and not self.dropped:
                self._drop(0, picture.index, "starts_late")
                self._next_index = picture.index
            if kind == "cut":
                self.cuts_s.append(picture.index / self._clip.fps)
            is_refused = picture.damaged and not self._as_shown
            if kind or is_refused:
                self._end_scene(picture.index)
            if is_refused:
                self._drop(picture.index, picture.index + 1, "damaged")
                self._next_index = picture.index + 1
                continue
            self._held.append(picture)
            self._last.append(picture)
            if len(self._held) == self._clip.num_frames:
                self._take_window()

    def _samples(self) -> Iterator[scenes.SampledFrame]:
        is_shown = False
        try:
            with foreign.refusing():
                for sample in sample_pictures(self._pictures):
                    is_shown = True
                    yield sample
        except foreign.DecodeError as error:
            # What was shown until then was shown.
            if not (self._as_shown and is_shown and error.reason == "decode_error"):
                raise
            self._source.marks.add("damaged")

    def _end_scene(self, next_index: int | None) -> None:
        """See to the pictures that wait for a window; the next scene begins at `next_index`."""
        if self._held:
            end_index = self._held[-1].index + 1
            if self._as_shown and end_index > self._next_index:
                self._take_rest()
            else:
                self._drop(self._next_index, end_index, "too_short")
            self._next_index = end_index
            self._held = []
        self._last.clear()
        if next_index is not None:
            self._drop(self._next_index, next_index, "gap")
            self._next_index = next_index

    def _drop(self, start_index: int, end_index: int, reason: str) -> None:
        if start_index < end_index:
            fps = self._clip.fps
            self.dropped.append(Dropped(start_index / fps, end_index / fps, reason))

    def _take_window(self) -> None:
        self._take(self._held, self._next_index, set())
        self._next_index = self._held[-1].index + 1
        self._held = self._held[self._stride_frames :]

    def _take_rest(self) -> None:
        """Make a window of what is left of a scene and what was before it, or hold its end."""
        shown = list(self._last)
        num_missing = self._clip.num_frames - len(shown)
        marks = {"short"} if num_missing else set()
        self._take([*shown, *[shown[-1]] * num_missing], self._next_index, marks)

    def _take(
        self, shown: list[foreign.ScreenFrame], first_new_index: int, marks: set[str]
    ) -> None:
        """Make a window of pictures, those from `first_new_index` in no other one yet."""
        made = self._maker.make(shown, marks)
        if isinstance(made, Window):
            self._taken.append(_Taken(made, shown[0].number, shown[-1].number))
        else:
            self._drop(first_new_index, shown[-1].index + 1, made)

    def _settle(self) -> None:
        """Mark or drop windows by damage that was found late, and the last of a file cut off."""
        fps, length = self._clip.fps, self._clip.num_frames
        for taken in self._taken:
            window = taken.window
            end_s = (window.start_frame + length) / fps
            is_damaged = self._source.is_damaged(taken.first_number, taken.last_number)
            is_last = end_s > self._source.duration_s - length / fps
            if self._as_shown:
                marks = {*window.marks, *(["damaged"] if is_damaged else [])}
                self.windows.append(replace(window, marks=tuple(sorted(marks))))
            elif is_damaged:
                self._drop(window.start_frame, window.start_frame + length, "damaged")
            elif "ends_early" in self._source.marks and is_last:
                self._drop(window.start_frame, window.start_frame + length, "ends_early")
            else:
                self.windows.append(window)


def _merged(dropped: list[Dropped], duration_s: float) -> Iterator[Dropped]:
    """Join neighbours of one reason, in order of time, until the end of the file."""
    last: Dropped | None = None
    for one in sorted(dropped, key=lambda one: (one.start_s, one.end_s)):
        if last and last.reason == one.reason and one.start_s <= last.end_s + 1e-6:
            last = Dropped(last.start_s, max(last.end_s, one.end_s), last.reason)
            continue
        if last:
            yield last
        last = one
    if last:
        yield replace(last, end_s=min(last.end_s, max(duration_s, last.start_s)))
