from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from pipeline.copies import hash_datasets
from pipeline.errors import UserError

HEX = "0123456789abcdef" * 4
HEADER = "signal_type,signal_str,collab,category,tags\n"
OWN = {"sha256": "", "md5": "1" * 32, "duration_s": 1.0, "pictures": [f"{HEX},80,0.500"]} | {
    "mirrors": [HEX],
    "sounds": ["0000beef,0.000"],
}


def written(path: Path, *rows: tuple[str, str, str, str]) -> Path:
    """A dataset as threatexchange prints it."""
    with path.open("w", newline="") as file:
        file.write(HEADER)
        csv.writer(file).writerows(
            [kind, text, "A", category, tags] for kind, text, category, tags in rows
        )
    return path


def test_what_a_consortium_has_is_read_with_its_tags(tmp_path: Path) -> None:
    # A field of the hashes of ten hours is longer than the module's own limit.
    frames = [f"{HEX},90,{second}" for second in range(3000)]
    path = written(
        tmp_path / "dataset.csv",
        ("pdq", HEX, "POSITIVE_CLASS", "b a"),
        ("vpdq", json.dumps(frames), "INVESTIGATION_SEED", ""),
        ("video_md5", "2" * 32, "DISPUTED", "a"),
        ("video_sha256", HEX, "NEGATIVE_CLASS", "c"),
        ("discern_video", json.dumps(OWN), "POSITIVE_CLASS", "a"),
        ("raw_text", "words of others", "POSITIVE_CLASS", "a"),
    )
    limit = csv.field_size_limit()
    found = list(hash_datasets.read(path, negative=False))
    assert csv.field_size_limit() == limit
    assert [(len(one.hashes), one.md5, one.tags, one.said) for one in found] == [
        (1, "", ("a", "b"), "confirmed"),
        (3000, "", (), ""),
        (0, "2" * 32, ("a",), "disputed"),
        (1, "1" * 32, ("a",), "confirmed"),
    ]
    assert found[3].sounds["print"].tolist() == [0xBEEF]
    (harmless,) = hash_datasets.read(path, negative=True)
    assert (harmless.sha256, harmless.tags, harmless.said) == (HEX, ("c",), "")


@pytest.mark.parametrize(
    "row",
    [
        f"pdq,{HEX[1:]},A,POSITIVE_CLASS,",
        f"pdq,{HEX},A,POSITIVE,",
        f"pdq,{HEX},A,POSITIVE_CLASS",
        f"pdq,{HEX},A,POSITIVE_CLASS,,more",
        "discern_video,{},A,POSITIVE_CLASS,",
        "vpdq," + "[" * 100_000 + ",A,POSITIVE_CLASS,",
        'pdq,"open,A,POSITIVE_CLASS,',
        "pdq,\udcff,A,POSITIVE_CLASS,",
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, row: str) -> None:
    path = tmp_path / "dataset.csv"
    path.write_bytes(f"{HEADER}{row}\n".encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=r"dataset.csv, line [0-3]: no signal of its kind; nothing"):
        list(hash_datasets.read(path, negative=False))


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text(f"pdq {HEX}\n")
    with pytest.raises(UserError, match="list: no dataset; give what threatexchange dataset -P"):
        list(hash_datasets.read(path, negative=False))
    with pytest.raises(UserError, match="gone: No such file or directory; give a dataset"):
        list(hash_datasets.read(tmp_path / "gone", negative=False))
