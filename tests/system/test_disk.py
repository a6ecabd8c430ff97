from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.system import disk


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space left on the disk; free some"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EROFS, "its file system is read-only; mount it for writing"),
        (errno.EACCES, "access denied; give this user the right to it"),
    ],
)
def test_a_refusal_names_the_place_and_a_remedy(number: int, words: str) -> None:
    found = disk.refusal(OSError(number, os.strerror(number), "a/b"), ["."])
    assert found is not None
    assert found.startswith(f"a/b: {words}")
    # As libraries in other languages pass it on, and as the cause of an error of theirs.
    other = RuntimeError(f"failed: {os.strerror(number)} (os error {number})")
    assert words in (disk.refusal(other, ["."]) or "")
    caused = RuntimeError("failed")
    caused.__cause__ = other
    assert words in (disk.refusal(caused, ["."]) or "")


@pytest.mark.parametrize("error", [RuntimeError("no"), FileNotFoundError(2, "No", "a"), OSError()])
def test_other_errors_are_none(error: Exception) -> None:
    assert disk.refusal(error, ["."]) is None


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.getuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_every_way_of_writing_is_refused_alike(full: Path) -> None:
    data = np.random.default_rng(0).integers(0, 256, 1 << 20, np.uint8)
    ways = [
        lambda: np.save(full / "a.npy", data),
        lambda: pq.write_table(pa.table({"a": data}), full / "a.parquet"),
        lambda: (full / "a").write_bytes(data.tobytes()),
    ]
    for way in ways:
        with pytest.raises(OSError) as error:  # noqa: PT011
            way()
        found = disk.refusal(error.value, [str(full)])
        assert found is not None
        assert "no space left on the disk" in found
        assert str(full) in found
