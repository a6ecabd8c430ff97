"""What the index of a bank finds, against a look at every hash."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.copies import hash_index, multi_index
from pipeline.copies.bank_log import Item
from pipeline.copies.banks import RECORD, SOUND_RECORD, Bank
from pipeline.copies.hash_index import Index

ITEM = 50


def bank_of(num: int, removed: tuple[int, ...] = ()) -> Bank:
    """Items of random hashes."""
    rng = np.random.default_rng(0)
    hashes = np.zeros(num, RECORD)
    hashes["item"] = np.arange(num) // ITEM + 1
    for side in ("pdq", "mirror"):
        hashes[side] = rng.integers(0, 256, (1100, 32))[:num]
    items = {
        number: Item(number, "", "", "", "", 1.0, 0, 0, "", 0, 0, "")
        for number in range(1, num // ITEM + 1)
        if number not in removed
    }
    return Bank("b", items, hashes, np.zeros(0, SOUND_RECORD))


def changed(value: np.ndarray, num_bits: int, seed: int) -> np.ndarray:
    bits = np.unpackbits(value)
    bits[np.random.default_rng(seed).choice(256, num_bits, replace=False)] ^= 1
    return np.packbits(bits)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_index, "MIN_BLOCK", 64)
    monkeypatch.setattr(hash_index, "MAX_BLOCK", 256)


@pytest.mark.usefixtures("small_blocks")
def test_the_index_finds_what_a_look_at_every_hash_finds(tmp_path: Path) -> None:
    bank = bank_of(1000, removed=(7,))
    index, every = hash_index.open_index(tmp_path, bank), Index(bank, [])
    blocks = sorted(path.name.rpartition("-")[0] for path in (tmp_path / "bank-index/b").iterdir())
    assert blocks == ["0-256", "256-512", "512-768", "768-896", "896-960"]
    for seed in range(200):
        place = 5 * seed
        side = ("pdq", "mirror")[seed % 2]
        num_bits = (0, 20, multi_index.MAX_SEARCH_DISTANCE, multi_index.MAX_SEARCH_DISTANCE + 1)[
            seed % 4
        ]
        query = changed(bank.hashes[side][place], num_bits, seed)[None]
        numbers, is_near = index.near(query)
        expected = num_bits <= multi_index.MAX_SEARCH_DISTANCE
        assert is_near.tolist() == [expected]
        assert numbers == [place // ITEM + 1] * (expected and place // ITEM + 1 != 7)
        assert every.near(query)[0] == numbers


@pytest.mark.usefixtures("small_blocks")
def test_an_addition_makes_the_last_blocks_alone(tmp_path: Path) -> None:
    folder = tmp_path / "bank-index/b"
    hash_index.open_index(tmp_path, bank_of(900))
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    hash_index.open_index(tmp_path, bank_of(1100))
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    kept = before.keys() & after.keys()
    assert len(kept) == 3
    assert all(before[name] == after[name] for name in kept)
    # What a bank no longer has is gone from its index too.
    hash_index.open_index(tmp_path, bank_of(300))
    assert [path.name.rpartition("-")[0] for path in folder.iterdir()] == ["0-256"]


@pytest.mark.usefixtures("small_blocks")
def test_who_has_opened_a_bank_before_looks_at_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hash_index.open_index(tmp_path, bank_of(600))
    made: list[int] = []
    inner = hash_index._made
    monkeypatch.setattr(hash_index, "_made", lambda *given: made.append(given[2]) or inner(*given))
    bank = bank_of(800)
    index = hash_index.open_index(tmp_path, bank, before)
    # Of 64 records each, and none of those before made larger, for which the addition would wait.
    assert made == [576, 640, 704]
    assert [block.end - block.first for block in index.blocks] == [256, 256, 64, 64, 64, 64]
    for place in (3, 590, 620, 799):
        assert index.near(bank.hashes["mirror"][place : place + 1])[0] == [place // ITEM + 1]
    made.clear()
    assert hash_index.open_index(tmp_path, bank).near(bank.hashes["pdq"][700:701])[0] == [15]
    assert made == [0, 256, 512], "whoever opens it anew joins them"
    # After a compaction the same places hold something else.
    made.clear()
    hash_index.open_index(tmp_path, replace(bank, generation=1), index)
    assert made == [0, 256, 512]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("damage", ["cut", "changed", "emptied", "other"])
def test_a_damaged_block_is_made_anew(tmp_path: Path, damage: str) -> None:
    bank = bank_of(256)
    hash_index.open_index(tmp_path, bank)
    (path,) = (tmp_path / "bank-index/b").iterdir()
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "cut": whole[:middle],
            "changed": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
            "emptied": b"",
            "other": b"\x80\x04K\x01.",
        }[damage]
    )
    index = hash_index.open_index(tmp_path, bank)
    assert path.read_bytes() == whole
    assert index.near(bank.hashes["pdq"][77:78])[0] == [2]


def test_where_no_index_can_be_written_every_hash_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hash_index, "MIN_BLOCK", 64)
    (tmp_path / "bank-index").write_text("")
    bank = bank_of(100)
    assert hash_index.open_index(tmp_path, bank).near(bank.hashes["pdq"][77:78])[0] == [2]
    assert "look-ups take longer without it" in caplog.text
