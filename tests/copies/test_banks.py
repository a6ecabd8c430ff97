from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.copies import bank_log, banks
from pipeline.copies.banks import HASHES, ITEMS, RECORD, SOUND_RECORD, SOUNDS, Bank, Item, Writer
from pipeline.errors import UserError


def add(bank: Writer, seed: int, num_hashes: int = 3) -> Item:
    rng = np.random.default_rng(seed)
    hashes, sounds = np.zeros(num_hashes, RECORD), np.zeros(2 * num_hashes, SOUND_RECORD)
    hashes["time_ms"], hashes["quality"] = np.arange(num_hashes) * 250, 80
    both = rng.integers(0, 256, (num_hashes, 2, 32), np.uint8)
    hashes["pdq"], hashes["mirror"] = both[:, 0], both[:, 1]
    sounds["time_ms"] = np.arange(2 * num_hashes) * 124
    sounds["print"] = rng.integers(0, 2**32, 2 * num_hashes)
    told = f"{seed}.mp4", f"label {seed}", f"{seed:064x}", f"{seed:032x}"
    return bank.add(*told, num_hashes / 4, hashes, sounds)


def made(root: Path, num_items: int = 3) -> Path:
    with banks.writing(root, "b", create=True) as bank:
        for seed in range(1, num_items + 1):
            add(bank, seed)
    return root / "b"


def contents(bank: Bank) -> dict[int, tuple[Item, bytes, bytes]]:
    return {
        n: (item, bank.hashes_of(item).tobytes(), bank.sounds_of(item).tobytes())
        for n, item in bank.items.items()
    }


def test_what_was_added_is_read(tmp_path: Path) -> None:
    with banks.writing(tmp_path, "b", create=True) as bank:
        first, flat, last = add(bank, 1), add(bank, 2, num_hashes=0), add(bank, 3, num_hashes=5)
    found = banks.read(tmp_path, "b")
    assert list(found.items.values()) == [first, flat, last]
    assert (first.number, last.number, last.first_hash, last.num_hashes) == (1, 3, 3, 5)
    rng = np.random.default_rng(3)
    hashes = rng.integers(0, 256, (5, 2, 32), np.uint8)
    records, sounds = found.hashes_of(last), found.sounds_of(last)
    assert (last.first_sound, last.num_sounds) == (6, 10)
    assert np.array_equal(sounds["print"], rng.integers(0, 2**32, 10).astype(np.uint32))
    assert (sounds["time_ms"][-1], set(sounds["item"])) == (1116, {3})
    assert np.array_equal(records["pdq"], hashes[:, 0])
    assert np.array_equal(records["mirror"], hashes[:, 1])
    assert records["time_ms"].tolist() == [0, 250, 500, 750, 1000]
    assert records["item"].tolist() == [3] * 5
    assert (tmp_path / "b" / HASHES).stat().st_size == 8 * RECORD.itemsize
    assert found.with_bytes(flat.sha256) == flat
    assert found.with_bytes("0" * 64) is None
    assert banks.names(tmp_path) == ["b"]


def test_a_removed_item_is_gone_and_its_number_is_not_given_again(tmp_path: Path) -> None:
    made(tmp_path)
    with banks.writing(tmp_path, "b") as bank:
        assert bank.remove(3).name == "3.mp4"
        with pytest.raises(UserError, match="no item 3; see discern bank show b"):
            bank.remove(3)
        assert add(bank, 9).number == 4
    found = banks.read(tmp_path, "b")
    assert list(found.items) == [1, 2, 4]
    assert found.with_bytes(f"{3:064x}") is None


