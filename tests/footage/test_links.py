from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.footage import links

DVC = [sys.executable, "-m", "dvc"]


def collection(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "index.csv").write_text("path\n")
    (folder / "a.mp4").write_bytes(folder.name.encode())
    return folder


def repository(folder: Path, cache: Path | None = None) -> Path:
    """A DVC repository without Git, as `dvc init --no-scm` makes it."""
    (folder / ".dvc").mkdir(parents=True)
    settings = f"[cache]\n    dir = {cache}\n" if cache else ""
    (folder / ".dvc" / "config").write_text(f"[core]\n    no_scm = True\n{settings}")
    return folder


def linked(file: Path, cache: Path, inside: str = "files/md5") -> Path:
    """Replace a file by a link to an object of the cache, as `cache.type symlink` does."""
    target = cache / inside / "0c" / "c175b9c0f1b6a831c399e269772661"
    target.parent.mkdir(parents=True, exist_ok=True)
    file.rename(target)
    target.chmod(0o444)
    file.symlink_to(target)
    return file


def test_collections_are_found_at_any_depth_and_the_folder_itself(tmp_path: Path) -> None:
    wanted = [collection(tmp_path / "f"), collection(tmp_path / "f" / "a" / "b")]
    assert links.find_collections(tmp_path / "f") == wanted
    assert links.find_collections(tmp_path / "none") == []


def test_a_link_to_a_collection_is_one_under_the_name_of_the_link(tmp_path: Path) -> None:
    collection(tmp_path / "disk" / "release-17")
    (tmp_path / "footage").mkdir()
    link = tmp_path / "footage" / "unit7"
    link.symlink_to(tmp_path / "disk" / "release-17")
    assert links.find_collections(tmp_path / "footage") == [link]


def test_a_link_to_a_folder_of_collections_is_followed(tmp_path: Path) -> None:
    for name in ("x", "y"):
        collection(tmp_path / "disk" / name)
    (tmp_path / "footage").mkdir()
    (tmp_path / "footage" / "all").symlink_to("../disk")
    assert links.find_collections(tmp_path / "footage") == [
        tmp_path / "footage" / "all" / name for name in ("x", "y")
    ]
    (tmp_path / "linked").symlink_to("footage")
    assert len(links.find_collections(tmp_path / "linked")) == 2


def test_loops_of_links_end_and_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = collection(tmp_path / "footage" / "one")
    (one / "up").symlink_to(tmp_path / "footage")
    (one / "here").symlink_to(".")
    with caplog.at_level(logging.WARNING):
        assert links.find_collections(tmp_path / "footage") == [one]
    assert [record.getMessage() for record in caplog.records] == [
        f"{one / name}: a link to a folder above it, which adds nothing" for name in ("here", "up")
    ]


@pytest.mark.parametrize("name", ["unit7", "."])
def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path, name: str) -> None:
    footage = tmp_path / "footage"
    if name != ".":
        footage.mkdir()
    (footage / name).symlink_to(tmp_path / "unmounted")
    with pytest.raises(UserError, match=r"a link to .*unmounted, which is not there; mount"):
        links.find_collections(footage)


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError, match="a link to loop, which is not there"):
        links.find_collections(tmp_path)


def test_the_index_accounts_for_links_inside_a_collection(tmp_path: Path) -> None:
    one = collection(tmp_path / "one")
    (one / "a.mp4").unlink()
    (one / "a.mp4").symlink_to("gone")
    assert links.find_collections(tmp_path) == [one]
    (one / "index.csv").unlink()
    (one / "index.csv").symlink_to("gone")
    assert links.find_collections(tmp_path) == [one], "whoever reads it says what is wrong"


def test_two_ways_to_one_collection_are_refused(tmp_path: Path) -> None:
    one = collection(tmp_path / "footage" / "one")
    (tmp_path / "footage" / "copy").symlink_to("one")
    with pytest.raises(UserError, match="copy: leads to the same collection as") as error:
        links.find_collections(tmp_path / "footage")
    assert str(one) in str(error.value)


@pytest.mark.parametrize("name", ["Index.csv", "INDEX.CSV", "index.csv.txt", "index.xlsx"])
def test_an_index_under_another_name_is_refused(tmp_path: Path, name: str) -> None:
    collection(tmp_path / "one")
    (tmp_path / "one" / "index.csv").rename(tmp_path / "one" / name)
    with pytest.raises(UserError, match=r"the index of a collection is called index\.csv"):
        links.find_collections(tmp_path)


