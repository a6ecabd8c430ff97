from __future__ import annotations

from collections import Counter

from pipeline.live.placing import group_of

STREAMS = [f"stream-{number}" for number in range(1000)]
GROUPS = [f"group {number}" for number in range(5)]

EXPECTED = ["group 3", "group 4", "group 2"]


def test_streams_are_spread_over_all_groups_and_the_order_of_groups_is_nothing() -> None:
    found = {stream: group_of(stream, GROUPS) for stream in STREAMS}
    assert all(150 < num < 250 for num in Counter(found.values()).values())
    assert {stream: group_of(stream, GROUPS[::-1]) for stream in STREAMS} == found
    # On every machine, and in every version.
    assert [group_of(f"stream-{number}", GROUPS) for number in range(3)] == EXPECTED


def test_only_the_streams_of_a_group_that_went_are_placed_anew() -> None:
    before = {stream: group_of(stream, GROUPS) for stream in STREAMS}
    left = [group for group in GROUPS if group != "group 3"]
    after = {stream: group_of(stream, left) for stream in STREAMS}
    moved = {stream for stream in STREAMS if before[stream] != after[stream]}
    assert moved == {stream for stream in STREAMS if before[stream] == "group 3"}
    # They go to all others, and come back to the one that takes its place.
    assert {after[stream] for stream in moved} == set(left)
    assert {stream: group_of(stream, [*left, "group 3"]) for stream in STREAMS} == before
