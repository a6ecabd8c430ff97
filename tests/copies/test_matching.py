from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.copies import matching
from pipeline.copies.banks import RECORD
from pipeline.copies.matching import MAX_DISTANCE, VideoStretch


def item(num_s: int, seed: int = 0) -> NDArray[np.void]:
    """An item of which four different pictures a second are hashed."""
    rng = np.random.default_rng(seed)
    records = np.zeros(4 * num_s, RECORD)
    records["time_ms"] = np.arange(4 * num_s) * 250
    records["pdq"] = rng.integers(0, 256, (4 * num_s, 32), np.uint8)
    records["mirror"] = rng.integers(0, 256, (4 * num_s, 32), np.uint8)
    return records


def flipped(hashes: NDArray[np.uint8], num_bits: int) -> NDArray[np.uint8]:
    bits = np.unpackbits(hashes, axis=1)
    bits[:, :num_bits] ^= 1
    return np.packbits(bits, axis=1)


def times(num: int, step_ms: int = 1000) -> NDArray[np.uint32]:
    return (np.arange(num) * step_ms).astype(np.uint32)


def test_an_excerpt_is_found_with_its_seconds() -> None:
    whole = item(60)
    shown = flipped(whole["pdq"][4 * 20 : 4 * 30 : 4], 6)
    assert matching.stretches(times(10) + np.uint32(5000), shown, whole) == [
        VideoStretch(
            start_s=5.0,
            end_s=14.0,
            item_start_s=20.0,
            item_end_s=29.0,
            offset_s=15.0,
            mirrored=False,
            median_distance=6.0,
            num_frames=10,
            num_between=10,
        )
    ]


def test_a_mirror_image_is_found() -> None:
    whole = item(20)
    (found,) = matching.stretches(times(5), whole["mirror"][8:28:4], whole)
    assert (found.mirrored, found.offset_s, found.num_frames) == (True, 2.0, 5)


@pytest.mark.parametrize(("num_bits", "num_found"), [(MAX_DISTANCE, 1), (MAX_DISTANCE + 1, 0)])
def test_the_distance_is_exact(num_bits: int, num_found: int) -> None:
    whole = item(20)
    found = matching.stretches(times(20), flipped(whole["pdq"][::4], num_bits), whole)
    assert len(found) == num_found
    assert [one.median_distance for one in found] == [num_bits] * num_found


def test_frames_that_agree_on_no_offset_are_no_match() -> None:
    whole = item(60)
    # Backwards, three seconds at a time: each frame is found, at an offset of its own.
    assert matching.stretches(times(20), whole["pdq"][::-1][::12], whole) == []
    two = np.concatenate([whole["pdq"][[40, 44]], item(20, seed=9)["pdq"][::4]])
    assert matching.stretches(times(22), two, whole) == []


def test_a_short_video_has_to_agree_in_all_of_its_frames() -> None:
    whole = item(30)
    shown = whole["pdq"][[40, 44]]
    (found,) = matching.stretches(times(2), shown, whole)
    assert (found.offset_s, found.num_frames) == (10.0, 2)
    other = np.concatenate([shown[:1], item(1, seed=5)["pdq"][:1]])
    assert matching.stretches(times(2), other, whole) == []


def test_a_short_item_is_found_in_a_long_video() -> None:
    short = item(2)
    around = item(30, seed=7)["pdq"][::4]
    shown = np.concatenate([around[:10], short["pdq"][[0, 4]], around[10:]])
    (found,) = matching.stretches(times(32), shown, short)
    assert (found.start_s, found.end_s, found.offset_s) == (10.0, 11.0, -10.0)


def test_two_parts_of_one_item_are_two_stretches() -> None:
    whole = item(60)
    shown = np.concatenate([whole["pdq"][160:184:4], whole["pdq"][40:56:4]])
    first, second = matching.stretches(times(10), shown, whole)
    assert (first.start_s, first.end_s, first.offset_s, first.num_frames) == (0, 5, 40, 6)
    assert (second.start_s, second.end_s, second.offset_s, second.num_frames) == (6, 9, 4, 4)


