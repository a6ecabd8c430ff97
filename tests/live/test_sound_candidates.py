from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.copies import candidates
from pipeline.copies.bank_log import Item
from pipeline.copies.banks import RECORD, SOUND_RECORD, Bank
from pipeline.live.sound_candidates import SoundCandidates


def bank_of(num_items: int, length: int, *, narrow: bool) -> Bank:
    rng = np.random.default_rng(1)
    sounds = np.zeros(num_items * length, SOUND_RECORD)
    sounds["item"] = np.repeat(np.arange(1, num_items + 1), length)
    sounds["print"] = rng.integers(0, 2**32, len(sounds))
    nums = (0, length) if narrow else (length, 0)
    items = {
        number: Item(
            *(number, "a", "a", "", "", 1.0, 0, 0, ""),
            *((number - 1) * length, nums[0], "", "", 0, nums[1]),
        )
        for number in range(1, num_items + 1)
    }
    return Bank("b", items, np.zeros(0, RECORD), sounds)


@pytest.mark.parametrize("narrow", [False, True])
def test_the_same_items_are_named_as_by_a_look_at_all_that_may_end_now(narrow: bool) -> None:
    rng = np.random.default_rng(0)
    bank, half = bank_of(4, 150, narrow=narrow), candidates.sound_part(narrow=narrow)
    noise = rng.integers(0, 2**32, 400).astype(np.uint32)
    heard = np.concatenate(
        [noise[:90], bank.sounds["print"][160:290], noise[90:200], bank.sounds["print"][460:520]]
    )
    known, at, found = SoundCandidates(narrow=narrow), 0, set[int]()
    for num_new in [8, 16, 1, 8, 40, 3] * 10:
        if at + num_new > len(heard):
            break
        at += num_new
        late = heard[max(0, at - 200) : at]
        named = known.of(late, num_new, at, bank)
        assert named == candidates.by_sound(late, num_new + half, bank, narrow=narrow)
        found.update(named)
    assert found == {2, 4}


def test_each_moment_is_compared_once_but_with_a_bank_that_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bank, looks = bank_of(2, 100, narrow=False), list[int]()
    by_sound = candidates.by_sound

    def counted(items: np.ndarray, num_new: int, bank: Bank, *, narrow: bool) -> list[int]:
        looks.append(num_new)
        return by_sound(items, num_new, bank, narrow=narrow)

    monkeypatch.setattr(candidates, "by_sound", counted)
    known, items = SoundCandidates(narrow=False), np.arange(60, dtype=np.uint32)
    half = candidates.sound_part(narrow=False)
    for num_so_far, now in ((60, bank), (68, bank), (76, replace(bank)), (84, bank)):
        known.of(items, 8, num_so_far, now)
    assert looks == [8 + half, 8, 8 + half, 8 + half]
