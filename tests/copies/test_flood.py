from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.copies import flood
from pipeline.errors import UserError


def noted(work: Path, *files: tuple[str, list[str]], num: int = 4, share: float = 0.5) -> set[str]:
    found: set[str] = set()
    for name, matched in files:
        found = set(flood.note(work, name, matched, num, share))
    return found


def test_an_item_is_suspended_once_it_matches_more_than_the_share(tmp_path: Path) -> None:
    half = [("a", ["x"]), ("b", []), ("c", ["x"]), ("d", ["y"])]
    assert noted(tmp_path, *half) == set()
    assert noted(tmp_path, ("e", ["x", "y"])) == set()
    assert noted(tmp_path, ("f", ["x"])) == {"x"}
    assert flood.suspended(tmp_path) == {"x": "it matches 3 of the last 4 files"}


def test_nothing_is_suspended_before_there_were_so_many_files(tmp_path: Path) -> None:
    assert noted(tmp_path, ("a", ["x"]), ("b", ["x"]), ("c", ["x"])) == set()
    # The same file again is no other one.
    assert noted(tmp_path, ("c", ["x"]), ("c", ["x"])) == set()
    assert noted(tmp_path, ("d", [])) == set()
    assert noted(tmp_path, ("e", ["x"])) == {"x"}


def test_what_matches_nothing_more_stays_suspended_until_it_is_released_for_good(
    tmp_path: Path,
) -> None:
    every = [(name, ["x"]) for name in "abcdef"]
    assert noted(tmp_path, *every) == {"x"}
    assert noted(tmp_path, *((name, []) for name in "ghijkl")) == {"x"}
    assert flood.release(tmp_path, "x")
    assert not flood.release(tmp_path, "x")
    assert noted(tmp_path, *every) == set()


def test_a_share_of_all_files_suspends_nothing(tmp_path: Path) -> None:
    assert noted(tmp_path, *((name, ["x"]) for name in "abcdef"), share=1.0) == set()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("")
    with pytest.raises(UserError, match="work: File exists; what matches cannot be counted there"):
        noted(tmp_path / "work", ("a", []))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    assert flood.suspended(tmp_path) == {}
    damaged = (
        "{",
        "[]",
        '{"other": 1}',
        "null",
        '{"recent": []}',
        '{"recent": {"a": 1}}',
        '{"recent": {"a": [1]}}',
        '{"suspended": ["x"]}',
        '{"suspended": {"x": 1}}',
        '{"released": {"x": 1}}',
        '{"released": null}',
        "[" * 100_000,
        "\udcff",
    )
    for content in damaged:
        (tmp_path / "flood.json").write_text(content, errors="surrogateescape")
        with pytest.raises(UserError, match=r"flood\.json: damaged; delete it"):
            flood.suspended(tmp_path)
        with pytest.raises(UserError, match=r"flood\.json: damaged; delete it"):
            noted(tmp_path, ("a", ["x"]))


def test_a_state_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "flood.json").mkdir()
    with pytest.raises(UserError, match=r"flood\.json: Is a directory; give the user"):
        flood.suspended(tmp_path)
