from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.commands import score
from pipeline.commands.score import listing
from pipeline.commands.score.listing import ListingRow
from pipeline.errors import UserError
from tests.commands.score.toy import configured

HASH = "ab" * 32


def test_rows_come_in_order_whatever_the_format(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"uri,id,note,sha256\nx.mp4,1,,{HASH.upper()}\ny.mp4,2,n,\n")
    (tmp_path / "a.jsonl").write_text(
        f'{{"id": 1, "uri": "x.mp4", "sha256": "{HASH}"}}\n\n{{"id": "2", "uri": "y.mp4"}}\n'
    )
    table = pa.table({"id": ["1", "2"], "uri": ["x.mp4", "y.mp4"], "sha256": [HASH, None]})
    pq.write_table(table, tmp_path / "a.parquet")
    for suffix in ("csv", "jsonl", "parquet"):
        found = listing.read(tmp_path / f"a.{suffix}")
        assert found.num_rows == 2
        assert list(found.rows()) == [ListingRow("1", "x.mp4", HASH), ListingRow("2", "y.mp4")]


def test_a_listing_may_name_sources(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,uri,source\n1,x.mp4, yard \n2,y.mp4,\n")
    table = pa.table({"id": ["1", "2"], "uri": ["x.mp4", "y.mp4"], "source": ["yard", None]})
    pq.write_table(table, tmp_path / "a.parquet")
    for suffix in ("csv", "parquet"):
        found = list(listing.read(tmp_path / f"a.{suffix}").rows())
        assert found == [ListingRow("1", "x.mp4", source="yard"), ListingRow("2", "y.mp4")]
    (tmp_path / "a.jsonl").write_text('{"id": "1", "uri": "x.mp4", "source": 3}\n')
    with pytest.raises(UserError, match="source '3' is no text; name it, or leave it empty"):
        listing.read(tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"id,path\n1,x.mp4\n", r"a.csv: no column 'uri' among id, path; a listing has"),
        ("a.csv", b"id,uri,uri\n1,x,y\n", r"a.csv: two columns 'uri' among"),
        ("a.csv", b"id,uri\n1,x\n2,y\n1,z\n", r"a.csv: row 4: id '1' is that of .*row 2 too; give"),
        ("a.csv", b"id,uri\n,x\n", r"a.csv: row 2: id \(empty\) is no text; give every row"),
        ("a.csv", b"id,uri\n", r"a.csv: a listing without a row; give"),
        ("a.csv", b"", r"a.csv: the file is empty"),
        ("a.csv", b"id,uri\n1,caf\xe9.mp4\n", r"a.csv: row 2: not a UTF-8 CSV file: 'caf"),
        ("a.csv", b"id,uri\n1,x.mp4,more\n", r"a.csv: row 2: 3 cells instead of 2; quote commas"),
        ("a.csv", b"id,uri,md5\n1,x,zz\n", r"row 2: md5 'zz' is no hash of 32 hexadecimal digits"),
        ("a.csv", b"id,uri\n1," + b"x" * 2**21 + b"\n", r"a.csv: row 2: a line of more than"),
        ("a.jsonl", b'{"id": 1}\n', r"a.jsonl: row 1: lacks 'uri'"),
        ("a.jsonl", b'{"id": 1, "uri": "x"}\n{"id"\n', r"""a.jsonl: row 2: '\{"id"' is no JSON"""),
        ("a.jsonl", b"[" * 100_000 + b"\n", r"a.jsonl: row 1: .* is no JSON; write an object"),
        ("a.jsonl", b'["id"]\n', r"a.jsonl: row 1: .* is no object"),
        ("a.jsonl", b'{"id": 1, "uri": null}\n', r"row 1: uri \(empty\) is no text"),
        ("a.jsonl", b'{"id": true, "uri": "x"}\n', r"row 1: id 'True' is no text"),
        ("a.jsonl", b'{"id": "\\ud800", "uri": "x"}\n', r"row 1: .* is no Unicode"),
        ("a.jsonl", b'{"id": 1, "uri": "\xff"}\n', r"a.jsonl: row 1: .* is not UTF-8; save it"),
        ("a.jsonl", b'{"id": 1}\r' * 2**18, r"a.jsonl: row 1: a line of more than"),
        ("a.jsonl", b"x" * 2**21, r"a.jsonl: row 1: a line of more than 1,048,576 bytes"),
        ("a.parquet", b"PAR1 and no more", r"a.parquet: row 1: no Parquet that can be read"),
        ("a.txt", b"x.mp4\n", r"a.txt: no listing by its name; give one that ends with .parquet"),
    ],
)
def test_a_bad_listing_is_told_with_row_value_and_remedy(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=told) as error:
        listing.read(tmp_path / name)
    assert len(str(error.value)) < 1000


def test_all_doubles_are_told_up_to_ten(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,uri\n" + "same,x.mp4\n" * 50)
    with pytest.raises(UserError) as error:
        listing.read(path)
    assert len(str(error.value).splitlines()) == 10


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"b\.csv: no such listing; give a file"):
        listing.read(tmp_path / "b.csv")


def test_only_a_folder_of_nothing_but_parquet_is_a_listing(tmp_path: Path) -> None:
    table = pa.table({"id": ["1"], "uri": ["x.mp4"]})
    (tmp_path / "day").mkdir()
    pq.write_table(table, tmp_path / "day" / "a.parquet")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".a.parquet.crc").touch()
    assert list(listing.read(tmp_path).rows()) == [ListingRow("1", "x.mp4")]
    (tmp_path / "_SUCCESS").unlink()
    (tmp_path / "_new.mp4").write_bytes(b"x")
    assert list(listing.read(tmp_path).rows()) == [ListingRow("_new.mp4", "_new.mp4")]


def test_scores_lie_outside_of_the_folder_that_is_scored(project: Path) -> None:
    own = project / "own"
    (own / "x").mkdir(parents=True)
    (own / "x.mp4").write_bytes(b"x")
    for out in (own / "scores", own / "x" / ".." / "scores", own):
        with pytest.raises(UserError, match=r"lies in .*; give a folder elsewhere"):
            score.run(str(own), cfg=configured(project, f"out={out}"))
        assert not (own / "scores").exists()
