from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow, read_index, write_index

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


def rows_of(folder: Path, row: str) -> list[IndexRow]:
    return read_index(write(folder, HEADER + row + "\n"))


@pytest.mark.parametrize(
    ("cell", "times_s"),
    [
        ("", ()),
        ("3.2", (3.2,)),
        (" 3 ; 0.5;\u00a0.25 ;", (0.25, 0.5, 3.0)),
        ("007", (7.0,)),
        ("12.", (12.0,)),
    ],
)
def test_times_are_seconds_in_plain_digits(
    tmp_path: Path, cell: str, times_s: tuple[float, ...]
) -> None:
    assert rows_of(tmp_path, f"a.mp4,real,s,1,CC0,{cell}")[0].discharges_s == times_s


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("3_2", "'3_2' is not a list of seconds"),
        ("３.２", "is not a list of seconds"),
        ("\u0663", "is not a list of seconds"),
        ("1e3", "is not a list of seconds"),
        ("0x1p3", "is not a list of seconds"),
        ("+3", "is not a list of seconds"),
        ("1 000.5", "is not a list of seconds"),
        ("3.2 s", "is not a list of seconds"),
        ("2024-03-20", "is not a list of seconds"),
        ("1.5;soon;2", "is not a list of seconds such as 0.5;2.25; mend 'soon'"),
        ("nan", "times start at 0"),
        ("-Infinity", "times start at 0"),
        ("-2", "times start at 0"),
        ("9" * 400, "no second of the file"),
        ('"3,2;3,95"', "holds a comma; write points in numbers"),
        ('"3.2, 3.95"', "holds a comma; write points in numbers"),
        ("00:01:03.2", "holds a time of a clock; write 63.2 for '00:01:03.2'"),
        ("1:03", "holds a time of a clock; write 63 for '1:03'"),
    ],
)
def test_no_other_way_to_write_a_time_is_guessed_at(tmp_path: Path, cell: str, says: str) -> None:
    with pytest.raises(UserError, match="row 2, column discharges_s") as error:
        rows_of(tmp_path, f"a.mp4,real,s,1,CC0,{cell}")
    assert says in str(error.value)
    assert "1 mistake" in str(error.value)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("a.mp4,real,s,TRUE,CC0,", "column discharge: 'TRUE' is neither 0 nor 1; write 1"),
        ("a.mp4,real,s,no,CC0,", "column discharge: 'no' is neither 0 nor 1; write 0"),
        ("a.mp4,real,s,１,CC0,", "column discharge: '１' is neither 0 nor 1"),
        ("a.mp4,Real,s,1,CC0,", "'Real' is none of real, game, film, generated; write real"),
        ("a.mp4,generate,s,1,CC0,", "none of real, game, film, generated; write generated"),
        ("sub\\a.mp4,real,s,1,CC0,", "holds a backslash; give a relative path"),
        (".,real,s,1,CC0,", "'.' is the collection itself; name a file in it"),
        ("/a.mp4,real,s,1,CC0,", "leaves the collection"),
        ("\u200b,real,s,1,CC0,", "column path: '' is empty"),
        ("a.mp4,real,\u200b,1,CC0,", "column source: '' is empty"),
    ],
)
def test_a_cell_that_is_nearly_right_gets_its_remedy(tmp_path: Path, row: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        rows_of(tmp_path, row)
    assert says in str(error.value)
    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [("a.mp4", "./a.mp4"), ("b/a.mp4", "b//a.mp4"), ("é.mp4", "e\u0301.mp4"), ("a.mp4", "a.mp4 ")],
)
def test_a_file_that_is_written_in_two_ways_stands_twice(
    tmp_path: Path, first: str, second: str
) -> None:
    with pytest.raises(UserError, match=r"row 3, column path: .* stands in row 2 already"):
        rows_of(tmp_path, f"{first},real,s,0,CC0,\n{second},real,s,0,CC0,")


