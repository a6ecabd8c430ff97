"""Makes a clip of pictures: crops bars, scales, judges what is seen, encodes and hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.config import ClipFormat
from pipeline.copies import fingerprint
from pipeline.footage import foreign, pictures, scenes
from pipeline.footage.pictures import Box
from pipeline.store import video
from pipeline.store.manifest import ABSENT

# New pictures a second below which a window shows no motion: a clip of 16 frames has four or more.
_MIN_CHANGES_HZ = 2.5
# Mean difference, in levels, up to which two still pictures are one.
_SAME_LEVELS = 2.0


@dataclass(frozen=True)
class Window:
    """One canonical clip.

    Attributes:
        start_frame: of its first frame, on the grid of times 1/fps.
        mp4: the clip.
        pixels_sha256: of its uint8 (T, H, W, 3) RGB frames before they were encoded.
        fingerprint: `fingerprint.fingerprint` of them.
        box: left, top, width, height of what it shows, in displayed pixels of the source.
        flac: its sound, as `store.sound.encode` has it; None where every sample of it is zero.
        presence: what there is of its sound, one of `manifest.PRESENCES`.
        marks: sorted codes of what is odd about it: "damaged" (it shows pictures that the decoder
            had to patch up), "short" (its last picture is held to fill it), "still" (nothing
            moves). Windows to train on have none.
    """

    start_frame: int
    mp4: bytes
    pixels_sha256: str
    fingerprint: NDArray[np.uint8]
    box: Box
    flac: bytes | None = None
    presence: str = ABSENT
    marks: tuple[str, ...] = ()


def sample_pictures(shown: Iterable[foreign.ScreenFrame]) -> Iterator[scenes.SampledFrame]:
    """Pictures of a video for `scenes.divide`; each is reduced once, however long it is shown.

    Raises:
        foreign.DecodeError: as `shown` does.
    """
    last: scenes.SampledFrame | None = None
    for picture in shown:
        repeats = last is not None and last.item.number == picture.number
        thumbnail = last.thumbnail if last and repeats else pictures.thumbnail(picture.frame)
        last = scenes.SampledFrame(picture, thumbnail, picture.after_break, repeats)
        yield last


class WindowMaker:
    """Makes windows of the pictures of one file, in order of time."""

    def __init__(
        self, aspect: float, clip: ClipFormat, budget: foreign.Budget, *, as_shown: bool
    ) -> None:
        """Start on a file.

        Args:
            aspect: width of a stored pixel by its height.
            clip: the format of the windows.
            budget: what the clips of the file may take together.
            as_shown: as in `canonicalise`.
        """
        self._aspect, self._clip, self._as_shown = aspect, clip, as_shown
        self._budget = budget
        self._squares = pictures.Squares(clip.size)
        self._bars: scenes.Bars | None = None
        # The first picture of the last still window.
        self._still: NDArray[np.uint8] | None = None

    def make(self, shown: Sequence[foreign.ScreenFrame], marks: set[str]) -> Window | str:
        """The window of as many pictures as a clip has frames, or the reason why it is none.

        Raises:
            foreign.DecodeError: they cannot be shown, or the file takes too much.
        """
        pixels, box = self._show(shown)
        reason = scenes.blank_reason(pixels)
        if reason == "still" and self._as_shown and self._is_other_still(pixels[0]):
            return self._encoded(shown[0].index, pixels, box, marks | {"still"})
        num_changes = len({picture.number for picture in shown}) - 1
        if not (reason or self._as_shown) and (
            num_changes < _MIN_CHANGES_HZ * len(shown) / self._clip.fps
        ):
            reason = "few_pictures"
        return reason or self._encoded(shown[0].index, pixels, box, marks)

    def _is_other_still(self, image: NDArray[np.uint8]) -> bool:
        """Return whether a picture that stays is another than the last one that did."""
        last, self._still = self._still, image
        if last is None:
            return True
        return float(np.abs(image.astype(np.int16) - last).mean()) > _SAME_LEVELS

    def _show(self, shown: Sequence[foreign.ScreenFrame]) -> tuple[NDArray[np.uint8], Box]:
        """The RGB frames of pictures without bars, and the box of the source they show."""
        first, aspect = shown[0], self._aspect
        frames = [picture.frame for picture in shown]
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

    def _encoded(
        self, start_frame: int, pixels: NDArray[np.uint8], box: Box, marks: set[str]
    ) -> Window:
        clip = self._clip
        window = Window(
            start_frame=start_frame,
            mp4=video.encode(pixels, clip.fps, crf=clip.crf, keyint=clip.num_frames),
            pixels_sha256=hashlib.sha256(pixels.data).hexdigest(),
            fingerprint=fingerprint.fingerprint(pixels),
            box=box,
            marks=tuple(sorted(marks)),
        )
        self._budget.spend(len(window.mp4))
        return window
