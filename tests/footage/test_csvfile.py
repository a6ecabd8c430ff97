from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.footage import csvfile

COLUMNS = ("path", "label", "notes")
GOOD = "path,label,notes\na.mp4,1,ünï\n"


def read(folder: Path, data: str | bytes) -> list[csvfile.CsvRow]:
    path = folder / "index.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(csvfile.read(path, COLUMNS))


@pytest.mark.parametrize(
    "data",
    [
        GOOD,
        GOOD.encode("utf-8-sig"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        GOOD.removesuffix("\n"),
        GOOD + ",,\n" * 3,
        GOOD + "\n\n   \n",
        GOOD.replace("\n", ",\n"),
        GOOD.replace("\n", ",,,\n"),
        GOOD.replace("ünï\n", "ünï,, ,\n"),
        GOOD.replace("path", "Path").replace("label", " LABEL "),
        GOOD.replace("path", "path\u00a0").replace("label", "\u200blabel"),
        "sep=,\n" + GOOD,
        '"path","label","notes"\n"a.mp4","1","ünï"\n',
    ],
)
def test_what_can_mean_one_thing_only_is_read(tmp_path: Path, data: str | bytes) -> None:
    rows = read(tmp_path, data)
    assert [row.cells for row in rows] == [COLUMNS, ("a.mp4", "1", "ünï")]
    assert not any(row.mistake for row in rows)


def test_rows_have_the_number_of_the_line_that_they_start_in(tmp_path: Path) -> None:
    rows = read(tmp_path, '\n\npath,label,notes\na,1,"two\nlines"\n\nb,2,c\n')
    assert [row.number for row in rows] == [3, 4, 7]


def test_cells_are_yielded_as_they_are_written(tmp_path: Path) -> None:
    rows = read(tmp_path, 'path,label,notes\n " a", 1\u200b,"x""y, z"\n')
    assert rows[1].cells == (' " a"', " 1\u200b", "x" + '"y, z')


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the file is empty; its first row must be names of columns"),
        (b"\xef\xbb\xbf\n \n", "the file is empty"),
        (GOOD.encode("utf-16"), "not a UTF-8 CSV file but UTF-16"),
        (GOOD.encode("utf-16-le"), "UTF-16 without its mark"),
        (GOOD.encode("utf-16-be"), "UTF-16 without its mark"),
        (GOOD.encode("utf-32"), "UTF-32"),
        (GOOD.encode("latin-1"), "row 2: not a UTF-8 CSV file: '�n�' is in another encoding"),
        (GOOD.replace(",", ";"), "row 1: the cells are divided by semicolons"),
        (GOOD.replace(",", "\t"), "row 1: the cells are divided by tabs"),
        (GOOD.replace(",", "|"), "row 1: the cells are divided by vertical bars"),
        ("path;label;notes,\n", "row 1: the cells are divided by semicolons"),
        ("sep=;\n" + GOOD.replace(",", ";"), "row 1: 'sep=;' names a separator that is no comma"),
        ("# exported\n" + GOOD, "row 1: '# exported' is a comment"),
        ("a.mp4,1,fine\n", "row 1: 'a.mp4,1,fine' names no known column"),
        (GOOD + 'b,1,"open\nc,2,x\n', "row 3: a quotation mark is left open"),
        (GOOD + 'b,1,"a"b"\n', "row 3: a quotation mark is left open, or stands amid a cell"),
        (GOOD + f"b,1,{'x' * 200_000}\n", "row 3: a cell of more than 131,072 characters"),
        (GOOD + 'b,1,"open\n' + "c,2,x\n" * 30_000, "row 3: a cell of more than 131,072"),
        (b"PK\x03\x04" + bytes(range(200)), "a workbook"),
        (b"\xd0\xcf\x11\xe0" + bytes(range(200)), "a workbook"),
        (bytes(5000), "all zero"),
        (b"<!DOCTYPE html><title>Sign in</title>", r"a web page \('Sign in'\), not CSV; download"),
        (b"version https://git-lfs.github.com/spec/v1\noid x\nsize 9\n", "run git lfs pull"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(200)), "a PNG image, not CSV"),
    ],
)
def test_what_is_no_csv_is_named_once(tmp_path: Path, data: str | bytes, says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        read(tmp_path, data)
    assert str(error.value).startswith(f"{tmp_path / 'index.csv'}: ")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("b,1", "row 3: 2 cells instead of 3; quote commas"),
        ("b,1,2,3", "row 3: 4 cells instead of 3; quote commas"),
        ("# later", "row 3: 1 cells instead of 3; take the comment out"),
        ("b\0,1,2", "row 3: holds a NUL byte"),
        ('b,1,"City\nc,1,City"', "row 3: a cell holds whole rows; close the quotation mark"),
    ],
)
def test_a_row_that_cannot_be_read_is_a_mistake_and_the_next_is_read(
    tmp_path: Path, row: str, says: str
) -> None:
    _, good, bad, last = read(tmp_path, f"{GOOD}{row}\nz,2,\n")
    assert (good.mistake, last.mistake) == ("", "")
    assert bad.mistake.startswith(says)


def test_what_stands_in_a_column_without_a_name_is_a_mistake(tmp_path: Path) -> None:
    _, fine, bad = read(tmp_path, "path,,label,notes\na, ,1,x\nb,lost,1,x\n")
    assert fine.cells == ("a", "1", "x")
    assert "row 3: 'lost' stands in a column without a name" in bad.mistake