def test_no_truncation_of_an_addition_loses_an_item_or_gives_a_wrong_one(tmp_path: Path) -> None:
    folder = made(tmp_path / "whole")
    expected = contents(banks.read(tmp_path / "whole", "b"))
    names = (ITEMS, HASHES, SOUNDS)
    items, hashes, sounds = ((folder / name).read_bytes() for name in names)
    start, before = items[:-1].rindex(b"\n") + 1, 2 * len(sounds) // 3
    # A kill leaves some of the records and no line, or all of them and some of the line.
    left = [(start, size, before) for size in range(2 * len(hashes) // 3, len(hashes) + 1)]
    left += [(start, len(hashes), size) for size in range(before, len(sounds) + 1)]
    left += [(size, len(hashes), len(sounds)) for size in range(start, len(items) + 1)]
    for num, (num_items, num_hashes, num_sounds) in enumerate(left):
        root = tmp_path / str(num)
        shutil.copytree(folder, root / "b")
        (root / "b" / ITEMS).write_bytes(items[:num_items])
        (root / "b" / HASHES).write_bytes(hashes[:num_hashes])
        (root / "b" / SOUNDS).write_bytes(sounds[:num_sounds])
        found = contents(banks.read(root, "b"))
        is_whole = num_items >= len(items) - 1
        assert found == {n: one for n, one in expected.items() if n < 3 or is_whole}
        with banks.writing(root, "b") as bank:
            again = add(bank, 3 + is_whole)
        assert again.number == 3 + is_whole
        assert contents(banks.read(root, "b")).items() >= expected.items()
        shutil.rmtree(root)


@pytest.mark.parametrize("name", [HASHES, SOUNDS])
def test_lost_hashes_are_an_error_until_their_item_is_removed(tmp_path: Path, name: str) -> None:
    folder = made(tmp_path)
    whole = (folder / name).read_bytes()
    for size in range(len(whole)):
        (folder / name).write_bytes(whole[:size])
        with pytest.raises(UserError, match=rf"{name}: what it holds of item [123]"):
            banks.read(tmp_path, "b")
    (folder / name).write_bytes(whole[:-1])
    with pytest.raises(UserError, match="bank remove b 3 and add the video again"):
        banks.read(tmp_path, "b")
    with banks.writing(tmp_path, "b") as bank:
        bank.remove(3)
        again = add(bank, 3)
    assert list(banks.read(tmp_path, "b").items) == [1, 2, again.number]


def test_changed_bytes_are_an_error(tmp_path: Path) -> None:
    folder = made(tmp_path)
    lost = "is damaged or missing"
    for name, reason in ((HASHES, lost), (SOUNDS, lost), (ITEMS, "line [123]: damaged")):
        whole = (folder / name).read_bytes()
        for at in range(0, len(whole) - 1):
            # The end of the last line may be one that a kill left unfinished.
            changed = bytearray(whole)
            changed[at] ^= 1
            (folder / name).write_bytes(changed)
            with pytest.raises(UserError, match=reason):
                banks.read(tmp_path, "b")
        (folder / name).write_bytes(whole)
    assert len(banks.read(tmp_path, "b").items) == 3


def test_lines_that_cannot_stand_where_they_do_are_an_error(tmp_path: Path) -> None:
    folder = made(tmp_path)
    lines = (folder / ITEMS).read_bytes().splitlines(keepends=True)
    for wrong in ([lines[1]], [*lines, lines[0]], [lines[0], lines[2]]):
        (folder / ITEMS).write_bytes(b"".join(wrong))
        with pytest.raises(UserError, match=r"line \d: damaged; put the file back"):
            banks.read(tmp_path, "b")


def test_a_bank_of_a_later_format_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path, 1)
    entry = json.loads((folder / ITEMS).read_text())
    del entry["check"]
    (folder / ITEMS).write_bytes(bank_log.line_of({**entry, "format": 3}) + b"\n")
    with pytest.raises(UserError, match="format 3, and this version of Discern reads format 2"):
        banks.read(tmp_path, "b")


def test_a_second_writer_is_refused_and_a_reader_is_not(tmp_path: Path) -> None:
    made(tmp_path)
    with banks.writing(tmp_path, "b"):
        with (
            pytest.raises(UserError, match="another process changes it"),
            banks.writing(tmp_path, "b"),
        ):
            pass
        assert len(banks.read(tmp_path, "b").items) == 3
    with banks.writing(tmp_path, "b") as bank:
        assert len(bank.items) == 3


@pytest.mark.parametrize("name", ["", "..", "../b", "a/b", ".b", "-b", "b b", "b" * 101, "é"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(UserError, match="is no name of a bank; use letters"),
        banks.writing(tmp_path, name, create=True),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_bank_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(UserError, match=r"no bank 'c' \(there are: b\); discern bank add c FILE"):
        banks.read(tmp_path, "c")
