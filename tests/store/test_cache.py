"""A cache of remote files, tried on fsspec's file system in memory and on one on disk."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.store import storage
from pipeline.store.cache import Cache


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.raw").write_bytes(bytes([number]) * 1000)
    return folder


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done: list[str] = []
    original = storage.download

    def download(place: str, path: str, local: Path, version: str) -> None:
        done.append(path)
        original(place, path, local, version)

    monkeypatch.setattr(storage, "download", download)
    return done


def cache(store: Path, limit_bytes: float = 1e9) -> Cache:
    place = f"file://{store}"
    return Cache(place, storage.versions(place), store.parent / "cache", limit_bytes)


def read(cached: Cache, name: str) -> bytes:
    handle = cached.open(name)
    try:
        return os.pread(handle, 10_000, 0)
    finally:
        os.close(handle)


def kept(cached: Cache) -> int:
    return sum(path.suffix == ".raw" for path in cached.folder.iterdir())


def test_a_file_is_fetched_once(store: Path, downloads: list[str]) -> None:
    for _ in range(2):
        one = cache(store)
        assert read(one, "3.raw") == bytes([3]) * 1000
        assert read(one, "4.raw") == bytes([4]) * 1000
    assert downloads == ["3.raw", "4.raw"]


def test_the_file_that_was_not_opened_for_longest_goes(store: Path, downloads: list[str]) -> None:
    one = cache(store, limit_bytes=3000)
    for name in ("0.raw", "1.raw", "2.raw", "0.raw", "3.raw"):
        read(one, name)
        assert kept(one) <= 3
    downloads.clear()
    for name in ("0.raw", "2.raw", "3.raw"):
        read(one, name)
    assert downloads == []
    read(one, "1.raw")
    assert downloads == ["1.raw"]


def test_a_file_that_goes_is_read_on_by_who_has_it_open(store: Path) -> None:
    one = cache(store, limit_bytes=1000)
    handle = one.open("0.raw")
    read(one, "1.raw")
    assert kept(one) == 1
    assert os.pread(handle, 10_000, 0) == bytes(1000)
    os.close(handle)


def test_a_file_larger_than_the_cache_is_read_all_the_same(store: Path) -> None:
    one = cache(store, limit_bytes=10)
    assert read(one, "5.raw") == bytes([5]) * 1000
    assert read(one, "4.raw") == bytes([4]) * 1000
    assert kept(one) == 1


def test_a_file_that_changed_is_fetched_again(store: Path) -> None:
    assert read(cache(store), "2.raw") == bytes([2]) * 1000
    (store / "2.raw").write_bytes(b"new" * 500)
    assert read(cache(store), "2.raw") == b"new" * 500


@pytest.mark.parametrize("change", ["changed", "gone"])
def test_a_file_that_changes_while_it_is_read_is_an_error(store: Path, change: str) -> None:
    one = cache(store)
    if change == "gone":
        (store / "2.raw").unlink()
    else:
        (store / "2.raw").write_bytes(b"new" * 500)
    with pytest.raises(UserError, match=r"2\.raw: changed since its index was read; start again"):
        read(one, "2.raw")
    assert read(one, "1.raw") == bytes([1]) * 1000


def test_what_killed_processes_left_is_removed(store: Path) -> None:
    one = cache(store)
    one.folder.mkdir()
    # One for every lock, that of the file which is fetched now among them.
    left = [one.folder / f"{number:024x}.partial" for number in range(64)]
    for partial in left:
        partial.write_bytes(b"half")
    assert read(one, "2.raw") == bytes([2]) * 1000
    assert not any(partial.exists() for partial in left)
    assert kept(one) == 1


def _read_all(one: Cache, barrier: Any, queue: Any) -> None:
    fetched = []
    original = storage.download

    def download(place: str, path: str, local: Path, version: str) -> None:
        fetched.append(path)
        original(place, path, local, version)

    storage.download = download
    barrier.wait()
    whole = all(read(one, f"{n}.raw") == bytes([n]) * 1000 for n in range(6) for _ in range(5))
    queue.put((whole, fetched))


@pytest.mark.parametrize("limit_bytes", [1e9, 2000])
def test_processes_share_it(store: Path, limit_bytes: float) -> None:
    one = cache(store, limit_bytes)
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(4), context.Queue()
    processes = [context.Process(target=_read_all, args=(one, barrier, queue)) for _ in range(4)]
    for process in processes:
        process.start()
    results = [queue.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert all(whole for whole, _ in results)
    fetched = [name for _, names in results for name in names]
    if limit_bytes == 1e9:
        assert sorted(fetched) == [f"{n}.raw" for n in range(6)], "each by one process"
    else:
        assert kept(one) <= 2
