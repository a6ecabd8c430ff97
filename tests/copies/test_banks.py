from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.copies import bank_compaction, bank_files, bank_log, banks
from pipeline.copies.bank_files import HEAD, ITEMS
from pipeline.copies.bank_log import Item, Taken
from pipeline.copies.bank_writer import Writer
from pipeline.copies.banks import RECORD, SOUND_RECORD, Bank
from pipeline.errors import UserError


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


HASHES, SOUNDS = bank_files.hashes_name(0), bank_files.sounds_name(0)


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


def test_every_byte_of_a_record_is_written() -> None:
    for dtype, size in ((RECORD, 80), (SOUND_RECORD, 12)):
        fields = dtype.fields or {}
        ends = [offset + kind.itemsize for kind, offset, *_ in fields.values()]
        starts = [offset for _, offset, *_ in fields.values()]
        assert [*starts, size] == [0, *ends]
        assert dtype.itemsize == size


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
        # The head is written last.
        bank_files.write_head(root / "b", 0, start)
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
    (folder / ITEMS).write_bytes(bank_log.line_of({**entry, "format": 6}) + b"\n")
    with pytest.raises(
        UserError, match="format 6, and this version of Discern reads formats 2, 3, 4 and 5"
    ):
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


def test_lines_that_are_missing_at_the_end_are_no_shorter_bank(tmp_path: Path) -> None:
    folder = made(tmp_path)
    lines = (folder / ITEMS).read_bytes().splitlines(keepends=True)
    for left in range(len(lines)):
        (folder / ITEMS).write_bytes(b"".join(lines[:left]))
        with pytest.raises(UserError, match="lines are missing at its end; put the bank"):
            banks.read(tmp_path, "b")
        with (
            pytest.raises(UserError, match="lines are missing at its end"),
            banks.writing(tmp_path, "b"),
        ):
            pass
    (folder / ITEMS).write_bytes(b"".join(lines).rstrip(b"\n"))
    assert len(banks.read(tmp_path, "b").items) == 3
    for text in ("{}", '{"generation": 0, "num_bytes": 1e999}', "[" * 100_000):
        (folder / HEAD).write_text(text)
        with pytest.raises(UserError, match=r"head\.json: damaged"):
            banks.read(tmp_path, "b")
    (folder / HEAD).write_text("{}")
    with pytest.raises(UserError, match=r"head\.json: damaged"):
        banks.read(tmp_path, "b")
    (folder / HEAD).unlink()
    with pytest.raises(UserError, match=r"head\.json: missing"):
        banks.read(tmp_path, "b")