def test_a_still_shown_for_long_is_one_stretch() -> None:
    still = item(40)
    still["pdq"] = still["pdq"][0]
    found = matching.stretches(times(30), np.repeat(still["pdq"][:1], 30, axis=0), still)
    assert [one.num_frames for one in found] == [30]


def test_nothing_matches_nothing() -> None:
    assert matching.stretches(times(0), np.zeros((0, 32), np.uint8), item(5)) == []
    assert matching.stretches(times(3), item(3)["pdq"][::4], np.zeros(0, RECORD)) == []


def test_several_hashes_of_a_frame_count_once() -> None:
    whole = item(60)
    shown = flipped(whole["pdq"][80:88:4], 4)
    both = np.stack([flipped(shown, 8), shown], axis=1).reshape(-1, 32)
    other = item(20, seed=3)["pdq"][::4]
    ms = np.concatenate([np.repeat(times(2), 2), times(20) + np.uint32(2000)])
    # Two frames do not make a match, however many hashes they have.
    assert matching.stretches(ms, np.concatenate([both, other]), whole) == []
    three = np.concatenate([both, whole["pdq"][88:89], other])
    ms = np.concatenate([np.repeat(times(2), 2), times(21) + np.uint32(2000)])
    (found,) = matching.stretches(ms, three, whole)
    assert (found.num_frames, found.num_between, found.median_distance) == (3, 3, 4)


@pytest.mark.parametrize("speed", [0.8, 1.25, 1.9])
def test_a_copy_at_another_speed_is_one_match_that_names_it(speed: float) -> None:
    whole = item(120)
    shown_ms = speed * times(40) + 20_000
    shown = whole["pdq"][np.rint(shown_ms / 250).astype(int)]
    (found,) = matching.stretches(times(40), shown, whole)
    assert found.speed == pytest.approx(speed, abs=0.01)
    assert found.num_frames == 40
    assert found.item_start_s == pytest.approx(20, abs=0.3)
    assert found.item_end_s == pytest.approx(20 + 39 * speed, abs=0.3)
    assert found.offset_s == pytest.approx(20, abs=0.5)


def test_a_few_frames_name_no_speed_of_their_own() -> None:
    whole = item(120)
    for num, is_named in ((4, False), (8, True)):
        shown = whole["pdq"][4 * 20 + 8 * np.arange(num)]
        (found,) = matching.stretches(times(num), shown, whole)
        assert (found.speed > 1.9) is is_named
        assert (found.speed == 1) is not is_named


def test_parts_are_compared_with_their_kind_alone() -> None:
    whole = item(20)
    whole["kind"][1::2] = 1
    shown = whole["pdq"][8:28:4]
    of_part = whole["pdq"][9:29:4]
    kinds = np.ones(5, np.uint8)
    assert matching.stretches(times(5), of_part, whole) == []
    assert matching.stretches(times(5), shown, whole, kinds) == []
    (found,) = matching.stretches(times(5), of_part, whole, kinds)
    assert (found.num_frames, found.num_in_part, found.offset_s) == (5, 5, 2.25)
    (found,) = matching.stretches(times(5), shown, whole)
    assert (found.num_frames, found.num_in_part) == (5, 0)


def test_windows_count_where_three_frames_can_agree() -> None:
    still, short, whole = item(1), item(2), item(20)
    windows, wholes = np.ones(20, bool), np.zeros(20, bool)
    for known in (still, short):
        shown = known["pdq"][::4]
        assert matching.stretches(times(len(shown)), shown, known, None, wholes[: len(shown)])
        assert not matching.stretches(times(len(shown)), shown, known, None, windows[: len(shown)])
        # However long the video is.
        long = np.concatenate([shown, item(18, seed=4)["pdq"][::4]])
        assert matching.stretches(times(len(long)), long, known, None, wholes[: len(long)])
        assert not matching.stretches(times(len(long)), long, known, None, windows[: len(long)])
    shown = whole["pdq"][::4]
    assert not matching.stretches(times(2), shown[:2], whole, None, windows[:2])
    (found,) = matching.stretches(times(3), shown[:3], whole, None, windows[:3])
    assert found.num_frames == 3