def test_paths_stay_as_they_are_written_and_labels_are_trimmed(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, " e\u0301.mp4 , real\u200b,\u00a0e\u0301 , 1 ,CC0,")
    assert row.path == " e\u0301.mp4 "
    assert (row.origin, row.source, row.discharge) == ("real", "é", True)
    assert row.recording == "é.mp4", "one name for people, and so one recording"


def test_a_column_that_stands_twice_is_said_once(tmp_path: Path) -> None:
    write(tmp_path, "path,origin,source,discharge,licence,Source,source\n")
    with pytest.raises(UserError, match="1 mistake\n  row 1: column 'source' stands 3 times"):
        read_index(tmp_path)


def test_an_index_that_is_nearly_there_is_named(tmp_path: Path) -> None:
    write(tmp_path, HEADER).joinpath("index.csv").rename(tmp_path / "Index.csv")
    with pytest.raises(UserError, match=r"missing: no such file; there is 'Index\.csv'"):
        read_index(tmp_path)
    (tmp_path / "index.csv").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match="a link that leads nowhere; if DVC made it, run dvc"):
        read_index(tmp_path)


def test_an_index_of_a_spreadsheet_is_one_mistake(tmp_path: Path) -> None:
    write(tmp_path, HEADER.replace(",", ";") + "a.mp4;real;s;1;CC0;3,2\n")
    with pytest.raises(UserError, match="divided by semicolons") as error:
        read_index(tmp_path)
    assert "is missing" not in str(error.value)


def test_the_shared_footage_has_a_good_index(footage: Path) -> None:
    assert {row.origin for row in read_index(footage)} == {"real", "game", "film"}


def test_what_was_rendered_is_a_column_that_may_be_missing_or_empty(tmp_path: Path) -> None:
    assert [row.rendered for row in rows_of(tmp_path, "a.mp4,real,s,1,CC0,")] == [False]
    header = "path,origin,source,discharge,licence,rendered\n"
    write(tmp_path, f"{header}a.mp4,real,s,1,CC0,1\nb.mp4,real,s,1,CC0,0\nc.mp4,real,s,1,CC0,\n")
    rows = read_index(tmp_path)
    assert [row.rendered for row in rows] == [True, False, False]
    write_index(tmp_path, rows)
    assert read_index(tmp_path) == rows
    write(tmp_path, f"{header}a.mp4,real,s,1,CC0,yes\n")
    with pytest.raises(UserError, match="column rendered: 'yes' is neither 0 nor 1; write 1"):
        read_index(tmp_path)


def test_times_that_are_only_heard_are_read_and_checked_like_those_that_are_seen(
    tmp_path: Path,
) -> None:
    header = "path,origin,source,discharge,licence,heard_s\n"
    (tmp_path / "index.csv").write_text(header + "a.mp4,real,s,1,CC0,2.5;1\n")
    (row,) = read_index(tmp_path)
    assert (row.heard_s, row.discharges_s) == ((1.0, 2.5), ())
    (tmp_path / "index.csv").write_text(header + "a.mp4,real,s,0,CC0,2.5\nb.mp4,real,s,1,CC0,x\n")
    with pytest.raises(UserError) as error:
        read_index(tmp_path)
    assert "row 2, column heard_s: '2.5' has times although discharge is 0" in str(error.value)
    assert "row 3, column heard_s: 'x' is not a list of seconds" in str(error.value)


def test_who_reviewed_a_file_is_a_column_where_anybody_did(tmp_path: Path) -> None:
    row = IndexRow("a.mp4", "real", "s", False, "CC0")
    write_index(tmp_path, [row])
    assert "reviewed_by" not in (tmp_path / "index.csv").read_text()
    rows = [row, replace(row, path="b.mp4", recording="b", reviewed_by="Ada; Bo")]
    write_index(tmp_path, rows)
    assert [one.reviewed_by for one in read_index(tmp_path)] == ["", "Ada; Bo"]
