from __future__ import annotations

import pytest

from pipeline.copies.bank_log import Item
from pipeline.copies.matches import Match, set_aside_by_negatives
from pipeline.copies.matching import VideoStretch
from pipeline.copies.sound_matching import SoundStretch

ITEM = Item(1, "a.mp4", "a", "", "", 60.0, 0, 0, "", 0, 0, "")


def shown(start_s: float, end_s: float, *, negative: bool = False) -> Match:
    stretch = VideoStretch(start_s, end_s, start_s, end_s, 0.0, False, 4.0, 9, 9)
    return Match("n" if negative else "b", ITEM, stretch, is_negative=negative)


def heard(start_s: float, end_s: float, *, negative: bool = False) -> Match:
    stretch = SoundStretch(start_s, end_s, start_s, end_s, 0.0, 2.0, 60, 60)
    return Match("n" if negative else "b", ITEM, stretch, is_negative=negative)


def same_bytes(*, negative: bool = False) -> Match:
    return Match("n" if negative else "b", ITEM, None, is_negative=negative)


@pytest.mark.parametrize(
    ("match", "negatives", "counts"),
    [
        (shown(5, 20), [shown(5, 20, negative=True)], False),
        (shown(5, 20), [shown(0, 60, negative=True)], False),
        # A picture before or after what is harmless is none of it.
        (shown(5, 20), [shown(6, 20, negative=True)], True),
        (shown(5, 20), [shown(5, 19, negative=True)], True),
        (shown(5, 5), [shown(5.5, 20, negative=True)], True),
        # Several cover it between them, or leave a hole.
        (shown(5, 20), [shown(12, 30, negative=True), shown(0, 11, negative=True)], False),
        (shown(5, 20), [shown(14, 30, negative=True), shown(0, 11, negative=True)], True),
        # Neighbours may be a second apart, not one for each of them.
        (shown(5, 20), [shown(5, 11, negative=True), shown(12.5, 20, negative=True)], True),
        (heard(5, 40), [heard(5, 20, negative=True), heard(22.5, 40, negative=True)], False),
        (heard(5, 40), [heard(5, 20, negative=True), heard(23, 40, negative=True)], True),
        # What ends before a match covers nothing of it.
        (shown(5, 6.5), [shown(0, 4.9, negative=True)], True),
        (shown(5, 5), [shown(5, 5, negative=True)], False),
        (shown(5, 20), [], True),
        (heard(5, 20), [heard(7.5, 17.5, negative=True)], False),
        (heard(5, 20), [heard(8, 17, negative=True)], True),
        # The same pictures under other sound, and the other way round, are another thing.
        (heard(5, 20), [shown(0, 60, negative=True)], True),
        (shown(5, 20), [heard(0, 60, negative=True)], True),
        (shown(5, 20), [same_bytes(negative=True)], False),
        (same_bytes(), [same_bytes(negative=True)], False),
        (same_bytes(), [shown(0, 60, negative=True)], True),
    ],
)
def test_a_match_counts_unless_negative_ones_cover_all_of_it(
    match: Match, negatives: list[Match], counts: bool
) -> None:
    found = set_aside_by_negatives([match, *negatives])
    assert found[0].counts is counts
    assert (found[0].set_aside is None) is counts
    assert found[1:] == negatives
    assert not any(one.counts for one in found[1:])
