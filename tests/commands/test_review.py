from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.assess import deployment_report
from pipeline.commands import review
from pipeline.copies import banks
from pipeline.errors import UserError
from pipeline.footage.collection import read_index
from pipeline.review.record import Record
from tests.made import scene, write_video
from tests.review.made import decision, row, write_scores

Told = Callable[..., str]


@pytest.fixture
def told(tmp_path: Path, compose: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> Told:
    """What `discern review` prints."""

    def run(*words: str) -> str:
        capsys.readouterr()
        arguments = [word for word in words if "=" not in word]
        keys = [word for word in words if "=" in word]
        review.run(*arguments, cfg=compose("review", f"paths.review={tmp_path}/review", *keys))
        return capsys.readouterr().out

    return run


def test_a_queue_is_made_once_and_told(tmp_path: Path, told: Told) -> None:
    scores = write_scores(tmp_path / "today", [row(n) for n in range(50)])
    said = told("queue", str(scores), "num=10")
    assert said.startswith("queue 1: today, 50 videos without copies, ")
    assert "10 tasks; the audit draws" in said
    assert told("queue", str(scores), "num=10").startswith("queue 1, which was there already")
    assert told("queue", str(scores), "num=11").startswith("queue 2: ")
    lines = told("list").splitlines()
    assert all("nobody has decided" in line for line in lines)
    task = lines[0].split()[0]
    Record(tmp_path / "review").decide([decision(task)])
    assert "Ada: real, discharge yes at 2.50 s" in told("list").splitlines()[0]


def test_who_differs_on_what_can_be_read_to_the_end(tmp_path: Path, told: Told) -> None:
    scores = write_scores(tmp_path / "today", [row(n) for n in range(9)])
    told("queue", str(scores), "audit=0", "uncertain=0", "second=1")
    record = Record(tmp_path / "review")
    task = record.places()[0][2].name
    assert "  asks 2  nobody has decided" in told("list").splitlines()[0]
    times_s = tuple(number / 2 for number in range(24))
    record.decide([decision(task, "Ada of the second shift", discharges_s=times_s)])
    assert "  asks 1  Ada" in told("list").splitlines()[0]
    record.decide([decision(task, "Bo", origin="game", discharge=False, discharges_s=())])
    for lines in (told("list"), told("report")):
        (line,) = (one for one in lines.splitlines() if task in one)
        assert "11.50 s; Bo: game, discharge no" in line


def test_what_is_exported_can_be_decided_and_imported(tmp_path: Path, told: Told) -> None:
    scores = write_scores(tmp_path / "today", [row(n) for n in range(30)])
    out = tmp_path / "queue.csv"
    assert told("queue", str(scores), "num=10", f"out={out}").endswith("queue.csv: 10 tasks\n")
    lines = out.read_text(encoding="utf-8-sig").splitlines()
    head, first, *rest = (line.split(",") for line in lines)
    first[head.index("origin")], first[head.index("discharge")] = "real", "no"
    out.write_text("\n".join(",".join(line) for line in (head, first)) + "\n")
    with pytest.raises(UserError, match="does not say who decided; give by=NAME"):
        told("import", str(out))
    assert told("import", str(out), "by=Ada").endswith("1 decision imported\n")
    again = told("import", str(out), "by=Ada")
    assert again.endswith("0 decisions imported, 1 known already or older\n")
    asked = tmp_path / "tasks.json"
    told("export", str(asked), "format=label_studio")
    # Of what is drawn for the audit, or wanted of two, more may be asked than one.
    assert asked.read_text().count('"predictions"') in (9, 10)
    with pytest.raises(UserError, match=r"nowhere: no such file"):
        told("import", str(tmp_path / "nowhere"))
    head[0] = "tusk"
    out.write_text("\n".join(",".join(line) for line in (head, first, *rest)) + "\n")
    with pytest.raises(UserError, match="row 1: no column task"):
        told("import", str(out))


@pytest.mark.parametrize("form", ["csv", "fiftyone", "label_studio"])
def test_what_is_exported_for_one_person_shows_nothing_that_others_decided(
    tmp_path: Path, told: Told, form: str
) -> None:
    scores = write_scores(tmp_path / "today", [row(n) for n in range(9)])
    told("queue", str(scores), "audit=0", "uncertain=0", "second=1")
    record = Record(tmp_path / "review")
    first, second, third, *_ = (task.name for _, _, task in record.places())
    record.decide([decision(first, "Ada"), decision(second, "Bo"), decision(second, "Cy")])
    record.decide([decision(third, "Bo", origin="film", note="a film set")])
    out = tmp_path / "mine"
    assert told("export", str(out), f"format={form}", "by= Bo ").endswith("mine: 7 tasks\n")
    files = list(out.iterdir()) if out.is_dir() else [out]
    text = "".join(file.read_text() for file in files)
    assert first in text
    assert second not in text
    assert third not in text
    assert not [word for word in ("Ada", "Cy", "film set", 'decided":') if word in text]
    if form == "csv":
        (line,) = (
            one
            for one in csv.DictReader(text.lstrip("\ufeff").splitlines())
            if one["task"] == first
        )
        assert (line["who"], line["decided_by"], line["asked"]) == ("Bo", "", "1")
        told("export", str(out))
        assert "a film set" in out.read_text()


def test_nobody_gets_an_export_of_what_they_are_not_asked(tmp_path: Path, told: Told) -> None:
    told("queue", str(write_scores(tmp_path / "today", [row(0)])), "audit=0", "second=1")
    record = Record(tmp_path / "review")
    record.decide([decision(record.places()[0][2].name, "Bo")])
    with pytest.raises(UserError, match="nothing left that by=Bo is asked about; leave by out"):
        told("export", str(tmp_path / "x.csv"), "by=Bo")
    with pytest.raises(UserError, match="by= : say who you are, in 1 to 80 characters"):
        told("export", str(tmp_path / "x.csv"), "by=' '")


def test_a_task_that_another_person_is_asked_about_is_in_no_collection_and_says_so(
    tmp_path: Path, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = write_scores(tmp_path / "today", [row(0, 0.9)])
    said = told("queue", str(scores), "audit=0", "second=1")
    assert said.startswith("queue 1: today, 1 video without copies, ")
    record = Record(tmp_path / "review")
    record.decide([decision(record.places()[0][2].name)])
    with pytest.raises(UserError, match="nothing was decided that can be exported"):
        told("export-collection", str(tmp_path / "own"), "source=unit7", "licence=CC0-1.0")
    assert (
        "1 task left out, which another person is still asked about; discern review export FILE "
        "by=NAME gives them a sheet\n"
    ) in capsys.readouterr().out


def test_decisions_become_a_collection_and_false_alarms_a_negative_bank(
    tmp_path: Path, told: Told
) -> None:
    path = write_video(tmp_path / "alarm.mp4", scene(0, 30), rate=15)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    rows = [row(0, 0.9, uri=str(path), sha256=sha256), *(row(n, 0.1) for n in range(1, 9))]
    told("queue", str(write_scores(tmp_path / "today", rows)), "audit=0", "second=0")
    out = str(tmp_path / "own")
    with pytest.raises(UserError, match="give licence=…, and source=… where the listing has no"):
        told("export-collection", out)
    terms = ("source=unit7", "licence=CC0-1.0", "bank=harmless")
    with pytest.raises(UserError, match="nothing was decided that can be exported"):
        told("export-collection", out, *terms)
    record = Record(tmp_path / "review")
    names = {task.id: task.name for _, _, task in record.places()}
    record.decide([decision(names["id-0"], origin="game"), decision(names["id-1"])])
    said = told("export-collection", out, *terms)
    assert "1 task left out, which have a file that cannot be read here; give root=FOLDER" in said
    assert "1 file, 0 of them drawn by the audit" in said
    (row_of,) = read_index(tmp_path / "own")
    assert (row_of.origin, row_of.reviewed_by) == ("game", "Ada")
    bank = banks.read(tmp_path / "banks", "harmless")
    assert bank.is_negative
    assert bank.with_bytes(sha256) is not None
    record.decide([decision(names["id-0"], origin="real")])
    said = told("export-collection", str(tmp_path / "none"), *terms)
    assert "no false alarm among them, so that nothing is put into bank=harmless" in said


def test_a_report_says_what_it_takes_to_know(tmp_path: Path, told: Told) -> None:
    told("queue", str(write_scores(tmp_path / "today", [row(n) for n in range(60)])), "num=20")
    record = Record(tmp_path / "review")
    record.decide([decision(task.name) for _, _, task in record.places()])
    said = told("report")
    assert "rest 1 of 1 drawn of" in said
    assert "since of a stratum fewer than 5 videos are decided, and not all" in said


def test_a_report_tells_of_detector_people_and_drift(tmp_path: Path, told: Told) -> None:
    scores = write_scores(tmp_path / "today", [row(n) for n in range(60)])
    told("queue", str(scores), "num=60", "audit=1", "uncertain=0")
    record = Record(tmp_path / "review")
    for number, (_, place, task) in enumerate(record.places()):
        decided = decision(task.name, discharge=place.flagged, discharges_s=())
        record.decide([decided])
        if place.wanted > 1:
            record.decide([replace(decided, who="Bo", origin="game" if number % 2 else "real")])
    record.expose(record.places()[0][2].name, "Ada", "stills", 0.0)
    out = tmp_path / "report.json"
    before = write_scores(tmp_path / "of-ada", [row(n, height=240) for n in range(60)])
    said = told("report", str(scores), f"against={before}", f"out={out}")
    assert "Weights aaaaaaaaaaaa, files (queue 1): 60 videos, 0.2 h" in said
    assert re.search(r"alerts: \d videos, \d with copies; [\d,]+\.\d in 1,000 h", said)
    for name in ("precision", "recall"):
        assert re.search(rf"{name}: 0\.9\d+ \(95 %: [01](\.\d+)? to [01](\.\d+)?\)", said)
    assert "of 6 tasks that two were to decide they differ on " in said
    assert "Ada: 60 decisions; saw stills 1 times (0 s)" in said
    assert " is disputed: Ada: real, discharge " in said
    assert "height: 240 before, 360 now; stability index" in said
    report = json.loads(out.read_text())
    assert report["deployments"][0]["recall"]["value"] > 0.9
    assert report["agreement"]["decisions"] == [60, 6]
    assert report["drift"]["against"] == "earlier scores"
    # It may be versioned with everything else, and tells of no person, folder or video.
    assert not [
        word for word in ("Ada", "Bo", str(tmp_path), "of-ada", "id-") if word in out.read_text()
    ]
    assert deployment_report.read(tmp_path) is not None
    assert "height" not in told("report")
    few = write_scores(tmp_path / "few", [row(n) for n in range(29)])
    said = told("report", str(scores), f"against={few}", f"out={out}")
    assert said.endswith("not known: fewer than 30 files can be compared\n")
    assert json.loads(out.read_text())["drift"] is None


def test_a_target_of_the_wrong_kind_is_named(tmp_path: Path, told: Told) -> None:
    scores = write_scores(tmp_path / "today", [row(n) for n in range(9)])
    told("queue", str(scores))
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    folder, file = str(tmp_path / "folder"), str(tmp_path / "file")
    for words in (
        ("export", folder, "format=csv"),
        ("export", folder, "format=label_studio"),
        ("export", folder, "format=coop"),
        ("export", file, "format=fiftyone"),
        ("export", f"{file}/x.csv"),
        ("export-collection", file, "source=x", "licence=x"),
        ("report", f"out={folder}"),
    ):
        with pytest.raises(UserError, match=r"(folder|file|x\.csv): cannot be written \(.*; give"):
            told(*words)
    with pytest.raises(UserError, match=r"folder: not readable \(Is a directory\); give what a"):
        told("import", folder, "format=csv", "by=Ada")
    told("report", f"out={tmp_path}/new/report.json")
    assert (tmp_path / "new" / "report.json").is_file()


def test_what_cannot_be_done_is_told(tmp_path: Path, told: Told) -> None:
    with pytest.raises(UserError, match="'wueue x' is not understood; give review queue SCORES"):
        told("wueue", "x")
    with pytest.raises(UserError, match=r"'queue' is not understood; give review queue SCORES"):
        told("queue")
    with pytest.raises(UserError, match=r"x/listing\.json: missing"):
        told("queue", str(tmp_path / "x"))
    with pytest.raises(UserError, match=r"audit=0\.7 uncertain=0\.4: are shares of one queue"):
        told("queue", str(tmp_path), "audit=0.7", "uncertain=0.4")
