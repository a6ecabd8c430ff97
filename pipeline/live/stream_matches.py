"""An item of a bank that a stream shows, and whether that was told before."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from pipeline.copies import stills
from pipeline.copies.banks import Bank
from pipeline.copies.matching import VideoStretch
from pipeline.copies.sound_matching import SoundStretch

SAME_OFFSET_S = 1.5
"""Offsets of one item that are nearer are one."""
_MAX_TOLD = 1000


@dataclass(frozen=True)
class StreamMatch:
    """An item of a bank, and where what was shown since a second of the stream agrees with it.

    Attributes:
        item: its number.
        start_s: the second of the stream that those of the stretch are counted from.
        stretch: where the stream agrees with it.
        is_still: the item is one picture, and the stretch is of `stills.places`.
    """

    item: int
    start_s: float
    stretch: VideoStretch | SoundStretch
    is_still: bool = False

    @property
    def speed(self) -> float:
        """Speed of the copy, 1.0 as of the item; that of sound is not told."""
        return self.stretch.speed if isinstance(self.stretch, VideoStretch) else 1.0

    @property
    def seconds(self) -> tuple[float, float]:
        """From when to when the stream agrees."""
        return self.start_s + self.stretch.start_s, self.start_s + self.stretch.end_s

    def offset_at_s(self, at_s: float) -> float:
        """Give what is added to a time of the stream, `at_s` after its start, to get the item's."""
        return self.stretch.offset_s + (self.speed - 1) * at_s - self.start_s

    def as_data(self, bank: Bank) -> dict[str, Any]:
        """Return what is told of it."""
        item, stretch = bank.items[self.item], self.stretch
        about = {"bank": bank.name, "item": self.item, "name": item.name, "label": item.label}
        start_s, end_s = (round(one, 3) for one in self.seconds)
        offset_s = stretch.offset_s - self.speed * self.start_s
        if self.is_still:
            assert isinstance(stretch, VideoStretch)
            place = replace(stretch, start_s=start_s, end_s=end_s, offset_s=offset_s)
            shown = stills.as_data(place, file_is_still=False, item_is_still=True)
            return about | {"by": stills.BY} | shown
        return {
            **about,
            "by": "sound" if isinstance(stretch, SoundStretch) else "pictures",
            **stretch.__dict__,
            "start_s": start_s,
            "end_s": end_s,
            "offset_s": round(offset_s, 3),
        }


@dataclass
class _AtOffset:
    """An item at an offset that was told of; where a copy runs faster the offset wanders."""

    bank: str
    item: int
    offset_s: float


@dataclass
class _Still:
    """An item of one picture that was told of, and from when to when the stream has shown it."""

    bank: str
    item: int
    start_s: float
    end_s: float


class ReportedMatches:
    """What one stream was said to show: an item once at an offset, and a still once a while."""

    def __init__(self, gone_s: float) -> None:
        """Begin with nothing.

        Args:
            gone_s: a still that was not on the screen for so long is told of again.
        """
        self._gone_s = gone_s
        self._at_offsets: deque[_AtOffset] = deque(maxlen=_MAX_TOLD)
        self._stills: deque[_Still] = deque(maxlen=_MAX_TOLD)

    def is_new(self, bank: str, found: StreamMatch) -> bool:
        """Return whether this was not told of before; it counts as told from now on."""
        return self._is_new_still(bank, found) if found.is_still else self._is_new(bank, found)

    def _is_new(self, bank: str, found: StreamMatch) -> bool:
        # Where a copy runs at another speed the offset wanders, and is followed at its end.
        offset_s = found.offset_at_s(found.stretch.end_s)
        for one in self._at_offsets:
            is_same = abs(one.offset_s - offset_s) <= SAME_OFFSET_S
            if (one.bank, one.item) == (bank, found.item) and is_same:
                one.offset_s = offset_s
                return False
        self._at_offsets.append(_AtOffset(bank, found.item, offset_s))
        return True

    def _is_new_still(self, bank: str, found: StreamMatch) -> bool:
        start_s, end_s = found.seconds
        for one in self._stills:
            is_near = start_s <= one.end_s + self._gone_s and end_s >= one.start_s - self._gone_s
            if (one.bank, one.item) == (bank, found.item) and is_near:
                one.start_s, one.end_s = min(one.start_s, start_s), max(one.end_s, end_s)
                return False
        self._stills.append(_Still(bank, found.item, start_s, end_s))
        return True
