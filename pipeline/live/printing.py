"""Hashes of the pictures and the sound of a stream while they come, by which banks are searched.

They are those that `footage.printing` makes of a file: PDQ of a picture each second, with its bars
and without them, and Chromaprint of what is heard of the track. What is held does not grow with
time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np

from pipeline.copies import chromaprint
from pipeline.copies.hash_lists import MIN_QUALITY
from pipeline.footage import foreign, stretches
from pipeline.footage.exchangeable import TrackPrints
from pipeline.footage.foreign.mixing import Heard
from pipeline.footage.printing import PictureHasher
from pipeline.footage.stretches import ContiguousSound
from pipeline.live.messages import Prints

RATE_HZ = 1.0
"""Pictures that are looked up a second, as of files."""

_HZ, _STEP = chromaprint.RATE_HZ, chromaprint.ITEM_SAMPLES
_PIECE = 2 * _HZ
# What resampling needs to know of what follows.
_KNOWN_AHEAD = _HZ // 4
_LONGEST_GAP = 30 * _HZ


class StreamPrinter:
    """Makes the prints of one stream; pictures and sound may come from two threads."""

    def __init__(self, fps: float) -> None:
        """Begin a stream whose pictures come on a grid of `fps` a second."""
        self._fps = fps
        self._next_step = 0
        self._hasher = PictureHasher()
        self._lock = threading.Lock()
        self._pictures: list[tuple[float, bytes]] = []
        self._sounds: list[tuple[float, int]] = []
        self._narrow: list[tuple[float, int]] = []
        self._heard_until_s = -1.0

    def see(self, picture: foreign.ScreenFrame) -> None:
        """Look at the next picture; a damaged one has no hash."""
        step = int(picture.index * RATE_HZ / self._fps)
        if picture.damaged or step < self._next_step:
            return
        self._next_step = step + 1
        with foreign.refusing():
            hashed = self._hasher.hashed(picture.frame)
        at_s = picture.index / self._fps
        with self._lock:
            self._pictures += [
                (at_s, one.hashes[0].tobytes()) for one in hashed if one.quality >= MIN_QUALITY
            ]

    def hear(self, heard: Iterator[Heard]) -> Iterator[Heard]:
        """Hand on what is heard of a track from its beginning."""
        track = _Track()
        for one in heard:
            for prints in track.take(one):
                self._keep(prints)
            yield one

    def _keep(self, prints: TrackPrints) -> None:
        times_s = prints.start_s + np.arange(len(prints.items)) * chromaprint.ITEM_S
        # A file is heard anew from its beginning where its clock begins anew.
        is_new = (times_s > self._heard_until_s) & (times_s >= 0)
        with self._lock:
            for held, items in ((self._sounds, prints.items), (self._narrow, prints.narrow_items)):
                is_kept = is_new & chromaprint.is_sound(items)
                held += zip(times_s[is_kept].tolist(), items[is_kept].tolist(), strict=True)
        self._heard_until_s = max(self._heard_until_s, float(times_s[-1]))

    def taken(self) -> Prints | None:
        """Return what is new since the last time; None where nothing is."""
        with self._lock:
            found = Prints(tuple(self._pictures), tuple(self._sounds), tuple(self._narrow))
            self._pictures, self._sounds, self._narrow = [], [], []
        return found if any((found.pictures, found.sounds, found.narrow)) else None


class _Track:
    """Items of Chromaprint from samples, with no more held than one needs."""

    def __init__(self) -> None:
        self._stretches: list[ContiguousSound] = []
        self._done = 0
        self._held = np.zeros(0)

    def take(self, one: Heard) -> Iterator[TrackPrints]:
        """Go on with samples; yields what is known now."""
        was_there = bool(self._stretches)
        stretches.append(self._stretches, one, _HZ)
        last = self._stretches[-1]
        if not was_there or last.origin > self._done + _LONGEST_GAP:
            self._stretches, self._done, self._held = [last], last.origin, np.zeros(0)
        while last.end - _KNOWN_AHEAD >= self._done + _PIECE:
            stop = self._done + _PIECE
            values, _ = stretches.overlaid(self._stretches, self._done, stop)
            self._held, self._done = np.concatenate([self._held, values]), stop
            for stretch in self._stretches:
                stretch.forget(stop)
            self._stretches = [one for one in self._stretches if one.held] or [last]
            printer = chromaprint.Chromaprint()
            printer.add(self._held)
            items = printer.items()
            if len(items):
                start_s = (self._done - self._held.size) / _HZ
                yield TrackPrints(items, printer.narrow_items(), start_s)
                self._held = self._held[len(items) * _STEP :]
