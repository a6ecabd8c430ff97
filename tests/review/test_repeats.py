"""What is imported again, after people decided anew."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.review import queueing, score_folder
from pipeline.review.exchange import label_studio, spreadsheet
from pipeline.review.exchange.entries import Entry, ExchangeTerms
from pipeline.review.record import Record
from tests.review.made import SETTINGS, decision, queued, row

TERMS = ExchangeTerms(15.0)
QUIET: dict[str, Any] = {"discharge": False, "discharges_s": ()}


def origins(record: Record, task: str) -> list[str]:
    return [one.origin for one in record.decisions()[task]]


def test_an_old_spreadsheet_takes_nothing_back(tmp_path: Path) -> None:
    record = queued(tmp_path, [row(n) for n in range(20)])
    queue, place, task = record.places()[0]
    record.decide([decision(task.name, discharges_s=(2.123456,), note="a  note")])
    path = tmp_path / "queue.csv"
    spreadsheet.write(path, [Entry(queue, place, task, record.decisions()[task.name])], TERMS)
    record.decide([decision(task.name, origin="game", **QUIET)])
    old = spreadsheet.read(path, {task.name: task}, TERMS)
    assert record.decide(old) == 0
    assert origins(record, task.name) == ["game"]
    assert record.decide([replace(one, origin="film") for one in old]) == 1
    assert origins(record, task.name) == ["film"]
    # On the page somebody may go back to what they decided first.
    assert record.decide([decision(task.name, origin="game", **QUIET)]) == 1
    assert origins(record, task.name) == ["game"]


def test_the_time_of_an_annotation_tells_which_is_newer(tmp_path: Path) -> None:
    record = queued(tmp_path, [row(n) for n in range(20)])
    queue, place, task = record.places()[0]
    path = tmp_path / "tasks.json"
    label_studio.write(path, [Entry(queue, place, task)], TERMS)
    (exported,) = json.loads(path.read_text())

    def annotated(origin: str, at: str) -> int:
        chosen = [
            {"from_name": name, "type": "choices", "value": {"choices": [word]}}
            for name, word in (("origin", origin), ("discharge", "no"))
        ]
        annotation = {"completed_by": "Ada", "updated_at": at, "result": chosen}
        path.write_text(json.dumps([exported | {"annotations": [annotation]}]))
        return record.decide(label_studio.read(path, {task.name: task}, TERMS))

    assert annotated("real", "2026-01-01T12:00:00.123456Z") == 1
    assert annotated("game", "2026-01-01T13:00:00Z") == 1
    assert annotated("real", "2026-01-01T12:00:00.123456Z") == 0
    assert annotated("film", "2026-01-01T13:30:00+01:00") == 0
    assert origins(record, task.name) == ["game"]
    assert record.decisions()[task.name][0].at == "2026-01-01T13:00:00.000Z"
    # Back to the first one, and later than both.
    assert annotated("real", "2026-01-01T14:00:00Z") == 1
    assert origins(record, task.name) == ["real"]


def test_what_was_imported_before_another_queue_is_known(tmp_path: Path) -> None:
    record = queued(tmp_path, [row(n) for n in range(20)])
    task = record.places()[0][2].name
    one = decision(task, by="csv")
    assert record.decide([one]) == 1
    made = queueing.make(score_folder.read(tmp_path / "scores"), replace(SETTINGS, num=19))
    record.add_queue(made.key, made.about, made.tasks, made.places, made.population)
    assert record.standing(2)[0][1].task == task
    assert record.decide([one]) == 0