def test_files_without_an_index_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = collection(tmp_path / "one")
    (one / "sub").mkdir()
    (one / "sub" / "b.mp4").write_bytes(b"b")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "c.mp4").write_bytes(b"c")
    (tmp_path / "README.md").write_text("here")
    with caplog.at_level(logging.WARNING):
        assert links.find_collections(tmp_path) == [one]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'raw'}: holds files and no index.csv, so it is no collection"
    ]


def test_what_dvc_has_not_brought_is_refused(tmp_path: Path) -> None:
    pointer = "outs:\n- md5: 0cc175b9c0f1b6a831c399e269772661.dir\n  path: unit7\n"
    (tmp_path / "unit7.dvc").write_text(pointer)
    with pytest.raises(UserError, match=r"unit7: not here, although .*; run dvc pull"):
        links.find_collections(tmp_path)
    one = collection(tmp_path / "unit7")
    (tmp_path / "notes.dvc").write_text("outs:\n- md5: 0cc1\n  path: notes.pdf\n")
    (tmp_path / "odd.dvc").write_text("[")
    assert links.find_collections(tmp_path) == [one]


def test_a_folder_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scandir(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UserError, match=r"cannot be looked through \(Permission denied\)"):
        links.find_collections(tmp_path)


@pytest.mark.parametrize("inside", ["files/md5", "."])
def test_links_into_the_cache_of_dvc_stay_inside(tmp_path: Path, inside: str) -> None:
    project = repository(tmp_path / "project")
    one = collection(project / "footage" / "one")
    link = linked(one / "a.mp4", project / ".dvc" / "cache", inside)
    assert not links.leads_outside(one, link)


@pytest.mark.parametrize("is_relative", [False, True])
def test_the_cache_may_be_anywhere(tmp_path: Path, is_relative: bool) -> None:
    cache = tmp_path / "shared" / "cache"
    # Relative to the file that says so.
    project = repository(tmp_path / "project", Path("../../shared/cache") if is_relative else cache)
    one = collection(project / "footage" / "one")
    assert not links.leads_outside(one, linked(one / "a.mp4", cache))


def test_the_cache_of_the_project_serves_a_collection_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = repository(tmp_path / "project")
    one = collection(tmp_path / "elsewhere" / "one")
    link = linked(one / "a.mp4", project / ".dvc" / "cache")
    assert links.leads_outside(one, link)
    monkeypatch.chdir(project)
    assert not links.leads_outside(one, link)


def test_other_links_out_of_a_collection_lead_outside(tmp_path: Path) -> None:
    project = repository(tmp_path / "project")
    cache = project / ".dvc" / "cache"
    one = collection(project / "footage" / "one")
    assert not links.leads_outside(one, one / "a.mp4")
    secret = cache / "secret.mp4"
    secret.parent.mkdir()
    secret.write_bytes(b"s")
    for number, target in enumerate((secret, tmp_path / "b.mp4", project / ".dvc" / "config")):
        target.touch()
        (one / f"{number}.mp4").symlink_to(target)
        assert links.leads_outside(one, one / f"{number}.mp4"), target
    (one / "inner.mp4").symlink_to("a.mp4")
    assert not links.leads_outside(one, one / "inner.mp4")
    (tmp_path / "way").symlink_to(one)
    assert not links.leads_outside(tmp_path / "way", tmp_path / "way" / "a.mp4")


@pytest.mark.slow
@pytest.mark.parametrize("place", [None, "../cache", "absolute"])
def test_what_dvc_itself_links_stays_inside(tmp_path: Path, place: str | None) -> None:
    project = tmp_path / "project"
    one = collection(project / "footage" / "one")
    commands = [["init", "-q", "--no-scm"], ["config", "cache.type", "symlink"]]
    if place is not None:
        where = str(tmp_path / "shared") if place == "absolute" else place
        commands.append(["cache", "dir", where])
    for command in [*commands, ["add", "-q", "footage/one"]]:
        subprocess.run([*DVC, *command], cwd=project, check=True)
    assert (one / "a.mp4").is_symlink()
    assert (one / "index.csv").is_symlink()
    assert links.find_collections(project / "footage") == [one]
    assert not links.leads_outside(one, one / "a.mp4")
