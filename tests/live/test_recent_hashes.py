from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.copies import banks
from pipeline.copies.banks import RECORD, SOUND_RECORD
from pipeline.copies.chromaprint import ITEM_S
from pipeline.errors import UserError
from pipeline.live import lookup
from pipeline.live.lookup import Banks, StreamLookup
from pipeline.live.messages import Prints
from pipeline.live.recent_hashes import PASSED, RecentHashes

NONE = np.zeros(0, SOUND_RECORD)


def records(seed: int, num: int = 40) -> np.ndarray:
    found = np.zeros(num, RECORD)
    found["time_ms"], found["quality"] = 250 * np.arange(num), 80
    rng = np.random.default_rng(seed)
    for side in ("pdq", "mirror"):
        found[side] = rng.integers(0, 256, (num, 32))
    return found


def add(root: Path, name: str, seed: int, first: int = 0, *, negative: bool = False) -> None:
    with banks.writing(root, name, create=True) as bank:
        if negative:
            bank.make_negative()
        bank.add(f"{seed}.mp4", name, f"{seed:064x}", "", 10.0, records(seed)[first:], NONE)


def seconds(seed: int, at_s: float) -> list[Prints]:
    """Ten seconds of a stream that show an item."""
    return [
        Prints(((at_s + number, one.tobytes()),), ())
        for number, one in enumerate(records(seed)["pdq"][::4])
    ]


def test_hashes_are_kept_for_a_while_by_stream(tmp_path: Path) -> None:
    now = [1000.0]
    passed = RecentHashes(tmp_path, 60.0, lambda: now[0])
    one, other = passed.of("one"), passed.of("other")
    one.add([(1.0, b"a" * 32)], [(1.5, 7)], [(1.5, 9)])
    other.add([(2.0, b"b" * 32)], [], [])
    assert one.shown() == ([(1.0, b"a" * 32)], [(1.5, 7)], [(1.5, 9)])
    assert [at_s for at_s, _ in other.shown()[0]] == [2.0]
    now[0] += 50
    one.add([(3.0, b"c" * 32), (14.0, b"d" * 32)], [], [])
    assert [at_s for at_s, _ in one.shown()[0]] == [1.0, 3.0, 14.0]
    now[0] += 20
    assert [at_s for at_s, _ in one.shown()[0]] == [3.0, 14.0]
    assert [at_s for at_s, _ in other.shown()[0]] == []
    # Another watch does not take it for its own, and deletes it in its time.
    assert RecentHashes(tmp_path, 60.0, lambda: now[0]).of("one").shown() == ([], [], [])
    now[0] += 100
    one.add([(30.0, b"e" * 32)], [], [])
    assert [at_s for at_s, _ in one.shown()[0]] == [30.0]


def test_a_file_that_is_no_database_and_a_folder_that_is_none_are_named(tmp_path: Path) -> None:
    (tmp_path / PASSED).parent.mkdir()
    (tmp_path / PASSED).write_text("x" * 2000)
    with pytest.raises(UserError, match=r"passed\.sqlite: no record of what passed"):
        RecentHashes(tmp_path, 60.0)
    shutil.rmtree(tmp_path / PASSED.split("/")[0])
    (tmp_path / PASSED.split("/")[0]).write_text("")
    with pytest.raises(UserError, match=r"passed\.sqlite: .*; give another paths\.work"):
        RecentHashes(tmp_path, 60.0)


def test_what_passed_is_looked_up_in_items_that_are_added_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "_LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(lookup, "WINDOW_S", 5.0)
    root = tmp_path / "banks"
    add(root, "attacks", 1)
    known = Banks(root, ["attacks"], tmp_path / "work")
    passed = RecentHashes(tmp_path / "work", 3600.0)
    found = StreamLookup(known, passed.of("a"))
    without = StreamLookup(known)

    def told(some: list[Prints], at: StreamLookup = found) -> list[dict[str, Any]]:
        return [one for part in some for one in at.take(part, 100.0, waits=True)]

    early, late = seconds(2, 0.0) + seconds(3, 20.0), seconds(4, 40.0)
    assert told(early) == told(early, without) == []
    add(root, "attacks", 3)
    (one,) = told(late)
    assert (one["bank"], one["item"], one["in_past"]) == ("attacks", 2, True)
    assert (one["start_s"], one["end_s"], one["offset_s"]) == (120.0, 129.0, -120.0)
    assert told(late, without) == []
    # Once is enough, and what is shown now is told as such.
    assert told(seconds(5, 60.0)) == []
    (again,) = told(seconds(3, 80.0))
    assert "in_past" not in again


def test_the_past_is_compared_with_what_is_new_and_not_with_all_of_a_bank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "_LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(lookup, "WINDOW_S", 8.0)
    root, rng = tmp_path / "banks", np.random.default_rng(0)
    add(root, "attacks", 1)
    known = Banks(root, ["attacks"], tmp_path / "work")
    found = StreamLookup(known, RecentHashes(tmp_path / "work", 3600.0).of("a"))
    sounds = np.zeros(200, SOUND_RECORD)
    sounds["time_ms"] = np.rint(1000 * ITEM_S * np.arange(200))
    sounds["print"] = rng.integers(0, 2**32, 200)
    heard = [(number * ITEM_S, int(one)) for number, one in enumerate(sounds["print"])]
    assert found.take(Prints((), tuple(heard)), 0.0, waits=True) == []
    by_sound, lengths = lookup.candidates.by_sound, list[int]()

    def counted(items: np.ndarray, *rest: Any, **more: Any) -> list[int]:
        lengths.append(len(items))
        return by_sound(items, *rest, **more)

    monkeypatch.setattr(lookup.candidates, "by_sound", counted)
    with banks.writing(root, "attacks") as bank:
        bank.add("2.mp4", "song", f"{2:064x}", "", 25.0, np.zeros(0, RECORD), sounds)
    later = [(40 + number * ITEM_S, int(rng.integers(0, 2**32))) for number in range(60)]
    (one,) = found.take(Prints((), tuple(later)), 0.0, waits=True)
    assert (one["by"], one["item"], one["in_past"]) == ("sound", 2, True)
    # Of all that there is in the bank, only the last seconds are looked for.
    assert lengths
    assert max(lengths) < len(sounds)


def test_what_is_harmless_is_not_told_of_the_past_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "_LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(lookup, "WINDOW_S", 5.0)

    def told(folder: Path, change: Callable[[Path], None]) -> int:
        root = folder / "banks"
        add(root, "attacks", 1)
        add(root, "harmless", 3, negative=True)
        passed = RecentHashes(folder / "work", 3600.0)
        found = StreamLookup(Banks(root, ["attacks", "harmless"], folder / "work"), passed.of("a"))
        for part in seconds(3, 0.0) + seconds(2, 20.0):
            assert found.take(part, 0.0, waits=True) == []
        change(root)
        return sum(len(found.take(part, 0.0, waits=True)) for part in seconds(4, 40.0))

    assert told(tmp_path / "a", lambda root: add(root, "attacks", 3)) == 0
    assert told(tmp_path / "b", lambda root: add(root, "attacks", 2)) == 1
