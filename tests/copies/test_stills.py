from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.copies import stills
from pipeline.copies.banks import RECORD

RNG = np.random.default_rng(0)
STILL = RNG.integers(0, 256, 32, np.uint8)


def off_by(num_bits: int) -> np.ndarray:
    bits = np.unpackbits(STILL)
    bits[:num_bits] ^= 1
    return np.packbits(bits)


def records_of(times_ms: list[int], hashes: list[np.ndarray]) -> Any:
    records = np.zeros(len(times_ms), RECORD)
    records["time_ms"], records["pdq"] = times_ms, hashes
    records["mirror"] = ~records["pdq"]
    return records


def test_places_are_told_apart_nearest_first_and_what_is_too_far_is_none() -> None:
    bits = [31, 8, 10, 32, 3, 40]
    times_ms = [0, 1000, 2500, 4500, 9000, 10_000]
    records = records_of(times_ms, [off_by(one) for one in bits])
    query = np.zeros(1, np.uint32), STILL[None]
    near, far = stills.places(*query, records)
    assert (near.item_start_s, near.item_end_s, near.offset_s) == (9.0, 9.0, 9.0)
    assert (far.item_start_s, far.item_end_s, far.offset_s) == (0.0, 2.5, 1.0)
    assert (near.median_distance, far.median_distance, far.num_frames) == (3.0, 8.0, 3)
    # The same with both sides exchanged.
    item = records_of([7000], [STILL])
    shown = np.array(times_ms, np.uint32), records["pdq"]
    back = stills.places(*shown, item)
    assert [(one.start_s, one.end_s) for one in back] == [(9.0, 9.0), (0.0, 2.5)]
    assert [7 - one.offset_s for one in back] == [9.0, 1.0]
    assert {(one.item_start_s, one.item_end_s) for one in back} == {(7.0, 7.0)}
    assert stills.places(shown[0], ~shown[1], item)[0].mirrored
    assert stills.as_data(near, file_is_still=True, item_is_still=False)["nearest_s"] == 9.0
    assert stills.as_data(back[1], file_is_still=False, item_is_still=True)["nearest_s"] == 1.0


def test_no_more_places_are_told_than_are_looked_at() -> None:
    records = records_of([5000 * at for at in range(20)], [off_by(20 - at) for at in range(20)])
    found = stills.places(np.zeros(1, np.uint32), STILL[None], records)
    assert len(found) == stills.MAX_PLACES
    assert found[0].median_distance == 1


def test_one_picture_is_of_one_time() -> None:
    assert stills.is_one_picture(np.array([3, 3], np.uint32))
    assert not stills.is_one_picture(np.array([3, 4], np.uint32))
    assert not stills.is_one_picture(np.zeros(0, np.uint32))
    none = np.zeros(0, np.uint32), np.zeros((0, 32), np.uint8)
    assert stills.places(*none, np.zeros(0, RECORD)) == []
