from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.footage.tombstones import (
    FORGOTTEN,
    Tombstone,
    Tombstones,
    forgotten,
    read_tombstones,
    write_tombstones,
)

STONES = [
    Tombstone("unit7/day-1", "a, b.mp4", "0" * 64),
    Tombstone("unit7/day-1", "z.mp4", ""),
    Tombstone("web/ünï", "a.mp4", "f" * 64),
]


def write(folder: Path, *lines: str) -> Path:
    (folder / FORGOTTEN).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_tombstones_come_back_sorted_and_single(tmp_path: Path) -> None:
    write_tombstones(tmp_path, [*reversed(STONES), STONES[0]])
    assert read_tombstones(tmp_path) == STONES
    assert [path.name for path in tmp_path.iterdir()] == [FORGOTTEN]


def test_ingest_gets_recordings_and_known_hashes(tmp_path: Path) -> None:
    write_tombstones(tmp_path, STONES)
    assert forgotten(tmp_path) == Tombstones(
        frozenset({"unit7/day-1", "web/ünï"}), frozenset({"0" * 64, "f" * 64})
    )


def test_without_a_file_nothing_is_forgotten(tmp_path: Path) -> None:
    assert forgotten(tmp_path / "nowhere") == Tombstones(frozenset(), frozenset())


def test_columns_may_come_in_any_order(tmp_path: Path) -> None:
    write(tmp_path, "sha256,recording,path", ",unit7/day-1,a.mp4")
    assert read_tombstones(tmp_path) == [Tombstone("unit7/day-1", "a.mp4", "")]


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    write(tmp_path, "recording,path,sha256", "day-1,a.mp4,", "unit7/day-1,a.mp4,ABC", "x")
    with pytest.raises(UserError) as error:
        forgotten(tmp_path)
    assert str(error.value).splitlines() == [
        f"{tmp_path / FORGOTTEN}: 3 mistakes",
        "  row 2, column recording: 'day-1' is no <collection>/<recording>",
        "  row 3, column sha256: 'ABC' is no hash of 64 lower-case hexadecimal digits; mend it, "
        "or leave it empty",
        "  row 4: 1 cells instead of 3; quote commas",
    ]


def test_other_columns_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "recording,file", "unit7/day-1,a.mp4")
    with pytest.raises(
        UserError, match="columns are recording, file; they must be recording, path"
    ):
        forgotten(tmp_path)


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    (tmp_path / FORGOTTEN).write_bytes("recording,path,sha256\nunit7/ü,a,\n".encode("latin-1"))
    with pytest.raises(UserError, match="not a UTF-8 CSV file"):
        forgotten(tmp_path)


def test_a_list_that_is_a_link_to_nowhere_is_no_empty_list(tmp_path: Path) -> None:
    (tmp_path / FORGOTTEN).symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match="a link that leads nowhere"):
        forgotten(tmp_path)


def test_a_list_that_dvc_linked_is_read_and_replaced(tmp_path: Path) -> None:
    elsewhere = tmp_path / "cache"
    elsewhere.mkdir()
    write(elsewhere, "recording,path,sha256", "unit7/day-1,a.mp4,")
    kept = (elsewhere / FORGOTTEN).read_bytes()
    (tmp_path / FORGOTTEN).symlink_to(elsewhere / FORGOTTEN)
    assert read_tombstones(tmp_path) == [Tombstone("unit7/day-1", "a.mp4", "")]
    write_tombstones(tmp_path, STONES)
    assert read_tombstones(tmp_path) == STONES
    assert (elsewhere / FORGOTTEN).read_bytes() == kept


def test_what_a_spreadsheet_leaves_is_read_over_or_named(tmp_path: Path) -> None:
    write(tmp_path, "Recording,path,sha256,", "unit7/e\u0301,a.mp4,,", ",,,")
    assert read_tombstones(tmp_path) == [Tombstone("unit7/é", "a.mp4", "")]
    write(tmp_path, "recording;path;sha256", "unit7/day-1;a.mp4;")
    with pytest.raises(UserError, match="row 1: the cells are divided by semicolons"):
        forgotten(tmp_path)
