"""Hashes of the pictures and the sound of one file from outside, by which banks find its copies."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.copies import chromaprint
from pipeline.copies.fingerprint import HASH_BYTES
from pipeline.copies.hash_lists import MIN_QUALITY
from pipeline.footage import exchangeable, foreign, pictures, scenes, unplayable
from pipeline.footage.canonical import digests
from pipeline.footage.conversion import Unusable
from pipeline.footage.exchangeable import TrackPrinter
from pipeline.footage.foreign.sound import Sound

GRID_FPS = 15.0
"""Pictures are taken from this grid of times, as ingest does by default."""
MAX_CHANGE = 8
"""Bits, of 256, in which a picture may differ from the last one hashed without being hashed too,
where every change is."""

_ENCRYPTED = Unusable("encrypted", "its pictures are encrypted")

HashesParts = Callable[[NDArray[np.uint8]], tuple[NDArray[np.uint8], NDArray[np.uint8]]]
"""Gives hashes of parts of a picture, by its brightness, and which part each is of."""


@dataclass(frozen=True)
class PrintTask:
    """One file to hash, and how.

    Attributes:
        path: of the file.
        rate_hz: pictures a second to hash, at most `GRID_FPS`.
        with_changes: hash all others on the grid too, and keep those that differ from the last one
            kept in more than `MAX_CHANGE` bits. Where the camera turns, hashes of pictures a tenth
            of a second apart have nothing in common.
        limits: what the file may cost.
        parts: hashes the parts of a picture without bars, `copies.parts.of_item` or `of_query`, of
            the first picture of each step; without it, none are hashed.
        with_sound: hash its sound too, if it has any.
    """

    path: Path
    rate_hz: float
    with_changes: bool
    limits: foreign.DecodingLimits
    parts: HashesParts | None = None
    with_sound: bool = True


@dataclass(frozen=True)
class Printed:
    """Holds what a file is told by.

    Attributes:
        sha256, md5: of its bytes, in hexadecimal digits.
        duration_s: until the end of its last picture, by a player's clock.
        times_ms: uint32 (N,), when each hashed picture is on the screen, ascending. One with black
            bars is there twice, as a player shows it and without them.
        hashes: uint8 (N, 2, 32), PDQ of each picture and of its mirror image.
        quality: uint8 (N,), PDQ's, `MIN_QUALITY` to 100: flatter pictures are left out.
        sound_times_ms: uint32 (M,), when each moment of its sound begins, ascending; also after the
            last picture.
        sounds: uint32 (M,), Chromaprint of each; moments of digital silence are left out.
        narrow_times_ms, narrow_sounds: uint32 (K,) each, the same of the notes of a narrow band
            alone, `chromaprint.NARROW_HZ`.
        part_times_ms: uint32 (P,), when each hashed part of a picture is on the screen, ascending.
        part_hashes: uint8 (P, 2, 32), hashes of each and of its mirror image; (P, 1, 32) of a file
            that is looked up.
        part_kinds: uint8 (P,), which part each is.
    """

    sha256: str
    md5: str
    duration_s: float
    times_ms: NDArray[np.uint32]
    hashes: NDArray[np.uint8]
    quality: NDArray[np.uint8]
    sound_times_ms: NDArray[np.uint32]
    sounds: NDArray[np.uint32]
    narrow_times_ms: NDArray[np.uint32]
    narrow_sounds: NDArray[np.uint32]
    part_times_ms: NDArray[np.uint32]
    part_hashes: NDArray[np.uint8]
    part_kinds: NDArray[np.uint8]


def hash_file(task: PrintTask) -> Printed | Unusable:
    """Hash the pictures of a file and its sound, or say why that cannot be done; in the sandbox.

    Pictures that damage touches are left out. A file that cannot be decoded to its end is known by
    what comes before, and one whose sound cannot be decoded by its pictures.
    """
    path = task.path
    # To open a pipe would wait for ever.
    if not path.is_file():
        return Unusable("not_a_file", "a folder, a pipe or a device", is_lasting=False)
    try:
        if unplayable.is_encrypted(path):
            return _ENCRYPTED
        sha256, md5 = digests(path)
    except OSError as error:
        return _unreadable(error)
    printer = FilePrinter(task)
    try:
        with foreign.Video(path, task.limits) as source:
            deque(printer.passing(source), maxlen=0)
    except foreign.DecodeError as error:
        printer.failed = error
    return printer.finished(sha256, md5)


def _unreadable(error: OSError) -> Unusable:
    return Unusable("unreadable", error.strerror or "not readable", is_lasting=False)


def sounds(
    path: Path, limits: foreign.DecodingLimits, zeros_s: Sequence[float], end_s: float
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]:
    """Return what a file is told by of its sound before `end_s`: `Printed.sound_times_ms`,
    `sounds`, `narrow_times_ms` and `narrow_sounds`.

    Args:
        path: the file.
        limits: what it may cost.
        zeros_s: as `foreign.Video.zeros_s` has it once the pictures have been read.
        end_s: by a player's clock.
    """
    printer = TrackPrinter(end_s, of_mean=False)
    # What comes before a fault is known.
    with contextlib.suppress(foreign.DecodeError), Sound(path, limits, zeros_s) as track:
        deque(printer.passing(track.heard()), maxlen=0)
    if (found := printer.finish()) is None:
        none = np.zeros(0, np.uint32)
        return none, none, none, none
    return *_kept(found.items, found.start_s), *_kept(found.narrow_items, found.start_s)


def _kept(
    items: NDArray[np.uint32], start_s: float
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """When items that are of sound begin, and these, of those from a time on."""
    times_ms = np.rint(1000 * (start_s + np.arange(len(items)) * chromaprint.ITEM_S)).astype(int)
    is_kept = (times_ms >= 0) & chromaprint.is_sound(items)
    return times_ms[is_kept].astype(np.uint32), items[is_kept]


@dataclass(frozen=True)
class Hashed:
    """A picture as it is shown, or what of it lies between its bars.

    Attributes:
        hashes: uint8 (2, 32), PDQ of it and of its mirror image.
        quality: PDQ's, 0 to 100.
    """

    hashes: NDArray[np.uint8]
    quality: int


class PictureHasher:
    """Hashes pictures of one video in order of time, whose bars are where they were before."""

    def __init__(self) -> None:
        self._scale = pictures.Scaler()
        self._bars: scenes.Bars | None = None

    def hashed(self, frame: Any) -> list[Hashed]:
        """A frame as it is shown, and without its bars if it has any."""
        whole = (0, 0, frame.width, frame.height)
        self._bars = scenes.find_bars([pictures.luma(frame)], self._bars)
        inner = self._bars.content(frame.width, frame.height)
        return [
            Hashed(*exchangeable.hashed(frame, box, self._scale))
            for box in dict.fromkeys((whole, inner))
        ]

    def inner(self, frame: Any) -> NDArray[np.uint8]:
        """The brightness of the frame that was hashed last without its bars, as shown: (H, W)."""
        luma = pictures.luma(frame)
        assert self._bars is not None
        left, top, width, height = self._bars.content(luma.shape[1], luma.shape[0])
        inner = luma[top : top + height, left : left + width]
        return pictures.orientation(frame).show(inner[None, :, :, None])[0, :, :, 0]


class FilePrinter:
    """Hashes the first picture of each step of time, and others that differ where asked.

    Attributes:
        failed: why the pictures of the file, or their hashes, ended before their time.
    """

    def __init__(self, task: PrintTask) -> None:
        self.failed: foreign.DecodeError | None = None
        self._task = task
        self._source: foreign.Video | None = None
        self._rate_hz, self._with_changes = task.rate_hz, task.with_changes
        self._of_parts = task.parts
        self._parts: list[tuple[int, NDArray[np.uint8], NDArray[np.uint8]]] = []
        self._hasher = PictureHasher()
        self._times_ms: list[int] = []
        self._hashes: list[NDArray[np.uint8]] = []
        self._quality: list[int] = []
        self._next_step, self._last_number = 0, -1
        self._found: list[Hashed] = []

    def passing(self, source: foreign.Video) -> Iterator[foreign.ScreenFrame]:
        """Hand on the pictures of a file, of the grid of `GRID_FPS`, each looked at before.

        Raises:
            foreign.DecodeError: the file gives none, or is over its limits.
        """
        self._source = source
        try:
            for picture in source.pictures(GRID_FPS):
                self._see(picture)
                yield picture
        except foreign.DecodeError as error:
            self.failed = error
            raise

    def _see(self, picture: foreign.ScreenFrame) -> None:
        step = int(picture.index * self._rate_hz / GRID_FPS)
        is_due = step >= self._next_step
        if self.failed or picture.damaged or not (is_due or self._with_changes):
            return
        try:
            with foreign.refusing():
                self._hash(picture, with_parts=is_due)
        except foreign.DecodeError as error:
            # What cannot be hashed may be shown all the same.
            self.failed = error
            return
        if is_due or self._differs(self._found[-1].hashes):
            self._keep(picture.index, self._found)
            self._next_step = step + 1

    def _hash(self, picture: foreign.ScreenFrame, *, with_parts: bool) -> None:
        if not self._found or picture.number != self._last_number:
            self._found = self._hasher.hashed(picture.frame)
            self._last_number = picture.number
        if with_parts and self._of_parts:
            hashes, kinds = self._of_parts(self._hasher.inner(picture.frame))
            self._parts.append((picture.index, hashes, kinds))

    def finished(self, sha256: str, md5: str) -> Printed | Unusable:
        """Return what the file is told by once its pictures have passed, or why nothing can be
        told.

        Args:
            sha256, md5: of its bytes.
        """
        path, limits = self._task.path, self._task.limits
        failed = self.failed
        try:
            if failed and (not self._found or failed.reason != "decode_error"):
                found = unplayable.describe(path)
                if found is not None:
                    return Unusable(found.reason, found.detail)
                return Unusable(failed.reason, str(failed))
            if unplayable.is_encrypted(path):
                return _ENCRYPTED
        except OSError as error:
            return _unreadable(error)
        assert self._source is not None
        # Sound may go on under the last picture, which a player leaves on the screen.
        no_more_s = limits.max_duration_s if self._task.with_sound else 0.0
        heard = sounds(path, limits, self._source.zeros_s, no_more_s)
        part_times_ms, part_hashes, part_kinds = self._of_all_parts()
        return Printed(
            *(sha256, md5, self._source.duration_s, *self._arrays(), *heard),
            part_times_ms=part_times_ms,
            part_hashes=part_hashes,
            part_kinds=part_kinds,
        )

    def _differs(self, hashes: NDArray[np.uint8]) -> bool:
        if not self._hashes:
            return True
        changed = np.bitwise_count(hashes[0] ^ self._hashes[-1][0])
        return int(changed.sum()) > MAX_CHANGE

    def _keep(self, index: int, found: list[Hashed]) -> None:
        for one in found:
            if one.quality >= MIN_QUALITY:
                self._times_ms.append(round(1000 * index / GRID_FPS))
                self._hashes.append(one.hashes)
                self._quality.append(one.quality)

    def _arrays(self) -> tuple[NDArray[np.uint32], NDArray[np.uint8], NDArray[np.uint8]]:
        hashes = np.array(self._hashes, np.uint8).reshape(-1, 2, HASH_BYTES)
        return np.array(self._times_ms, np.uint32), hashes, np.array(self._quality, np.uint8)

    def _of_all_parts(self) -> tuple[NDArray[np.uint32], NDArray[np.uint8], NDArray[np.uint8]]:
        nums = [len(kinds) for _, _, kinds in self._parts]
        times_ms = [round(1000 * index / GRID_FPS) for index, _, _ in self._parts]
        none = np.zeros((0, 1, HASH_BYTES), np.uint8), np.zeros(0, np.uint8)
        return (
            np.repeat(np.array(times_ms, np.uint32), nums),
            np.concatenate([hashes for _, hashes, _ in self._parts] or [none[0]]),
            np.concatenate([kinds for _, _, kinds in self._parts] or [none[1]]),
        )
