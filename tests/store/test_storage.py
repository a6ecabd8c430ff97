from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow, read_index, write_index
from pipeline.store import storage

PLACE = "memory://bucket/unit7"


@pytest.fixture(autouse=True)
def _fresh_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(storage, "_WAITS_S", (0.0, 0.0))
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    yield
    memory.store.clear()


def put(path: str, data: bytes, place: str = PLACE) -> None:
    with fsspec.open(f"{place}/{path}", "wb") as file:
        file.write(data)


def keys() -> set[str]:
    return set(fsspec.filesystem("memory").store)


def write_files(folder: Path, **files: bytes) -> Path:
    for path, data in files.items():
        target = folder / path.replace("__", "/").replace("_", ".")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def break_connection(monkeypatch: pytest.MonkeyPatch, method: str, num_failures: int) -> list[int]:
    """Make a method of the file system fail, and count its calls."""
    kind = type(fsspec.filesystem("memory"))
    real, calls = getattr(kind, method), [0]

    def fails(self: Any, *args: Any, **keywords: Any) -> Any:
        calls[0] += 1
        if calls[0] <= num_failures:
            raise ConnectionResetError("reset by peer")
        return real(self, *args, **keywords)

    monkeypatch.setattr(kind, method, fails)
    return calls


def test_only_urls_are_remote() -> None:
    assert storage.is_remote("s3://bucket/prefix")
    assert not storage.is_remote("/data/unit7")
    assert not storage.is_remote("footage/c:/x")


def test_a_place_is_called_by_its_last_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unit7").mkdir()
    monkeypatch.chdir(tmp_path / "unit7")
    assert [storage.name(place) for place in ("s3://bucket/a/unit7/", ".")] == ["unit7"] * 2


def test_a_file_is_there_for_as_long_as_it_is_needed(tmp_path: Path) -> None:
    put("range/a.mp4", b"frames")
    with storage.fetched(PLACE, "range/a.mp4", tmp_path / "work") as local:
        assert local.is_relative_to(tmp_path / "work")
        assert (local.name, local.read_bytes()) == ("a.mp4", b"frames")
    assert files(tmp_path) == {}


def test_a_local_file_is_neither_copied_nor_deleted(tmp_path: Path) -> None:
    write_files(tmp_path, a_mp4=b"frames")
    with storage.fetched(str(tmp_path), "a.mp4", tmp_path / "work") as local:
        assert local == tmp_path / "a.mp4"
    assert files(tmp_path) == {"a.mp4": b"frames"}


@pytest.mark.parametrize("path", ["b.mp4", "range"])
def test_what_is_no_file_is_not_found(tmp_path: Path, path: str) -> None:
    put("range/a.mp4", b"frames")
    write_files(tmp_path / "local", range__a_mp4=b"frames")
    for place in (PLACE, str(tmp_path / "local")):
        with (
            pytest.raises(FileNotFoundError, match=path),
            storage.fetched(place, path, tmp_path),
        ):
            pass
    with pytest.raises(FileNotFoundError):
        storage.identity(PLACE, path)


def test_a_link_is_called_by_its_own_name_in_one_normal_form(tmp_path: Path) -> None:
    (tmp_path / "release-17").mkdir()
    (tmp_path / "unit7").symlink_to("release-17")
    assert storage.name(str(tmp_path / "unit7")) == "unit7"
    assert storage.name(str(tmp_path / "Zu\u0308rich")) == storage.name("s3://b/Zürich") == "Zürich"


def test_an_object_in_another_normal_form_is_found(tmp_path: Path) -> None:
    there, written = "Zu\u0308rich/cafe\u0301.mp4", "Zürich/café.mp4"
    put(there, b"frames")
    write_files(tmp_path / "local", b=b"")
    local = tmp_path / "local" / there
    local.parent.mkdir()
    local.write_bytes(b"frames")
    for place in (PLACE, str(tmp_path / "local")):
        for path in (there, written):
            with storage.fetched(place, path, tmp_path / "work") as found:
                assert found.read_bytes() == b"frames"
        assert storage.identity(place, there) == storage.identity(place, written)
    with pytest.raises(FileNotFoundError):
        storage.identity(PLACE, "café.mp4")


@pytest.mark.parametrize("path", ["../b.mp4", "/etc/passwd", "a/../../b.mp4", "", "a\0b"])
def test_a_path_that_leaves_the_place_is_refused(tmp_path: Path, path: str) -> None:
    for place in (PLACE, str(tmp_path)):
        with (
            pytest.raises(UserError, match="leaves the folder"),
            storage.fetched(place, path, tmp_path),
        ):
            pass
        with pytest.raises(UserError, match="leaves the folder"):
            storage.identity(place, path)


def test_a_path_cannot_name_another_file_system(tmp_path: Path) -> None:
    put("a.mp4", b"x", "memory://other")
    with (
        pytest.raises(FileNotFoundError),
        storage.fetched(PLACE, "a::memory://other/a.mp4", tmp_path),
    ):
        pass


def test_the_identity_changes_with_the_file(tmp_path: Path) -> None:
    put("a.mp4", b"one")
    first = storage.identity(PLACE, "a.mp4")
    assert storage.identity(PLACE, "a.mp4") == first
    put("a.mp4", b"two")
    assert storage.identity(PLACE, "a.mp4") != first

    local = write_files(tmp_path, a_mp4=b"one")
    first = storage.identity(str(local), "a.mp4")
    assert storage.identity(str(local), "a.mp4") == first
    write_files(tmp_path, a_mp4=b"three")
    assert storage.identity(str(local), "a.mp4") != first


