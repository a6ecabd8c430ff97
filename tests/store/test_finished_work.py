from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.store import finished_work, workdir
from pipeline.store.finished_work import BLOCK_CARD, FinishedWork, Piece

SHA256S = tuple(digit * 64 for digit in "abc")


def write_block(keeping: FinishedWork, name: str, data: bytes, files: list[str]) -> Path:
    with workdir.becoming(keeping.path(name)) as folder:
        (folder / "shard").write_bytes(data)
        sha256s = {"shard": workdir.file_sha256(folder / "shard")}
        finished_work.write_piece(folder / BLOCK_CARD, Piece({"sha256s": sha256s, "files": files}))
    return keeping.path(name)


def names(work: Path, stage: str = "stage") -> set[str]:
    return {path.name for path in (work / "kept" / stage).glob("*/*")}


def test_a_piece_comes_back_in_a_later_run(tmp_path: Path) -> None:
    name = finished_work.name_of(SHA256S[0], 1)
    with FinishedWork(tmp_path, "stage") as keeping:
        assert name not in keeping
        assert keeping.read(name) is None
        keeping.write(name, Piece({"a": [1, 2.5]}, [b"one\n", b"", b"two"]))
    with FinishedWork(tmp_path, "stage") as keeping:
        assert name in keeping
        assert keeping.read(name) == Piece({"a": [1, 2.5]}, [b"one\n", b"", b"two"])
    with FinishedWork(tmp_path, "other") as keeping:
        assert name not in keeping


def test_a_damaged_piece_is_none(tmp_path: Path) -> None:
    path = tmp_path / "piece"
    finished_work.write_piece(path, Piece({}, [b"0123456789"]))
    whole = path.read_bytes()
    for data in (whole[:-1], whole + b"0", whole[:40] + b"x" + whole[41:], whole[:10], b""):
        path.write_bytes(data)
        assert finished_work.read_piece(path) is None
    path.write_bytes(whole)
    assert finished_work.read_piece(path) == Piece({}, [b"0123456789"])


def test_a_damaged_block_is_removed(tmp_path: Path) -> None:
    with FinishedWork(tmp_path, "stage") as keeping:
        folder = write_block(keeping, "aa-1", b"data", [])
        told, where = keeping.read_block("aa-1") or ({}, tmp_path)
        assert (where, list(told["sha256s"])) == (folder, ["shard"])
        (folder / "shard").write_bytes(b"dada")
        assert keeping.read_block("aa-1") is None
        assert "aa-1" not in keeping
        assert keeping.read_block("absent") is None


def test_what_was_used_least_recently_goes_first(tmp_path: Path) -> None:
    with FinishedWork(tmp_path, "stage") as keeping, FinishedWork(tmp_path, "other") as other:
        for number, name in enumerate(("aa", "bb", "cc")):
            keeping.write(name, Piece(number, [bytes(10_000)]))
            os.utime(keeping.path(name), (number, number))
        other.write("dd", Piece(0, [bytes(10_000)]))
        os.utime(other.path("dd"), (0.5, 0.5))
        assert "aa" in keeping
        keeping.trim(35_000 / 1e9)
        assert names(tmp_path) == {"aa", "cc"}, "of a stage that others are at work with, nothing"
        assert names(tmp_path, "other") == {"dd"}
        with FinishedWork(tmp_path, "stage") as again:
            again.trim(0)
        assert names(tmp_path) == {"aa", "cc"}, "another run is at work with it"
    with FinishedWork(tmp_path, "stage") as keeping:
        keeping.trim(25_000 / 1e9)
        assert names(tmp_path, "other") == set()
        assert names(tmp_path) == {"aa", "cc"}
        keeping.trim(0)
        assert names(tmp_path) == set()


def test_a_block_that_an_output_is_linked_to_takes_no_room(tmp_path: Path) -> None:
    with FinishedWork(tmp_path, "stage") as keeping:
        folder = write_block(keeping, "aa", bytes(100_000), [])
        (tmp_path / "output").hardlink_to(folder / "shard")
        keeping.trim(10_000 / 1e9)
        assert "aa" in keeping
    (tmp_path / "output").unlink()
    with FinishedWork(tmp_path, "stage") as keeping:
        keeping.trim(10_000 / 1e9)
        assert "aa" not in keeping


def test_what_was_made_of_a_file_is_forgotten_by_every_stage(tmp_path: Path) -> None:
    with FinishedWork(tmp_path, "one") as one, FinishedWork(tmp_path, "two") as two:
        for sha256 in SHA256S:
            one.write(finished_work.name_of(sha256, 1), Piece({}))
        write_block(two, "aa", b"", [SHA256S[0], SHA256S[2]])
        write_block(two, "bb", b"", [SHA256S[2]])
        assert one.forget([]) == 0
        assert one.forget([SHA256S[0]]) == 2
    assert names(tmp_path, "one") == {finished_work.name_of(sha256, 1) for sha256 in SHA256S[1:]}
    assert names(tmp_path, "two") == {"bb"}


def test_what_a_killed_process_left_is_no_piece_and_goes(tmp_path: Path) -> None:
    with FinishedWork(tmp_path, "stage") as keeping:
        keeping.path("aa-1.partial").write_bytes(b"half")
        keeping.path("aa-9.removed").mkdir()
        keeping.trim(1)
    assert names(tmp_path) == set()


AT_WORK = """
import sys, time
from pathlib import Path
from pipeline.store.finished_work import FinishedWork
with FinishedWork(Path(sys.argv[1]), "one"):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_everything_goes_but_what_another_process_is_at_work_with(tmp_path: Path) -> None:
    for stage in ("one", "two"):
        with FinishedWork(tmp_path, stage) as keeping:
            keeping.write("aa", Piece({}, [bytes(100)]))
    command = [sys.executable, "-c", AT_WORK, str(tmp_path)]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    removed, left = finished_work.remove_all(tmp_path)
    assert (list(removed), left) == (["two"], ["one"])
    assert removed["two"] > 100
    assert names(tmp_path, "one") == {"aa"}
    other.kill()
    other.wait()
    assert list(finished_work.remove_all(tmp_path)[0]) == ["one"]
    assert finished_work.remove_all(tmp_path) == ({}, [])


def test_an_interrupted_removal_leaves_no_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FinishedWork(tmp_path, "stage") as keeping:
        keeping.write("aa", Piece({}))

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(finished_work.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            finished_work.remove_all(tmp_path)
    with FinishedWork(tmp_path, "stage") as keeping:
        assert "aa" not in keeping
    finished_work.remove_all(tmp_path)
    assert not list((tmp_path / "kept").iterdir())


def test_an_array_comes_back_from_a_piece(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float16).reshape(3, 2)
    with FinishedWork(tmp_path, "embed") as keeping:
        keeping.write("aa", Piece.of_array(values))
        found = keeping.read("aa")
    assert found is not None
    assert found.array().dtype == np.float16
    assert np.array_equal(found.array(), values)
