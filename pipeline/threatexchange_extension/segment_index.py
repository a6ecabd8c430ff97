"""An index of threatexchange that says which seconds of a video show which of a known one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from threatexchange.signal_type.index import IndexMatch, SignalSimilarityInfo, SignalTypeIndex

from pipeline.copies import exchange_lines, matching, sound_matching
from pipeline.copies.chromaprint import ITEM_S
from pipeline.copies.exchange_lines import Upload
from pipeline.copies.matching import VideoStretch
from pipeline.copies.sound_matching import SoundStretch

T = TypeVar("T")


@dataclass
class Segment(SignalSimilarityInfo):
    """Tells where a video shows a known one.

    Attributes:
        by: what it is known by: `bytes`, `pictures` or `sound`.
        start_s, end_s: of the video.
        item_start_s, item_end_s: of the known one.
        distance: of a picture or a moment of sound and its partner, in bits; 0 for equal bytes.
        mirrored: whether the video shows the mirror image.
        agreeing_s: seconds that agree.
    """

    by: str
    start_s: float
    end_s: float
    item_start_s: float
    item_end_s: float
    distance: float = 0.0
    mirrored: bool = False
    agreeing_s: float = 0.0

    def __lt__(self, other: object) -> bool:
        """Return whether this one is the nearer one."""
        return isinstance(other, Segment) and self.distance < other.distance

    def pretty_str(self) -> str:
        """The segment without a space, as the command line of threatexchange wants it."""
        return (
            f"{self.by}:{self.start_s:.1f}-{self.end_s:.1f}s={self.item_start_s:.1f}-"
            f"{self.item_end_s:.1f}s{',mirrored' * self.mirrored},distance={self.distance:g}"
        )


def matches(video: Upload, item: Upload) -> list[Segment]:
    """Return where a video shows a known one, most seconds first; all of it where their bytes are
    equal.

    One picture a second of the video is looked up.
    """
    equal = (video.sha256, item.sha256), (video.md5, item.md5)
    if any(one and one == other for one, other in equal):
        length_s = video.duration_s
        return [Segment("bytes", 0.0, length_s, 0.0, length_s, agreeing_s=length_s)]
    times_ms = video.hashes["time_ms"]
    _, first = np.unique(times_ms // 1000, return_index=True)
    # One with bars is there twice, with them and without.
    looked_up = video.hashes[np.isin(times_ms, times_ms[first])]
    hashes = np.ascontiguousarray(looked_up["pdq"])
    seen = matching.stretches(looked_up["time_ms"], hashes, item.hashes)
    heard = sound_matching.of_both((video.sounds, video.narrow), (item.sounds, item.narrow))
    found = [*map(_seen, seen), *map(_heard, heard)]
    return sorted(found, key=lambda one: -one.agreeing_s)


def _seen(one: VideoStretch) -> Segment:
    places = one.start_s, one.end_s, one.item_start_s, one.item_end_s
    return Segment("pictures", *places, one.median_distance, one.mirrored, float(one.num_frames))


def _heard(one: SoundStretch) -> Segment:
    places = one.start_s, one.end_s, one.item_start_s, one.item_end_s
    return Segment("sound", *places, one.mean_distance, agreeing_s=one.num_items * ITEM_S)


class SegmentIndex(SignalTypeIndex[T], Generic[T]):
    """Compares a video with every known one, exact within the distances of `discern match`."""

    def __init__(self) -> None:
        self._known: list[tuple[Upload, T]] = []

    def add(self, signal_str: str, entry: T) -> None:
        """Make a video known."""
        self._known.append((exchange_lines.prints_parsed(signal_str), entry))

    def query(self, query: str) -> Sequence[IndexMatch[T]]:
        """Return what a video shows: a match for each segment, those of most seconds first.

        A video that could not be hashed, which is an empty signal, shows nothing.
        """
        if not query:
            return []
        video = exchange_lines.prints_parsed(query)
        found = [
            (segment, entry) for item, entry in self._known for segment in matches(video, item)
        ]
        found.sort(key=lambda one: -one[0].agreeing_s)
        return [IndexMatch(segment, entry) for segment, entry in found]