def test_a_broken_connection_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a.mp4", b"frames")
    calls = break_connection(monkeypatch, "get_file", 2)
    with storage.fetched(PLACE, "a.mp4", tmp_path) as local:
        assert local.read_bytes() == b"frames"
    assert calls == [3]


def test_trouble_that_lasts_names_object_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a.mp4", b"frames")
    calls = break_connection(monkeypatch, "get_file", 99)
    with (
        pytest.raises(UserError, match=f"{PLACE}/a.mp4: not reachable .*reset by peer.*network"),
        storage.fetched(PLACE, "a.mp4", tmp_path),
    ):
        pass
    assert calls == [3]
    assert files(tmp_path) == {}


def test_a_download_cut_short_is_not_taken_for_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a.mp4", b"frames")
    kind = type(fsspec.filesystem("memory"))
    monkeypatch.setattr(
        kind, "get_file", lambda self, key, local, **_: Path(local).write_bytes(b"fra")
    )
    with (
        pytest.raises(UserError, match="3 bytes instead of 6"),
        storage.fetched(PLACE, "a.mp4", tmp_path),
    ):
        pass


def test_a_bug_is_not_taken_for_trouble_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a.mp4", b"frames")
    kind = type(fsspec.filesystem("memory"))
    monkeypatch.setattr(kind, "get_file", lambda self, key, local, **_: 1 / 0)
    with pytest.raises(ZeroDivisionError), storage.fetched(PLACE, "a.mp4", tmp_path):
        pass


def test_the_index_of_a_remote_collection_is_read(tmp_path: Path) -> None:
    row = IndexRow("a.mp4", "real", "fleet", False, "CC0-1.0", "a.mp4")
    write_index(tmp_path, [row])
    put("index.csv", (tmp_path / "index.csv").read_bytes())
    with storage.fetched_index(PLACE, tmp_path / "work") as folder:
        assert read_index(folder) == [row]
    with storage.fetched_index(str(tmp_path), tmp_path / "work") as folder:
        assert folder == tmp_path


def test_mistakes_of_a_remote_index_name_its_url(tmp_path: Path) -> None:
    put("index.csv", b"path,origin,source,discharge,licence\na.mp4,dream,s,0,l\n")
    with (
        pytest.raises(UserError, match=f"^{PLACE}/index.csv: 1 mistake\n.*'dream'"),
        storage.fetched_index(PLACE, tmp_path) as folder,
    ):
        read_index(folder)


def test_a_prefix_without_index_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=f"{PLACE}/index.csv: no such object; check bucket"),
        storage.fetched_index(PLACE, tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("sss://bucket/x", r"sss://bucket/x: Protocol not known.*name a folder or s3://"),
        ("memory://", "names no bucket"),
    ],
)
def test_a_place_that_is_none_is_named(tmp_path: Path, place: str, message: str) -> None:
    with pytest.raises(UserError, match=message), storage.fetched_index(place, tmp_path):
        pass


def test_a_missing_library_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with (
        pytest.raises(UserError, match=r"s3://b/x: Install s3fs.*pip install -e '\.\[s3\]'"),
        storage.fetched_index("s3://b/x", tmp_path),
    ):
        pass


def test_folders_that_cannot_be_made_are_named_with_their_key(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")
    told = r"file/below: no folder can be made there; give another paths\.adapted=…"
    with pytest.raises(UserError, match=told):
        storage.own_folder(tmp_path / "file" / "below", PLACE, "paths.adapted")
    with pytest.raises(UserError, match=r"file: no folder .* elsewhere in conf/paths\.yaml"):
        storage.own_folder(tmp_path / "file", PLACE)


def test_what_is_uploaded_takes_the_place_of_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = tmp_path / "a"
    calls = break_connection(monkeypatch, "put_file", 1)
    for content in (b"old", b"new"):
        local.write_bytes(content)
        storage.upload(local, PLACE, "below/a")
    assert calls == [3]
    assert {path: size for path, (_, size) in storage.versions(PLACE).items()} == {"below/a": 3}
    with storage.fetched(PLACE, "below/a", tmp_path / "work") as found:
        assert found.read_bytes() == b"new"
    with pytest.raises(UserError, match="leaves the folder"):
        storage.upload(local, PLACE, "../a")


def test_places_of_one_name_have_folders_of_their_own(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "unit7", tmp_path / "b" / "unit7"
    reports = tmp_path / "reports"
    found = [storage.own_folder(reports, str(place)) for place in (first, second, PLACE)]
    assert found[0] == reports / "unit7"
    assert len(set(found)) == 3
    assert all(one.name.startswith("unit7") for one in found)
    again = [storage.own_folder(reports, f"{place}/") for place in (first, second, PLACE)]
    assert again == found


def test_a_key_that_would_leave_a_copy_is_refused() -> None:
    memory = fsspec.filesystem("memory")
    put("a.tar", b"a")
    memory.store["/bucket/unit7/../../evil"] = memory.store["/bucket/unit7/a.tar"]
    with pytest.raises(UserError, match="leaves the folder"):
        storage.versions(PLACE)
