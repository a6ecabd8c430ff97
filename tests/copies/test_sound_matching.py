from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.copies import chromaprint, sound_matching
from pipeline.copies.banks import SOUND_RECORD
from pipeline.copies.chromaprint import ITEM_S, SPAN_S
from pipeline.copies.sound_matching import MAX_BITS, MIN_DISTINCT, WINDOW, SoundStretch


def item(values: NDArray[np.uint32], first_ms: int = 0) -> NDArray[Any]:
    records = np.zeros(len(values), SOUND_RECORD)
    records["time_ms"], records["print"] = times(len(values), first_ms), values
    return records


def times(num: int, first_ms: int = 0) -> NDArray[np.uint32]:
    return (first_ms + np.rint(1000 * ITEM_S * np.arange(num))).astype(np.uint32)


def moments(num: int, seed: int = 0) -> NDArray[np.uint32]:
    return np.random.default_rng(seed).integers(0, 2**32, num, dtype=np.uint32)


def flipped(values: NDArray[np.uint32], num_bits: int) -> NDArray[np.uint32]:
    return values ^ np.uint32((1 << num_bits) - 1)


def test_an_excerpt_under_other_sound_is_found_with_its_seconds() -> None:
    whole = moments(300)
    shown = np.concatenate([moments(40, 1), flipped(whole[100:180], 3), moments(50, 2)])
    assert sound_matching.stretches(times(170, 500), shown, item(whole, 2000)) == [
        SoundStretch(
            start_s=round(0.5 + 40 * ITEM_S, 3),
            end_s=round(0.5 + 119 * ITEM_S + SPAN_S, 3),
            item_start_s=round(2 + 100 * ITEM_S, 3),
            item_end_s=round(2 + 179 * ITEM_S + SPAN_S, 3),
            offset_s=round(1.5 + 60 * ITEM_S, 3),
            mean_distance=3.0,
            num_items=80,
            num_between=80,
        )
    ]


@pytest.mark.parametrize(("num", "num_found"), [(WINDOW, 1), (WINDOW - 1, 0)])
def test_as_many_moments_are_needed_as_a_window_holds(num: int, num_found: int) -> None:
    whole = moments(200)
    assert len(sound_matching.stretches(times(num), whole[50 : 50 + num], item(whole))) == num_found


@pytest.mark.parametrize(("more", "num_found"), [(0, 1), (1, 0)])
def test_the_mean_distance_is_exact(more: int, num_found: int) -> None:
    whole, shown = moments(WINDOW), moments(WINDOW)
    half = WINDOW // 2
    assert 2 * MAX_BITS == 9
    shown[:half], shown[half:] = flipped(shown[:half], 4), flipped(shown[half:], 5)
    shown[0] ^= np.uint32(more << 31)
    found = sound_matching.stretches(times(WINDOW), shown, item(whole))
    assert len(found) == num_found


def test_two_parts_of_an_item_in_another_order_are_two_stretches() -> None:
    whole = moments(400)
    shown = np.concatenate([whole[300:400], whole[100:160]])
    found = sound_matching.stretches(times(160), shown, item(whole))
    assert [one.num_items for one in found] == [100, 60]
    assert [round(one.item_start_s / ITEM_S) for one in found] == [300, 100]


def test_of_passages_that_repeat_themselves_the_nearest_is_told() -> None:
    passage = moments(80)
    whole = np.concatenate(
        [flipped(passage, 3), moments(30, 1), passage, moments(30, 2), flipped(passage, 2)]
    )
    found = sound_matching.stretches(times(80), passage, item(whole))
    assert [(round(one.item_start_s / ITEM_S), one.mean_distance) for one in found] == [(110, 0.0)]


def test_moments_that_are_missing_do_not_move_what_comes_after_them() -> None:
    whole = moments(300)
    is_kept = np.ones(300, bool)
    is_kept[100:130] = False
    (found,) = sound_matching.stretches(times(300)[is_kept], whole[is_kept], item(whole))
    assert (found.offset_s, found.num_items, found.num_between) == (0.0, 270, 300)


def test_what_is_the_same_all_the_time_is_like_nothing() -> None:
    hum = np.resize(moments(MIN_DISTINCT - 1), 200)
    assert sound_matching.stretches(times(200), hum, item(hum)) == []
    varied = np.resize(moments(MIN_DISTINCT), 200)
    assert sound_matching.stretches(times(200), varied, item(varied))


