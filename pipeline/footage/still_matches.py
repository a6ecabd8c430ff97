"""Tells which items of banks a file shows where one of both is one picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from pipeline.copies import stills
from pipeline.copies.bank_log import Item
from pipeline.copies.banks import Bank
from pipeline.copies.hash_index import Index
from pipeline.copies.matches import (
    RATE_HZ,
    FileLookup,
    Match,
    item_in_words,
    set_aside_by_negatives,
)
from pipeline.copies.matching import VideoStretch
from pipeline.footage import lookup
from pipeline.footage.printing import Printed

_OF_STRETCH = {one.name for one in fields(VideoStretch)}


@dataclass(frozen=True, kw_only=True)
class StillMatch(Match):
    """A place at which a file and an item show the same, of which one is one picture.

    Attributes:
        stretch: as `stills.places` gives it.
        file_is_still, item_is_still: whether one or the other is one picture.
    """

    stretch: VideoStretch
    file_is_still: bool
    item_is_still: bool

    @property
    def by(self) -> str:
        """Return what it is known by."""
        return stills.BY

    @property
    def agreeing_s(self) -> float:
        """None: that more pictures are near the same one says nothing new."""
        return 0.0

    def as_json(self) -> dict[str, object]:
        """Return what a program is told."""
        about = {key: said for key, said in super().as_json().items() if key not in _OF_STRETCH}
        return about | stills.as_data(
            self.stretch, file_is_still=self.file_is_still, item_is_still=self.item_is_still
        )

    def _where(self) -> str:
        place = self.stretch
        at_s = stills.nearest_s(
            place, file_is_still=self.file_is_still, item_is_still=self.item_is_still
        )
        if at_s is None:
            shown = "shows this picture"
        elif self.file_is_still:
            shown = f"shows {place.item_start_s:.1f} to {place.item_end_s:.1f} s of it"
        else:
            shown = f"{place.start_s:.1f} to {place.end_s:.1f} s show this picture"
        nearest = "" if at_s is None else f", nearest at {at_s:.1f} s"
        lowest, highest = stills.FALSE_IN_A_MILLION_95
        mirrored = ", mirrored" if place.mirrored else ""
        return (
            f"{item_in_words(self.bank, self.item)}: {shown}{nearest}{mirrored}; one picture "
            f"alone, distance {place.median_distance:g}: {stills.FALSE_IN_A_MILLION:,} in a "
            f"million others are within {stills.MAX_DISTANCE} (95 %: {lowest:,} to {highest:,})"
        )


def has_stills(bank: Bank) -> bool:
    """Return whether any item of a bank is one picture."""
    return any(_is_still(bank, item) for item in bank.items.values())


def each_second(printed: Printed) -> Printed:
    """A file as told by the first hashed picture of each second alone, and by all else."""
    seconds = printed.times_ms // np.uint32(1000 / RATE_HZ)
    _, first, of_second = np.unique(seconds, return_index=True, return_inverse=True)
    # With bars and without them, a picture is there twice.
    is_kept = printed.times_ms == printed.times_ms[first][of_second]
    return replace(
        printed,
        times_ms=printed.times_ms[is_kept],
        hashes=printed.hashes[is_kept],
        quality=printed.quality[is_kept],
    )


def similar(printed: Printed, indices: Sequence[Index]) -> FileLookup:
    """The matches of a file that was hashed: those of most seconds first, of stills the nearest.

    Stills are compared with all hashed pictures, of which there may be more than one a second: one
    that moves on is not near for so long. What has to agree in several is asked of one a second, as
    its false matches were counted.
    """
    answer = lookup.similar(each_second(printed), indices)
    opened = {index.bank.name: index.bank for index in indices}
    file_is_still = stills.is_one_picture(np.concatenate([printed.times_ms, printed.part_times_ms]))
    others = [
        # What covers them may be a still.
        replace(match, set_aside=None)
        for match in answer.matches
        if match.by != "pictures"
        or not (file_is_still or _is_still(opened[match.bank], match.item))
    ]
    found = sorted(
        (match for index in indices for match in _shown(printed, index, file_is_still)),
        key=lambda match: match.stretch.median_distance,
    )
    return replace(answer, matches=set_aside_by_negatives([*others, *found]))


def _shown(printed: Printed, index: Index, file_is_still: bool) -> Iterator[StillMatch]:
    bank = index.bank
    for number in index.near(printed.hashes[:, 0])[0]:
        item = bank.items[number]
        item_is_still = _is_still(bank, item)
        if not (file_is_still or item_is_still):
            continue
        for place in stills.places(printed.times_ms, printed.hashes[:, 0], bank.hashes_of(item)):
            yield StillMatch(
                bank=bank.name,
                item=item,
                stretch=place,
                is_negative=bank.is_negative,
                opinions=bank.opinions.get(number, {}),
                file_is_still=file_is_still,
                item_is_still=item_is_still,
            )


def _is_still(bank: Bank, item: Item) -> bool:
    return stills.is_one_picture(bank.all_hashes_of(item)["time_ms"])
