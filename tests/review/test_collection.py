from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pipeline.errors import UserError
from pipeline.footage.collection import read_index, write_index
from pipeline.review import collection
from pipeline.review.agreement import Votes
from pipeline.review.collection import ExportResult, IndexTerms
from pipeline.review.record import Record
from tests.review.made import SETTINGS, decision, queued, row

TERMS = IndexTerms("unit7", "CC0-1.0", "City Police", Path())
ALL = replace(SETTINGS, num=12, audit=0.3, second=0.0)


class Reviewed:
    """Twelve files that were scored, and what is decided of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, rows = folder, []
        for number in range(12):
            path = folder / f"{number}.MP4"
            path.write_bytes(bytes([number]) * 100)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            source = "yard" if number == 11 else None
            told = {"uri": str(path), "sha256": sha256, "source": source}
            rows.append(row(number, 0.8 - 0.05 * number, **told))
        self.record = queued(folder, rows, ALL)
        self.names = {task.id: task.name for _, _, task in self.record.places()}
        self.drawn = {place.task for _, place in self.record.drawn()}

    def decide(self, number: int, *people: str, **changes: Any) -> str:
        name = self.names[f"id-{number}"]
        for who in people or ("Ada", "Bo", "Cy"):
            self.record.decide([decision(name, who, **changes)])
        return name

    def export(self, terms: IndexTerms = TERMS) -> ExportResult:
        votes = Votes.of(self.record, 0.05)
        return collection.export(
            self.folder / "own", self.record, votes, terms, self.folder / "work"
        )


@pytest.fixture
def reviewed(tmp_path: Path) -> Reviewed:
    return Reviewed(tmp_path)


def test_a_full_disk_is_told_and_no_missing_file(
    reviewed: Reviewed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(here: Path, there: Path) -> None:
        # As `shutil` has it, which names first what it read.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(here), None, str(there))

    reviewed.decide(0)
    monkeypatch.setattr("pipeline.review.collection.shutil.copyfile", fails)
    with pytest.raises(OSError, match=r"No space left on device: '.*/own'$") as error:
        reviewed.export()
    assert error.value.errno == errno.ENOSPC


def test_decisions_that_cannot_be_reached_are_not_to_be_moved_away(tmp_path: Path) -> None:
    (tmp_path / "review" / "review.sqlite").mkdir(parents=True)
    with pytest.raises(UserError, match=r"cannot be read or written .*; free the disk, or end"):
        Record(tmp_path / "review")


def test_decisions_are_an_index_of_copied_files(reviewed: Reviewed) -> None:
    shot = reviewed.decide(0, discharges_s=(2.5, 3.0))
    game = reviewed.decide(1, origin="game", discharge=False, discharges_s=())
    found = reviewed.export()
    rows = {row.path: row for row in read_index(reviewed.folder / "own")}
    assert sorted(rows) == sorted([f"{shot}.mp4", f"{game}.mp4"])
    one, other = rows[f"{shot}.mp4"], rows[f"{game}.mp4"]
    assert (one.origin, one.discharge, one.discharges_s) == ("real", True, (2.5, 3.0))
    assert (other.origin, other.discharge, other.discharges_s) == ("game", False, ())
    assert (one.source, one.licence, one.authority) == ("unit7", "CC0-1.0", "City Police")
    assert one.reviewed_by == "Ada; Bo; Cy"
    assert (reviewed.folder / "own" / one.path).read_bytes() == bytes([0]) * 100
    # It raised an alert, and is no real shooting.
    assert [path.name for path in found.false_alarms] == [other.path]
    lines = (reviewed.folder / "own" / "decisions.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    assert {(one["task"], one["who"]) for one in told} == {
        (name, who) for name in (shot, game) for who in ("Ada", "Bo", "Cy")
    }
    assert {one["weights_sha256"] for one in told} == {"a" * 64}


def test_only_what_the_audit_drew_may_be_judged_by(
    reviewed: Reviewed, compose: Callable[..., Any]
) -> None:
    for number in range(12):
        reviewed.decide(number)
    found = reviewed.export()
    patterns = compose("split").train_only
    kept_out = {
        row.recording.partition("/")[2]
        for row in found.rows
        if any(fnmatchcase(f"own/{row.recording}", one) for one in patterns)
    }
    assert 0 < len(reviewed.drawn) < 12
    assert kept_out == set(reviewed.names.values()) - reviewed.drawn


def test_what_is_not_agreed_on_or_not_there_is_left_out_and_counted(reviewed: Reviewed) -> None:
    others = [n for n in range(12) if reviewed.names[f"id-{n}"] not in reviewed.drawn]
    gone, changed, unsure, kept, untimed = others[:5]
    for number in (gone, changed, kept):
        reviewed.decide(number)
    reviewed.decide(untimed, discharges_s=())
    reviewed.decide(unsure, origin="unsure", discharge=None, discharges_s=())
    (reviewed.folder / f"{gone}.MP4").unlink()
    (reviewed.folder / f"{changed}.MP4").write_bytes(b"other")
    found = reviewed.export()
    assert dict(found.left_out) == {"missing": 1, "changed": 1, "undecided": 1}
    assert [row.path for row in found.rows] == sorted(
        f"{reviewed.names[f'id-{n}']}.mp4" for n in (kept, untimed)
    )
    assert found.num_untimed == 1


def test_a_later_export_adds_to_it_and_copies_nothing_twice(reviewed: Reviewed) -> None:
    first = reviewed.decide(0)
    reviewed.export()
    path = reviewed.folder / "own" / f"{first}.mp4"
    before = path.stat()
    reviewed.decide(1)
    assert len(reviewed.export().rows) == 2
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_damaged_copy_is_made_again(reviewed: Reviewed) -> None:
    path = reviewed.folder / "own" / f"{reviewed.decide(0)}.mp4"
    reviewed.export()
    path.write_bytes(path.read_bytes()[:7])
    assert len(reviewed.export().rows) == 1
    assert path.read_bytes() == bytes([0]) * 100
    assert [one.name for one in path.parent.iterdir() if one.name.startswith(".")] == []


def test_what_was_to_be_forgotten_is_in_no_collection(reviewed: Reviewed) -> None:
    reviewed.decide(1)
    gone = reviewed.decide(2)
    sha256 = hashlib.sha256(bytes([2]) * 100).hexdigest()
    assert any(row.path.startswith(gone) for row in reviewed.export().rows)
    found = reviewed.export(replace(TERMS, forgotten={sha256}))
    assert [row.path.startswith(gone) for row in found.rows] == [False]
    assert found.left_out["forgotten"] == 1


def test_a_source_of_the_listing_goes_before_that_of_all(reviewed: Reviewed) -> None:
    known, unknown = reviewed.decide(11), reviewed.decide(1)
    rows = {row.path: row.source for row in reviewed.export().rows}
    assert rows == {f"{known}.mp4": "yard", f"{unknown}.mp4": "unit7"}
    found = reviewed.export(replace(TERMS, source=None))
    assert [row.source for row in found.rows] == ["yard"]
    assert found.left_out["unsourced"] == 1


def test_no_server_is_asked_for_a_file(reviewed: Reviewed) -> None:
    task = reviewed.record.places()[0][2]
    asked: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        address = f"127.0.0.1:{server.getsockname()[1]}/x.mp4"

        def answer() -> None:
            with contextlib.suppress(OSError):
                asked.append(server.accept()[0])

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        for scheme in ("http", "HTTPS", "ftp", "webdav+http"):
            elsewhere = replace(task, uri=f"{scheme}://{address}")
            with (
                pytest.raises(UserError, match=r"fetches from s3:// alone; fetch the file"),
                collection.at_hand(elsewhere, Path(), reviewed.folder / "work"),
            ):
                pass
        assert asked == []
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_file_may_be_named_as_an_address(reviewed: Reviewed) -> None:
    path = reviewed.folder / "a b#c.mp4"
    path.write_bytes(b"x")
    task = replace(reviewed.record.places()[0][2], uri=f"file://{quote(str(path))}")
    with collection.at_hand(task, Path(), reviewed.folder / "work") as local:
        assert local.read_bytes() == b"x"


def test_another_collection_is_not_overwritten(reviewed: Reviewed) -> None:
    reviewed.decide(0)
    rows = reviewed.export().rows
    other = reviewed.folder / "other"
    other.mkdir()
    write_index(other, rows)
    votes = Votes.of(reviewed.record, 0.05)
    with pytest.raises(UserError, match="other: holds another collection"):
        collection.export(other, reviewed.record, votes, TERMS, reviewed.folder)
    assert Record(reviewed.folder / "review").decisions().keys() == {rows[0].path[:-4]}
