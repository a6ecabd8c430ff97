"""What a quick look at a bank finds, against what the searches in its items find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.copies import banks, candidates, matching, sound_matching
from pipeline.copies.bank_log import Item
from pipeline.copies.banks import RECORD, SOUND_RECORD, Bank
from pipeline.copies.hash_index import Index

SOUND_PART = sound_matching.WINDOW // 2
NUM_ITEMS, LENGTH, NUM_SOUNDS = 6, 20, 120


def bank_of(rng: np.random.Generator) -> Bank:
    """Items of random hashes, of which the third is removed."""
    hashes = np.zeros(NUM_ITEMS * LENGTH, RECORD)
    sounds = np.zeros(NUM_ITEMS * NUM_SOUNDS, SOUND_RECORD)
    hashes["item"] = np.repeat(np.arange(1, NUM_ITEMS + 1), LENGTH)
    sounds["item"] = np.repeat(np.arange(1, NUM_ITEMS + 1), NUM_SOUNDS)
    hashes["time_ms"] = np.tile(np.arange(LENGTH) * 1000, NUM_ITEMS)
    sounds["time_ms"] = np.tile(np.rint(np.arange(NUM_SOUNDS) * 123.8), NUM_ITEMS)
    for side in ("pdq", "mirror"):
        hashes[side] = rng.integers(0, 256, (len(hashes), 32))
    sounds["print"] = rng.integers(0, 2**32, len(sounds))
    items = {
        number: Item(
            number, f"{number}.mp4", "", "", "", 20.0,
            (number - 1) * LENGTH, LENGTH, "", (number - 1) * NUM_SOUNDS, NUM_SOUNDS, "",
        )
        for number in range(1, NUM_ITEMS + 1)
        if number != 3
    }  # fmt: skip
    return Bank("b", items, hashes, sounds)


def flipped(values: np.ndarray, num_bits: int, rng: np.random.Generator) -> np.ndarray:
    """Values with some bits of each changed."""
    bits = np.unpackbits(np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1), 1)
    for row in bits:
        row[rng.choice(len(row), num_bits, replace=False)] ^= 1
    return np.packbits(bits, 1)


def test_pictures_near_an_item_or_its_mirror_image_make_a_candidate() -> None:
    rng = np.random.default_rng(0)
    bank = bank_of(rng)
    for number, side, num_bits, expected in [
        (2, "pdq", 31, [2]),
        (5, "mirror", 31, [5]),
        (2, "pdq", 40, []),
        (3, "pdq", 0, []),
    ]:
        query = flipped(bank.hashes[side][(number - 1) * LENGTH + 4 :][:4], num_bits, rng)
        assert Index(bank, []).near(query)[0] == expected
        times = np.arange(4, dtype=np.uint32) * 1000
        found = [
            one
            for one, item in bank.items.items()
            if matching.stretches(times, query, bank.hashes_of(item))
        ]
        assert found == expected
    assert Index(bank, []).near(np.zeros((0, 32), np.uint8))[0] == []


def windows(bank: Bank, query: np.ndarray) -> list[Any]:
    times = np.rint(np.arange(len(query)) * 123.8).astype(np.uint32)
    return [
        number
        for number, item in bank.items.items()
        if sound_matching.stretches(times, query, bank.sounds_of(item))
    ]


def test_sound_near_an_item_makes_a_candidate_as_soon_as_half_a_window_agrees() -> None:
    rng = np.random.default_rng(1)
    bank = bank_of(rng)
    other = rng.integers(0, 2**32, 60).astype(np.uint32)
    known = bank.sounds["print"][4 * NUM_SOUNDS + 30 :][:60]
    near = flipped(known, 4, rng).view(np.uint32).ravel()
    far = flipped(known, 8, rng).view(np.uint32).ravel()
    query = np.concatenate([other, near])
    assert windows(bank, query) == [5]
    assert candidates.by_sound(query, 10, bank) == [5]
    assert candidates.by_sound(query[: 60 + SOUND_PART], 1, bank) == [5]
    assert candidates.by_sound(query[: 60 + SOUND_PART - 4], 1, bank) == []
    # What agreed before is found by those who ask for it.
    later = np.concatenate([near, other[:20]])
    assert candidates.by_sound(later, 10, bank) == []
    assert candidates.by_sound(later, 21, bank) == [5]
    assert candidates.by_sound(np.concatenate([other, far]), 10, bank) == []
    assert candidates.by_sound(bank.sounds["print"][2 * NUM_SOUNDS :][:60], 60, bank) == []


def test_moments_of_a_narrow_band_are_compared_with_such_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    whole, narrow = np.zeros(80, SOUND_RECORD), np.zeros(80, SOUND_RECORD)
    for records in (whole, narrow):
        records["time_ms"] = np.rint(np.arange(80) * 123.8)
        records["print"] = rng.integers(0, 2**32, 80)
    with banks.writing(tmp_path, "b", create=True) as writer:
        told = "a", "", "", 7.0, np.zeros(0, RECORD)
        writer.add("whole alone.mp4", *told, whole)
        writer.add("both.mp4", *told, whole[::-1], narrow=narrow)
    bank = banks.read(tmp_path, "b")
    for items, is_narrow, expected in (
        (whole, False, [1]),
        (whole, True, []),
        (narrow, False, []),
        (narrow, True, [2]),
        (whole[::-1], False, [2]),
    ):
        query = np.ascontiguousarray(items["print"])
        assert candidates.by_sound(query, 80, bank, narrow=is_narrow) == expected