@pytest.mark.parametrize("name", [HEAD, HASHES, "sounds.bin"])
def test_a_bank_that_lost_its_lines_is_not_begun_anew(tmp_path: Path, name: str) -> None:
    made(tmp_path)
    folder = tmp_path / "b"
    for path in list(folder.iterdir()):
        if path.name != name:
            path.unlink()
    why = rf"items\.jsonl: missing, and {name} .* still there; put the bank back"
    with pytest.raises(UserError, match=why), banks.writing(tmp_path, "b", create=True):
        pass
    with pytest.raises(UserError, match=why):
        banks.names(tmp_path)
    with pytest.raises(UserError, match=why):
        banks.read(tmp_path, "b")
    assert [path.name for path in folder.iterdir()] == [name]


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("refused", [ITEMS, HEAD])
def test_a_disk_that_is_full_leaves_the_bank_as_it_was_and_is_told_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    folder = made(tmp_path, 2)
    before = (folder / ITEMS).read_bytes(), (folder / HEAD).read_bytes()
    write, num_written = os.pwrite, 0

    def half(descriptor: int, content: bytes, at: int) -> int:
        nonlocal num_written
        num_written += 1
        if num_written > 1:
            raise OSError(*FULL.args)
        return write(descriptor, content[: len(content) // 2], at)

    def none(_: int) -> None:
        # The line is on the disk by then, and the head is not.
        if (folder / ITEMS).stat().st_size > len(before[0]) and (folder / (HEAD + ".new")).exists():
            raise OSError(*FULL.args)

    with monkeypatch.context() as patched:
        if refused == ITEMS:
            patched.setattr(os, "pwrite", half)
        else:
            patched.setattr(os, "fsync", none)
        with (
            pytest.raises(OSError, match=f"No space left on device: '.*/b/{refused}'"),
            banks.writing(tmp_path, "b") as bank,
        ):
            add(bank, 3)
    assert ((folder / ITEMS).read_bytes(), (folder / HEAD).read_bytes()) == before
    assert list(banks.read(tmp_path, "b").items) == [1, 2]
    with banks.writing(tmp_path, "b") as bank:
        assert add(bank, 3).number == 3
    assert list(banks.read(tmp_path, "b").items) == [1, 2, 3]


@pytest.mark.parametrize("refused", ["hashes-1.bin", "sounds-1.bin", "items.jsonl.new"])
def test_a_compaction_on_a_full_disk_leaves_nothing_that_fills_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    folder = made(tmp_path)
    with banks.writing(tmp_path, "b") as bank:
        bank.remove(2)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(_: int) -> None:
        if (folder / refused).exists():
            raise OSError(*FULL.args)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=f"No space left on device: '.*/b/{refused}'"):
            bank_compaction.compact(tmp_path, "b")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert bank_compaction.compact(tmp_path, "b") == 1


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_banks_in_what_is_no_folder_are_refused_with_it(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    root = tmp_path / place
    refusal = pytest.raises(UserError, match=rf"{root}: no folder; give paths\.banks=FOLDER")
    with refusal, banks.writing(root, "b", create=True):
        pass
    if root.exists():
        with pytest.raises(UserError, match=r"no folder; give paths\.banks=FOLDER"):
            banks.names(root)


def test_a_head_that_a_kill_left_behind_is_mended_by_the_next_writer(tmp_path: Path) -> None:
    folder = made(tmp_path)
    whole = (folder / ITEMS).read_bytes()
    bank_files.write_head(folder, 0, whole[:-1].rindex(b"\n") + 1)
    with banks.writing(tmp_path, "b"):
        pass
    (folder / ITEMS).write_bytes(whole[:-20])
    with pytest.raises(UserError, match="lines are missing at its end"):
        banks.read(tmp_path, "b")


@pytest.mark.parametrize(
    ("number", "unknown"),
    [(2, ("feed", "num_parts", "num_narrow")), (4, ("num_narrow",))],
)
def test_a_bank_of_a_format_before_is_read_and_goes_on(
    tmp_path: Path, number: int, unknown: tuple[str, ...]
) -> None:
    folder = made(tmp_path)
    entries = [json.loads(line) for line in (folder / ITEMS).read_bytes().splitlines()]
    for entry in entries:
        for key in ("check", *unknown):
            del entry[key]
    old = b"".join(bank_log.line_of({**entry, "format": number}) + b"\n" for entry in entries)
    (folder / ITEMS).write_bytes(old)
    if number == 2:
        (folder / HEAD).unlink()
    else:
        bank_files.write_head(folder, 0, len(old))
    before = contents(banks.read(tmp_path, "b"))
    with banks.writing(tmp_path, "b") as bank:
        fourth = add(bank, 4)
    after = contents(banks.read(tmp_path, "b"))
    assert after.pop(4)[0] == fourth
    assert after == before


def test_labels_and_opinions_are_kept_with_who_said_them(tmp_path: Path) -> None:
    made(tmp_path)
    said = [("a", "uploaded"), ("a", "confirmed"), ("b", "seen"), ("b", "disputed")]
    with banks.writing(tmp_path, "b") as bank:
        for by, verdict in said:
            assert bank.judge(2, by, verdict).number == 2
        assert bank.label(2, "other").label == "other"
        for change in (lambda: bank.label(4, "x"), lambda: bank.judge(4, "a", "seen")):
            with pytest.raises(UserError, match="no item 4"):
                change()
    found = banks.read(tmp_path, "b")
    assert [item.label for item in found.items.values()] == ["label 1", "other", "label 3"]
    a, b = frozenset({"uploaded", "confirmed"}), frozenset({"seen", "disputed"})
    assert found.opinions == {2: {"a": a, "b": b}}
    with banks.writing(tmp_path, "b") as bank:
        bank.judge(2, "a", "disputed")
        bank.judge(2, "b", "withdrawn")
    found = banks.read(tmp_path, "b")
    assert found.opinions == {2: {"a": frozenset({"uploaded", "disputed"})}}
    with banks.writing(tmp_path, "b") as bank:
        bank.remove(2)
    assert banks.read(tmp_path, "b").opinions == {}


def test_what_others_call_an_item_is_kept_until_they_do_not(tmp_path: Path) -> None:
    made(tmp_path)
    with banks.writing(tmp_path, "b") as bank:
        for number, by, label in ((2, "b", "news"), (2, "a", "film"), (3, "a", "game")):
            bank.call(number, by, label)
        bank.call(2, "b", None)
        bank.remove(3)
        with pytest.raises(UserError, match="no item 3"):
            bank.call(3, "a", "x")
    assert banks.read(tmp_path, "b").called == {2: {"a": "film"}}
    bank_compaction.compact(tmp_path, "b")
    found = banks.read(tmp_path, "b")
    assert found.called == {2: {"a": "film"}}
    assert found.items[2].label == "label 2"


def test_a_bank_becomes_negative_only_before_it_has_items(tmp_path: Path) -> None:
    with banks.writing(tmp_path, "n", create=True) as bank:
        bank.make_negative()
        add(bank, 1)
        bank.make_negative()
    assert banks.read(tmp_path, "n").is_negative
    made(tmp_path)
    assert not banks.read(tmp_path, "b").is_negative
    with (
        banks.writing(tmp_path, "b") as bank,
        pytest.raises(UserError, match="no negative bank, and it has items"),
    ):
        bank.make_negative()
    assert not banks.read(tmp_path, "b").is_negative


def test_nothing_has_the_bytes_that_nobody_knows(tmp_path: Path) -> None:
    with banks.writing(tmp_path, "b", create=True) as bank:
        none = np.zeros(0, RECORD), np.zeros(0, SOUND_RECORD)
        bank.add("a", "b", "", "", 1.0, *none)
    assert banks.read(tmp_path, "b").with_bytes("") is None


def compactable(root: Path) -> Path:
    """A bank of five items, of which two are removed, and of which something is said."""
    with banks.writing(root, "b", create=True) as bank:
        bank.make_negative()
        for seed in range(1, 6):
            add(bank, seed, num_hashes=seed)
        bank.judge(4, "a", "seen")
        bank.judge(4, "c", "disputed")
        bank.label(3, "other")
        bank.take("feed", Taken("k", 2, "s"))
        bank.remove(2)
        bank.remove(5)
    return root / "b"


def test_compaction_leaves_what_was_not_removed_and_nothing_else(tmp_path: Path) -> None:
    folder = compactable(tmp_path)
    gone = [(folder / name).read_bytes() for name in (HASHES, SOUNDS)]
    gone = [gone[0][80 : 3 * 80], gone[1][2 * 12 : 6 * 12], b"label 2", b"5.mp4"]
    before = banks.read(tmp_path, "b")
    assert bank_compaction.compact(tmp_path, "b") == 2
    after = banks.read(tmp_path, "b")
    for number, item in before.items.items():
        assert after.hashes_of(after.items[number]).tobytes() == before.hashes_of(item).tobytes()
        assert after.sounds_of(after.items[number]).tobytes() == before.sounds_of(item).tobytes()
    assert list(after.items) == [1, 3, 4]
    assert [item.label for item in after.items.values()] == ["label 1", "other", "label 4"]
    assert (after.is_negative, after.opinions, after.feeds) == (
        True,
        {4: {"a": frozenset({"seen"}), "c": frozenset({"disputed"})}},
        {"feed": Taken("k", 2, "s")},
    )
    names = {ITEMS, HEAD, "hashes-1.bin", "sounds-1.bin"}
    assert {path.name for path in folder.iterdir()} == names
    whole = b"".join(path.read_bytes() for path in folder.iterdir())
    assert not [part for part in gone if part in whole]
    # Numbers of removed items are not given again, not even of the last one.
    with banks.writing(tmp_path, "b") as bank:
        assert add(bank, 9).number == 6
    assert bank_compaction.compact(tmp_path, "b") == 0
    assert list(banks.read(tmp_path, "b").items) == [1, 3, 4, 6]
    assert {path.name for path in folder.iterdir()} == {name.replace("1", "2") for name in names}


def test_whoever_opened_a_bank_before_its_compaction_changes_nothing(tmp_path: Path) -> None:
    folder = compactable(tmp_path)
    seen = banks.read(tmp_path, "b")
    expected = contents(seen)
    with (folder / ITEMS).open("r+b") as old:
        bank_compaction.compact(tmp_path, "b")
        # Who still looks something up goes on.
        assert contents(seen) == expected
        original = Path.open
        with pytest.MonkeyPatch.context() as patch:
            # Opened just before, and locked just after.
            patch.setattr(
                Path,
                "open",
                lambda path, mode: old if path.name == ITEMS else original(path, mode),
            )
            with (
                pytest.raises(UserError, match="another process changes it"),
                banks.writing(tmp_path, "b"),
            ):
                pass
    assert list(banks.read(tmp_path, "b").items) == [1, 3, 4]


def test_a_compaction_that_is_cut_short_anywhere_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(Exception):
        pass

    steps = ("write_head", "to_disk")
    for num_done in range(4):
        root = tmp_path / str(num_done)
        compactable(root)
        before = banks.read(root, "b")
        calls = 0
        with monkeypatch.context() as patch:

            def step(
                name: str, patch: pytest.MonkeyPatch = patch, num_done: int = num_done
            ) -> None:
                original = getattr(bank_files, name)

                def counted(*given: object) -> None:
                    nonlocal calls
                    if calls == num_done:
                        raise Cut
                    calls += 1
                    original(*given)

                patch.setattr(bank_files, name, counted)

            for name in steps:
                step(name)
            if num_done < 3:
                with pytest.raises(Cut):
                    bank_compaction.compact(root, "b")
            else:
                bank_compaction.compact(root, "b")
        after = banks.read(root, "b")
        assert list(after.items) == [1, 3, 4]
        assert after.opinions == before.opinions
        with banks.writing(root, "b") as bank:
            assert add(bank, 9).number == 6
        bank_compaction.compact(root, "b")
        assert list(banks.read(root, "b").items) == [1, 3, 4, 6]
        assert len(list((root / "b").iterdir())) == 4


def test_a_reader_that_meets_a_compaction_reads_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compactable(tmp_path)
    original = bank_files.check_head

    def compacting(*given: object) -> None:
        original(*given)  # type: ignore[arg-type]
        monkeypatch.setattr(bank_files, "check_head", original)
        bank_compaction.compact(tmp_path, "b")

    monkeypatch.setattr(bank_files, "check_head", compacting)
    assert list(banks.read(tmp_path, "b").items) == [1, 3, 4]


def test_what_this_process_has_checked_is_not_checked_again(tmp_path: Path) -> None:
    with banks.writing(tmp_path, "b", create=True) as bank:
        add(bank, 1)
    before = banks.read(tmp_path, "b")
    with banks.writing(tmp_path, "b") as bank:
        add(bank, 2)
    path = tmp_path / "b" / HASHES
    whole = path.read_bytes()
    path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    assert list(banks.read(tmp_path, "b", before).items) == [1, 2]
    with pytest.raises(UserError, match="item 1 "):
        banks.read(tmp_path, "b")
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match="item 2 "):
        banks.read(tmp_path, "b", before)


def test_a_bank_that_is_another_one_now_is_checked_as_a_whole(tmp_path: Path) -> None:
    made(tmp_path / "one")
    before = banks.read(tmp_path / "one", "b")
    with banks.writing(tmp_path / "other", "b", create=True) as bank:
        for seed in (1, 5, 6, 7):
            add(bank, seed)
    shutil.copytree(tmp_path / "other", tmp_path / "one", dirs_exist_ok=True)
    now = banks.read(tmp_path / "one", "b", before)
    assert contents(now) == contents(banks.read(tmp_path / "other", "b"))
    path = tmp_path / "one" / "b" / HASHES
    path.write_bytes(path.read_bytes()[:100] + b"x" + path.read_bytes()[101:])
    with pytest.raises(UserError, match="item 1"):
        banks.read(tmp_path / "one", "b", before)


def test_only_lines_that_are_new_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(tmp_path)
    before = banks.read(tmp_path, "b")
    with banks.writing(tmp_path, "b") as bank:
        bank.judge(2, "us", "seen")
        add(bank, 4)
        bank.remove(1)
    read: list[int] = []
    inner = bank_log.Log._take_line

    def counted(self: bank_log.Log, path: Path, number: int, line: bytes) -> None:
        read.append(number)
        inner(self, path, number, line)

    monkeypatch.setattr(bank_log.Log, "_take_line", counted)
    now, whole = banks.read(tmp_path, "b", before), banks.read(tmp_path, "b")
    assert read == [4, 5, 6, 1, 2, 3, 4, 5, 6]
    assert contents(now) == contents(whole)
    assert (now.opinions, before.opinions) == (whole.opinions, {})
    assert list(before.items) == [1, 2, 3]
    path = folder / ITEMS
    path.write_bytes(path.read_bytes() + b"rubbish\n")
    with pytest.raises(UserError, match="line 7: damaged"):
        banks.read(tmp_path, "b", now)


def test_records_without_a_line_are_nobodys(tmp_path: Path) -> None:
    folder = made(tmp_path)
    for name, dtype in ((HASHES, RECORD), (SOUNDS, SOUND_RECORD)):
        with (folder / name).open("ab") as file:
            file.write(np.full(3 * dtype.itemsize, 255, np.uint8).tobytes())
    bank = banks.read(tmp_path, "b")
    assert (len(bank.hashes), len(bank.sounds)) == (9, 18)


def test_parts_follow_the_pictures_of_an_item_and_outlive_a_compaction(tmp_path: Path) -> None:
    parts = np.zeros(2, RECORD)
    parts["kind"], parts["time_ms"] = (1, 2), 250
    with banks.writing(tmp_path, "b", create=True) as bank:
        add(bank, 1)
        hashes, sounds = np.zeros(3, RECORD), np.zeros(0, SOUND_RECORD)
        item = bank.add("a.mp4", "a", "1" * 64, "", 1.0, hashes, sounds, parts=parts)
        add(bank, 3)
        bank.remove(1)
    assert (item.num_hashes, item.num_parts, item.num_records) == (3, 2, 5)
    for _ in range(2):
        found = banks.read(tmp_path, "b")
        assert found.hashes_of(found.items[2])["kind"].tolist() == [0, 0, 0]
        assert found.all_hashes_of(found.items[2])["kind"].tolist() == [0, 0, 0, 1, 2]
        assert len(found.hashes_of(found.items[3])) == 3
        bank_compaction.compact(tmp_path, "b")


def test_moments_of_a_narrow_band_follow_the_others_and_outlive_a_compaction(
    tmp_path: Path,
) -> None:
    sounds, narrow = np.zeros(4, SOUND_RECORD), np.zeros(3, SOUND_RECORD)
    sounds["print"], narrow["print"] = range(4), range(10, 13)
    with banks.writing(tmp_path, "b", create=True) as bank:
        add(bank, 1)
        told = "a.mp4", "a", "1" * 64, "", 1.0, np.zeros(0, RECORD)
        item = bank.add(*told, sounds, narrow=narrow)
        add(bank, 3)
        bank.remove(1)
    assert (item.num_sounds, item.num_narrow, item.num_moments) == (4, 3, 7)
    for num_before in (6, 0):
        found = banks.read(tmp_path, "b")
        assert found.sounds_of(found.items[2])["print"].tolist() == [0, 1, 2, 3]
        assert found.narrow_of(found.items[2])["print"].tolist() == [10, 11, 12]
        assert len(found.narrow_of(found.items[3])) == 0
        assert np.flatnonzero(found.is_narrow).tolist() == [num_before + at for at in (4, 5, 6)]
        bank_compaction.compact(tmp_path, "b")
    damaged = bytearray((tmp_path / "b" / "sounds-2.bin").read_bytes())
    damaged[6 * 12 + 8] ^= 1
    (tmp_path / "b" / "sounds-2.bin").write_bytes(damaged)
    with pytest.raises(UserError, match=r"sounds-2.bin: what it holds of item 2 \('a.mp4'\)"):
        banks.read(tmp_path, "b")
