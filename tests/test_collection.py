from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.collection import IndexRow, read_index, write_index
from pipeline.errors import UserError

HEADER = "path,origin,source,discharge,licence,discharges_s\n"


def write(folder: Path, text: str) -> Path:
    (folder / "index.csv").write_text(text, encoding="utf-8")
    return folder


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    rows = [
        IndexRow("a/b.mp4", "real", "unit, seven", True, 'a "free" licence', "r1", (0.5, 2.25)),
        IndexRow("c.mp4", "film", "x", False, "CC0", "c.mp4", notes="ünï"),
    ]
    write_index(tmp_path, rows)
    assert read_index(tmp_path) == rows


def test_an_empty_recording_is_the_path(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a.mp4,real,s,0,CC0,\n")
    assert read_index(tmp_path)[0].recording == "a.mp4"


def test_all_mistakes_are_reported_at_once_with_row_and_column(tmp_path: Path) -> None:
    write(
        tmp_path,
        HEADER
        + "a.mp4,reel,s,0,CC0,\n"
        + "../b.mp4,real,,2,CC0,\n"
        + "c.mp4,real,s,0,CC0,1.5\n"
        + "d.mp4,real,s,1,CC0,soon\n"
        + "e.mp4,real,s,1,CC0\n"
        + "f.mp4,real,s,1,,-2\n"
        + "g.mp4,real,s,0,CC0,\n"
        + "g.mp4,real,s,0,CC0,\n",
    )
    with pytest.raises(UserError) as caught:
        read_index(tmp_path)
    message = str(caught.value)
    for part in (
        "10 mistakes",
        "row 2, column origin: 'reel'",
        "row 3, column path: '../b.mp4' leaves the collection",
        "row 3, column source",
        "row 3, column discharge: '2'",
        "row 4, column discharges_s: '1.5' has times although",
        "row 5, column discharges_s: 'soon'",
        "row 6: 5 cells instead of 6",
        "row 7, column licence",
        "row 7, column discharges_s: '-2'",
        "row 9, column path: 'g.mp4' stands in row 8",
    ):
        assert part in message


def test_a_misspelt_column_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    write(tmp_path, "path,origin,source,dicharge,licence\n")
    with pytest.raises(UserError, match="unknown column 'dicharge'; did you mean 'discharge'"):
        read_index(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00bad", b""])
def test_what_is_no_csv_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "index.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"index\.csv"):
        read_index(tmp_path)


def test_a_missing_folder_index_or_row_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        read_index(tmp_path / "absent")
    with pytest.raises(UserError, match="missing"):
        read_index(tmp_path)
    with pytest.raises(UserError, match="lists no file"):
        read_index(write(tmp_path, HEADER))


def test_the_shared_footage_has_a_good_index(footage: Path) -> None:
    assert {row.origin for row in read_index(footage)} == {"real", "game", "film"}
