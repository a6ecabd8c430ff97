from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.commands import review, review_times
from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow, read_index, write_index
from pipeline.review.deployment import deployments
from pipeline.review.proposing import Proposal
from pipeline.review.record import Record
from pipeline.review.tasks import Decision
from tests.commands.score.toy import CLIP, write_files
from tests.conftest import compose_below
from tests.review.made import SETTINGS, queued, row

Told = Callable[..., str]


class Stub:
    """Proposes two moments of every file."""

    def __init__(self, detector: Any) -> None:
        pass

    def curves(self, frames: Any, sounds: Any, time_s: Any) -> int:
        # The last of three clips of eight frames begins within the second one.
        assert time_s == pytest.approx(np.arange(20) / 15)
        assert (len(frames), len(sounds)) == (20, 20 * 1600)
        return 3

    def proposals(self, curves: Any, most: int) -> list[Proposal]:
        assert curves == [3]
        return [Proposal(0.8, 0.75, True), Proposal(0.2, 0.25, False)]


@pytest.fixture
def told(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Told:
    monkeypatch.setattr(review_times, "Finder", Stub)
    monkeypatch.chdir(project)

    def run(*words: str) -> str:
        capsys.readouterr()
        keys = [word for word in words if "=" in word]
        cfg = compose_below(project, "review", *CLIP, *keys)
        review.run(*(word for word in words if "=" not in word), cfg=cfg)
        return capsys.readouterr().out

    return run


@pytest.fixture
def own(project: Path) -> Path:
    """Files with a discharge, of which one has times and one is no video."""
    folder = project / "own"
    first, second, third = write_files(folder, 3)
    (folder / "bad.mp4").write_text("no video\n" * 9)
    rows = [
        IndexRow(first, "real", "phone", True, "own", notes="a, b"),
        IndexRow(second, "real", "phone", True, "own"),
        IndexRow(third, "real", "phone", True, "own", discharges_s=(1.0,)),
        IndexRow("bad.mp4", "game", "doom", True, "own"),
    ]
    write_index(folder, rows)
    return folder


def decide(project: Path, **changes: Any) -> list[str]:
    """What is asked, once somebody has decided the first of it."""
    record = Record(project / "review")
    names = [task.name for _, _, task in record.places()]
    values = {"origin": "real", "discharge": True, "discharges_s": (0.8,), "by": "page"}
    record.decide([Decision(names[0], who="Ada", **{**values, **changes})])
    return names


def test_moments_are_proposed_and_what_is_decided_becomes_an_index(
    project: Path, own: Path, told: Told
) -> None:
    said = told("propose", "own")
    assert "bad.mp4: " in said
    assert "queue 1: 2 files with a discharge at a time that nobody told; 4 moments" in said
    assert told("propose", "own").splitlines()[-1].startswith("queue 1: ")
    told("export", "times.csv")
    with (project / "times.csv").open(encoding="utf-8-sig") as file:
        row, _ = csv.DictReader(file)
    assert (row["uri"], row["reasons"]) == ("own/0.mp4", "times")
    assert (row["proposed_s"], row["confidence"]) == ("0.8000;0.2000", "0.75;0.25")
    assert (row["discharges_s"], row["origin"]) == ("", "")
    with pytest.raises(UserError, match="have decided any; ask them with discern review propose"):
        told("times", "own", "out=new.csv")
    decide(project)
    said = told("times", "own", "out=fresh/index.csv")
    assert "fresh/index.csv: times of 1 file; 2 still have none" in said
    before = (own / "index.csv").read_text()
    (own / "index.csv").write_text((project / "fresh" / "index.csv").read_text())
    rows = {one.path: one for one in read_index(own)}
    assert (rows["0.mp4"].discharges_s, rows["0.mp4"].reviewed_by) == ((0.8,), "Ada")
    assert (rows["0.mp4"].notes, rows["2.mp4"].discharges_s) == ("a, b", (1.0,))
    assert before.count("\n") == (own / "index.csv").read_text().count("\n")
    # What has times is not asked about again.
    (own / "index.csv").write_text(before)
    assert "1 file left out, of which somebody told the times" in told("propose", "own")


def test_what_is_asked_for_its_times_tells_nothing_of_a_deployment(
    project: Path, own: Path, told: Told
) -> None:
    told("propose", "own")
    decide(project)
    record = Record(project / "review")
    votes = review.agreement.Votes.of(record, 0.05)
    assert deployments(record, votes, 0.95) == []
    with pytest.raises(UserError, match="nothing was decided that can be exported"):
        told("export-collection", "new", "source=x", "licence=x")


def test_who_said_what_a_file_is_was_not_asked_when(project: Path, own: Path, told: Told) -> None:
    path = own / "0.mp4"
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    record = queued(project, [row(0, uri=str(path), sha256=sha256)], SETTINGS)
    (name,) = decide(project, discharges_s=())
    exported = told("export-collection", "new", "source=x", "licence=x")
    assert "new: 1 file" in exported
    told("propose", "own")
    # Whoever is asked when is asked, and the file stays where it was exported to.
    votes = review.agreement.Votes.of(record, 0.05)
    asked = [place for _, place, task in record.places() if task.asks_times]
    assert name not in {place.task for place in asked}
    assert all(map(votes.is_open, asked))
    assert "new: 1 file" in told("export-collection", "new", "source=x", "licence=x")
    record.decide([Decision(asked[0].task, "real", True, (0.8,), "Bo", "page")])
    assert "times of 1 file" in told("times", "own", "out=times.csv")


def test_who_sees_something_else_than_the_index_says_is_told(
    project: Path, own: Path, told: Told
) -> None:
    told("propose", "own")
    decide(project, origin="game")
    with pytest.raises(UserError, match="of no file"):
        told("times", "own", "out=new.csv")
    with pytest.raises(UserError, match="give out=FILE"):
        told("times", "own")
    write_index(own, [IndexRow("0.mp4", "real", "s", False, "own")])
    with pytest.raises(UserError, match="every file with a discharge has times"):
        told("propose", "own")


def test_a_proposal_that_is_kept_in_label_studio_is_an_answer(
    project: Path, own: Path, told: Told
) -> None:
    told("propose", "own")
    told("export", "tasks.json", "format=label_studio")
    (task, *_) = json.loads((project / "tasks.json").read_text())
    kept, _ = task["predictions"][0]["result"]
    assert kept["score"] == 0.75
    chosen = [
        {"from_name": name, "type": "choices", "value": {"choices": [value]}}
        for name, value in (("origin", "real"), ("discharge", "yes"))
    ]
    task["annotations"] = [{"id": 1, "completed_by": {"email": "a@b"}, "result": [kept, *chosen]}]
    (project / "tasks.json").write_text(json.dumps([task]))
    assert "1 decision imported" in told("import", "tasks.json", "format=label_studio")
    assert "1 file; " in told("times", "own", "out=new.csv")
    with (project / "new.csv").open() as file:
        assert next(csv.DictReader(file))["discharges_s"] == "0.8000"
