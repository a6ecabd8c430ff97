from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from pipeline.errors import UserError
from pipeline.live import roster as rosters
from pipeline.live.roster import Roster, read
from tests.live.made import watched, write_footage, write_model


def listed(path: Path, *rows: str, header: str = "id,url") -> Path:
    path.write_text("\n".join([header, *rows, ""]))
    return path


def test_a_list_is_read_as_people_save_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("\ufeffURL,Id\r\nhttp://example.org/a,yard\r\n\r\na.mp4,gate\r\n".encode())
    assert read(path) == {"yard": "http://example.org/a", "gate": "a.mp4"}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["a,http://x/1", "a,http://x/2"], "row 3: 'a' is the id of another stream"),
        ([",http://x/1"], "row 2: give an id of 1 to 100"),
        (["a,"], "row 2: 'a' has no url"),
        (["a,rtmp://me:seCret@x/seCret,3"], "row 2: not one cell for each of id, url"),
    ],
)
def test_what_is_wrong_is_named_without_any_secret(
    tmp_path: Path, rows: list[str], says: str
) -> None:
    with pytest.raises(UserError, match=says) as caught:
        read(listed(tmp_path / "a.csv", *rows))
    assert "seCret" not in str(caught.value)


def test_a_list_without_a_header_tells_no_secret(tmp_path: Path) -> None:
    path = listed(tmp_path / "a.csv", "b,rtmp://x/y", header="a,rtmp://me:seCret@x/seCret")
    with pytest.raises(UserError) as caught:
        read(path)
    assert "seCret" not in str(caught.value)


def test_a_list_that_is_not_there_or_empty_is_named(
    tmp_path: Path, compose: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path / "models")
    with pytest.raises(UserError, match="give a list with the columns id,url"):
        watched(capsys, compose, tmp_path / "none.csv", "threshold=0.5")
    with pytest.raises(UserError, match="no stream is in the list"):
        watched(capsys, compose, listed(tmp_path / "a.csv"), "threshold=0.5")
    with pytest.raises(UserError, match=r"gone\.mp4: there is no such file"):
        watched(capsys, compose, listed(tmp_path / "a.csv", "x,gone.mp4"), "threshold=0.5")


def test_a_path_that_no_file_can_have_is_named(
    tmp_path: Path, compose: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for what in ("a" * 300, "a\0b"):
        with pytest.raises(UserError, match="there is no such file"):
            watched(capsys, compose, what, "threshold=0.5")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match="Is a directory; give a list"):
        read(tmp_path / "folder.csv")


def test_a_file_that_goes_before_its_stream_joins_costs_no_other_stream_anything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watcher = Mock(streams=[])
    joined: list[str] = []

    def source_of(url: str) -> Path:
        if joined and url == "gone.mp4":
            raise UserError("gone.mp4: there is no such file; give one")
        return Path(url)

    path = listed(tmp_path / "a.csv", "a,there.mp4", "b,gone.mp4")
    roster = Roster(path, watcher, source_of, lambda name, source: joined.append(name))
    assert joined == ["a"]
    assert not roster.look()
    assert caplog.text.count("stream 'b' does not join") == 1


def test_a_list_that_is_still_being_written_ends_no_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rosters, "LOOK_EVERY_S", 0.0)
    watcher = Mock(streams=[])
    path = listed(tmp_path / "a.csv", "a,a.mp4", "b,b.mp4")
    roster = Roster(path, watcher, Path, Mock())
    watcher.streams = ["a", "b"]
    for rows in ([], ["a,a.mp4"], ["a,a.mp4", "b,b.m"], ["a,a.mp4", "b,b.mp4", "c,c.mp4"]):
        listed(path, *rows)
        roster.look()
    watcher.leave.assert_not_called()
    listed(path, "b,b.mp4")
    roster.look()
    roster.look()
    watcher.leave.assert_called_once_with("a")


@pytest.mark.slow
def test_streams_join_and_leave_while_others_go_on(
    tmp_path: Path,
    compose: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    write_model(tmp_path / "models")
    for name, length in (("long", 420), ("short", 90)):
        write_footage(tmp_path / f"{name}.mp4", length)
    path = listed(tmp_path / "a.csv", "stays,long.mp4", "leaves,long.mp4")

    def said(text: str) -> None:
        until = time.monotonic() + 120
        while text not in caplog.text and time.monotonic() < until:
            time.sleep(0.1)

    def change() -> None:
        said("leaves: alert.opened")
        listed(path, "stays,long.mp4", "leaves,")
        said("'leaves' has no url")
        listed(path, "stays,long.mp4", "joins,short.mp4")

    threading.Thread(target=change, daemon=True).start()
    events = watched(capsys, compose, path, "threshold=0.001", "refractory_s=2")
    turns = [
        (one["subject"], one["type"], one["data"].get("reason"), one["data"].get("at_s"))
        for one in events
        if one["type"].startswith("stream.")
    ]
    ended = {name: (reason, at_s) for name, kind, reason, at_s in turns if kind == "stream.ended"}
    assert ended.keys() == {"stays", "leaves", "joins"}
    assert ended["stays"] == ("end", pytest.approx(14.0, abs=0.6))
    assert ended["joins"] == ("end", pytest.approx(3.0, abs=0.6))
    assert ended["leaves"][0] == "stopped"
    assert ended["leaves"][1] < 13
    kinds = [kind for name, kind, *_ in turns if name == "stays"]
    assert kinds == ["stream.started", "stream.ended"]
    # A list with a mistake changes nothing, and is told once.
    assert caplog.text.count("'leaves' has no url") == 1
    # Every alert that was opened is closed, that of the stream that left too.
    opened = [one["data"]["alert"] for one in events if one["type"] == "alert.opened"]
    closed = [one["data"]["alert"] for one in events if one["type"] == "alert.closed"]
    assert sorted(opened) == sorted(closed)
    assert str(tmp_path) not in json.dumps(events)
