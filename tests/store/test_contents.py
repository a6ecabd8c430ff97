from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.store import contents, workdir
from pipeline.store.contents import Contents, is_stand_in

SHA256 = "a" * 64


def test_the_bytes_of_a_file_are_read_again_only_where_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"first")
    read: list[Path] = []
    file_sha256 = workdir.file_sha256
    monkeypatch.setattr(workdir, "file_sha256", lambda p: (read.append(p), file_sha256(p))[1])
    young = Contents(tmp_path)
    assert young.of_file(path) == young.of_file(path) == file_sha256(path)
    assert len(read) == 2, "it may change again within the same tick of the clock"
    monkeypatch.setattr(contents, "_SETTLED_NS", -(10**9))
    assert Contents(tmp_path).of_file(path) == Contents(tmp_path).of_file(path)
    assert len(read) == 3
    was = path.stat()
    path.write_bytes(b"other")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert Contents(tmp_path).of_file(path) == file_sha256(path)
    assert len(read) == 4


def test_a_version_elsewhere_has_a_stand_in_until_its_hash_is_known(tmp_path: Path) -> None:
    first = Contents(tmp_path)
    stand_in = first.of_version(["s3://bucket", "a.mp4", "1"])
    assert is_stand_in(stand_in)
    assert not is_stand_in(SHA256)
    first.remember(stand_in, SHA256)
    again = Contents(tmp_path)
    assert again.of_version(["s3://bucket", "a.mp4", "1"]) == SHA256
    assert is_stand_in(again.of_version(["s3://bucket", "a.mp4", "2"]))