def test_a_tone_between_different_sounds_is_like_nothing() -> None:
    def with_tone(seed: int) -> NDArray[np.uint32]:
        tone = np.full(WINDOW + 8, 0x12345678, np.uint32)
        return np.concatenate([moments(100, seed), tone, moments(100, seed + 1)])

    assert sound_matching.stretches(times(256), with_tone(1), item(with_tone(3))) == []
    assert sound_matching.stretches(times(256), with_tone(1), item(with_tone(1)))


def test_sound_can_match_where_a_window_of_it_is_whole_and_varied() -> None:
    assert sound_matching.can_match(item(moments(WINDOW)))
    assert not sound_matching.can_match(item(moments(WINDOW - 1)))
    assert not sound_matching.can_match(item(moments(0)))
    assert not sound_matching.can_match(item(np.resize(moments(MIN_DISTINCT - 1), 200)))
    holed = np.delete(item(moments(2 * WINDOW - 1)), WINDOW - 1)
    assert not sound_matching.can_match(holed)


def test_other_sound_and_no_sound_match_nothing() -> None:
    whole = item(moments(400))
    assert sound_matching.stretches(times(300), moments(300, 9), whole) == []
    none = np.zeros(0, np.uint32)
    assert sound_matching.stretches(none, none, whole) == []
    assert sound_matching.stretches(times(300), moments(300), whole[:0]) == []


def test_a_window_anywhere_is_found_at_every_offset() -> None:
    # What is before and after it differs in every bit.
    known = moments(3 * WINDOW)
    for first in range(2 * WINDOW + 1):
        shown = ~known
        shown[first : first + WINDOW] = known[first : first + WINDOW]
        (found,) = sound_matching.stretches(times(len(shown)), shown, item(known))
        assert (round(found.start_s / ITEM_S), found.num_items) == (first, WINDOW)


def test_real_prints_of_sound_that_was_cut_and_dulled_are_found() -> None:
    rng = np.random.default_rng(4)
    pitches = rng.uniform(200, 2000, 100).repeat(chromaprint.RATE_HZ // 3)
    tune = np.sin(2 * np.pi * np.cumsum(pitches) / chromaprint.RATE_HZ)
    noisy = (
        tune[10 * chromaprint.RATE_HZ :] * 0.3
        + rng.normal(0, 0.03, tune.size)[10 * chromaprint.RATE_HZ :]
    )
    whole, cut = (_print(samples) for samples in (tune, noisy))
    (found,) = sound_matching.stretches(times(len(cut)), cut, item(whole))
    assert found.offset_s == pytest.approx(10.0, abs=ITEM_S)
    assert found.num_items > 0.9 * len(cut)


def _print(samples: NDArray[np.float64]) -> NDArray[np.uint32]:
    printer = chromaprint.Chromaprint()
    printer.add(samples)
    return printer.items()


def test_of_all_sound_and_a_narrow_band_what_agrees_longer_is_told_once() -> None:
    whole, narrow = moments(300, 1), moments(300, 2)
    known = item(whole), item(narrow)
    # All sound agrees in a part, and the narrow band in all of it.
    heard = np.concatenate([whole[100:160], moments(60, 3)])
    (found,) = sound_matching.of_both((item(heard), item(narrow[100:220])), known)
    assert (found.narrow, found.num_items) == (True, 120)
    (found,) = sound_matching.of_both((item(whole[100:220]), item(narrow[100:220])), known)
    assert (found.narrow, found.num_items) == (False, 120)
    # At other seconds of the item they are two answers.
    both = sound_matching.of_both((item(whole[:100]), item(narrow[200:300])), known)
    assert [(one.narrow, round(one.offset_s / ITEM_S)) for one in both] == [(False, 0), (True, 200)]
    # A copy at another speed is one after the other, at offsets that lie close.
    heard = np.concatenate([whole[:80], whole[82:162]])
    apart = sound_matching.of_both((item(heard), item(moments(0))), known)
    assert [one.num_items for one in apart] == [80, 80]
    assert apart[0].end_s > apart[1].start_s
    none = item(moments(0))
    assert sound_matching.of_both((item(whole), item(narrow)), (none, none)) == []
    assert sound_matching.of_both((none, none), known) == []
