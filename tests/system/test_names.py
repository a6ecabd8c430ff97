from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from pipeline.system import names

MAC = unicodedata.normalize("NFD", "Zürich/café.mp4")
INDEX = unicodedata.normalize("NFC", "Zürich/café.mp4")


def put(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.encode())
    return folder


def test_a_name_in_another_normal_form_is_found(tmp_path: Path) -> None:
    put(tmp_path, MAC)
    assert MAC != INDEX
    assert names.find(tmp_path, INDEX) == tmp_path / MAC
    assert names.find(tmp_path, MAC) == tmp_path / MAC


def test_each_part_of_a_path_may_be_in_another_form(tmp_path: Path) -> None:
    mixed = f"{MAC.split('/')[0]}/{INDEX.split('/')[1]}"
    put(tmp_path, mixed)
    assert names.find(tmp_path, INDEX) == names.find(tmp_path, MAC) == tmp_path / mixed


def test_a_name_as_it_is_written_comes_before_any_other_form(tmp_path: Path) -> None:
    put(tmp_path, MAC, INDEX)
    assert names.find(tmp_path, INDEX) == tmp_path / INDEX
    assert names.find(tmp_path, MAC) == tmp_path / MAC


def test_two_other_forms_are_no_answer(tmp_path: Path) -> None:
    # One letter of each name is composed.
    first, second = "\u00e9e\u0301.mp4", "e\u0301\u00e9.mp4"
    put(tmp_path, first, second)
    wanted = "\u00e9\u00e9.mp4"
    assert names.find(tmp_path, wanted) is None
    assert names.why_missing(tmp_path, wanted).startswith("no such file; there are ")


def test_spaces_around_a_path_count_where_a_file_has_them(tmp_path: Path) -> None:
    put(tmp_path, " leading.mp4", "trailing.mp4 ", "plain.mp4")
    for path in (" leading.mp4", "trailing.mp4 ", "plain.mp4"):
        assert names.find(tmp_path, path) == tmp_path / path
    assert names.find(tmp_path, " plain.mp4 ") == tmp_path / "plain.mp4"


@pytest.mark.parametrize(
    ("there", "wanted", "says"),
    [
        ("x.mp4 ", "x.mp4", "there is 'x.mp4 ', with a space at its end"),
        (" x.mp4", "x.mp4", "there is ' x.mp4', with a space at its start"),
        ("x.MP4", "x.mp4", "there is 'x.MP4', with other capitals"),
        ("Day 1/X.mp4", "day 1/x.mp4", "there is 'Day 1/X.mp4', with other capitals"),
        ("x.mp4", "x.mp4\u200b", "there is 'x.mp4', without the invisible U+200B"),
        ("x\u200b.mp4", "x.mp4", "there is 'x\\u200b.mp4', with the invisible U+200B"),
        ("x.mp4  ", "x.mp4\u00a0 ", "there is 'x.mp4  ', with other spaces"),
        ("３.mp4", "3.mp4", "there is '３.mp4', in other characters"),
        ("x.mp4.dvc", "x.mp4", "there is 'x.mp4.dvc', so run dvc pull"),
    ],
)
def test_what_looks_like_it_is_named(tmp_path: Path, there: str, wanted: str, says: str) -> None:
    put(tmp_path, there)
    assert names.find(tmp_path, wanted) is None
    assert names.why_missing(tmp_path, wanted) == f"no such file; {says}"


def test_what_is_there_and_no_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert names.why_missing(tmp_path, "folder") == "a folder and no file"
    assert names.why_missing(tmp_path, "pipe") == "a pipe or a device and no file"
    for link in ("dangling", "loop"):
        assert names.why_missing(tmp_path, link).startswith("a link that leads nowhere")
    assert names.why_missing(tmp_path, "dangling/a.mp4").startswith("'dangling' is a link")
    assert names.why_missing(tmp_path, "gone.mp4") == "no such file"
    assert names.why_missing(tmp_path, f"{'x' * 300}.mp4") == "no such file"


def test_a_file_that_came_since_is_seen(tmp_path: Path) -> None:
    assert names.find(tmp_path, INDEX) is None
    put(tmp_path, MAC)
    assert names.find(tmp_path, INDEX) == tmp_path / MAC


def test_what_shows_nothing_is_trimmed_at_the_ends_only() -> None:
    assert names.trimmed("\ufeff\u00a0 a\u200b b \u200b\t") == "a\u200b b"
    assert names.trimmed(" \u200b ") == ""
