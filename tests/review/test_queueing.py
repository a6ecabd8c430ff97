from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.config import QueueConfig
from pipeline.errors import UserError
from pipeline.review import queueing, score_folder
from pipeline.review.queueing import NewQueue
from pipeline.review.tasks import AUDIT, COST, UNCERTAIN
from tests.review.made import SETTINGS, near, row, write_scores


def made(folder: Path, rows: list[dict[str, object]], settings: QueueConfig = SETTINGS) -> NewQueue:
    return queueing.make(score_folder.read(write_scores(folder, rows)), settings)


def test_equal_scores_make_an_equal_queue_of_the_size_asked_for(tmp_path: Path) -> None:
    rows = [row(n) for n in range(100)]
    one, other = made(tmp_path / "a", rows), made(tmp_path / "b" / "a", rows)
    assert (one.tasks, one.places, one.key) == (other.tasks, other.places, other.key)
    assert len(one.places) == 20
    assert [place.position for place in one.places] == list(range(1, 21))
    reasons = Counter(reason for place in one.places for reason in place.reasons)
    assert reasons[AUDIT] == 4
    assert reasons[UNCERTAIN] == 4
    assert sum(place.wanted == 2 for place in one.places) == 2
    another = made(tmp_path / "c", rows, replace(SETTINGS, seed=1))
    drawn = [{p.task for p in q.places if p.inclusion is not None} for q in (one, another)]
    assert drawn[0] != drawn[1]


def test_cost_comes_first_then_what_teaches_then_the_rest_of_the_audit(tmp_path: Path) -> None:
    queue = made(tmp_path, [row(n) for n in range(100)])
    first = [place.reasons[0] for place in queue.places]
    assert first == sorted(first, key=[COST, UNCERTAIN, AUDIT].index)
    values = [place.value for place in queue.places if COST in place.reasons]
    assert values == sorted(values, reverse=True)


def test_copies_are_one_task_that_comes_earlier_the_more_they_cost(tmp_path: Path) -> None:
    rows = [row(n, 0.01) for n in range(30)]
    rows[3] = row(3, 0.9)
    copied = rows[8]["pdq"]
    for number in (11, 17, 23):
        rows[number] = row(number, 0.4 if number == 17 else 0.2, pdq=near(copied, 20, number))
    # Another file of the same bytes, whose pictures could not be hashed.
    rows[29] = row(29, 0.1, sha256=rows[11]["sha256"], pdq=[])
    settings = replace(SETTINGS, num=8, audit=0.0, uncertain=0.0)
    queue = made(tmp_path / "files", rows, replace(settings, copy_cost=1.0))
    different = made(tmp_path / "different", rows, replace(settings, copy_cost=0.0))
    assert [task.id for task in different.tasks[:2]] == ["id-3", "id-17"]
    first = queue.tasks[0]
    assert (first.id, first.num_copies) == ("id-17", 5)
    assert first.copies == ("id-11", "id-23", "id-29", "id-8")
    assert queue.tasks[1].id == "id-3"
    assert queue.about["videos"] == 26
    named = [one for task in queue.tasks for one in (task.id, *task.copies)]
    assert len(named) == len(set(named))


def test_what_was_decided_is_asked_no_more_and_counts_in_the_audit(tmp_path: Path) -> None:
    rows = [row(n) for n in range(60)]
    scores = score_folder.read(write_scores(tmp_path, rows, 13))
    before = queueing.make(scores, SETTINGS)
    drawn = [place.task for place in before.places if place.inclusion is not None]
    after = queueing.make(scores, SETTINGS, before.tasks)
    both = {place.task for place in before.places} & {place.task for place in after.places}
    assert both == set(drawn)
    assert [p.reasons for p in after.places if p.task in both] == [(AUDIT,)] * len(drawn)
    assert len(after.places) == SETTINGS.num


def test_hours_are_of_what_the_detector_looked_at(tmp_path: Path) -> None:
    rows = [row(0), row(1, status="matched"), row(2)]
    assert made(tmp_path, rows).about["hours"] == pytest.approx(2 * 12 / 3600)


def test_another_file_at_the_same_place_of_another_listing_is_asked(tmp_path: Path) -> None:
    settings = replace(SETTINGS, num=10, audit=0.0)
    before = made(tmp_path / "a", [row(n) for n in range(8)], settings)
    moved = [row(n + 8, uri=f"clips/{n}.mp4") for n in range(6)]
    unhashed = [row(n + 6, uri=f"clips/{n + 6}.mp4", sha256=None) for n in range(2)]
    scores = score_folder.read(write_scores(tmp_path / "b", [*moved, *unhashed]))
    after = queueing.make(scores, settings, before.tasks)
    assert len(after.tasks) == 8
    assert queueing.make(scores, settings, after.tasks).tasks == []


def test_what_has_no_score_is_counted_and_not_asked(tmp_path: Path) -> None:
    rows = [row(n) for n in range(10)]
    rows[2] = row(2, status="rejected", reason="black", score=None, pdq=None, moments=None)
    rows[2]["score"] = None
    rows[4] = row(4, status="matched", step="hash")
    queue = made(tmp_path, rows)
    assert queue.about["counts"] == {"matched": 1, "rejected": 1, "scored": 8}
    assert {task.id for task in queue.tasks}.isdisjoint({"id-2", "id-4"})
    empty = [row(n, status="rejected") for n in range(3)]
    assert made(tmp_path / "none", empty).places == []


def test_what_lacks_features_hashes_or_moments_is_queued_all_the_same(tmp_path: Path) -> None:
    bare = {"embedding": None, "pdq": None, "moments": None, "seconds": None, "loudness": None}
    rows = [row(n, **bare, alert_s=None) for n in range(30)]
    # What the cheap pass excludes has no score.
    rows[7] |= {"score": None, "p_real": None, "predicted": None, "step": "cheap"}
    scores = score_folder.read(write_scores(tmp_path, rows, operating_point=None))
    queue = queueing.make(scores, SETTINGS)
    assert queue.about["alerts"] == 0
    assert len(queue.places) == 20
    assert {task.is_silent for task in queue.tasks} == {True}


def test_damage_is_told_with_the_file_and_a_remedy(tmp_path: Path) -> None:
    folder = write_scores(tmp_path / "a", [row(n) for n in range(20)])
    with pytest.raises(UserError, match=r"nowhere/listing\.json: missing; name a folder that"):
        score_folder.read(tmp_path / "nowhere")
    shutil.copytree(folder, tmp_path / "b")
    (tmp_path / "b" / "scores" / "part-000001.parquet").unlink()
    with pytest.raises(UserError, match=r"part-000001\.parquet: missing; run discern score"):
        score_folder.read(tmp_path / "b")
    (tmp_path / "b" / "scores" / "part-000002.parquet").unlink()
    with pytest.raises(UserError, match=r"b: scores of 7 rows of the 20 of .* goes on to its end"):
        score_folder.read(tmp_path / "b")
    whole = shutil.copytree(folder, tmp_path / "e")
    (whole / "stats.json").unlink()
    with pytest.raises(UserError, match=r"e: scores of 20 rows of the 20 .*, or no stats\.json"):
        score_folder.read(whole)
    path = folder / "scores" / "part-000000.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["pdq"]), path)
    with pytest.raises(UserError, match=r"part-000000\.parquet: no column pdq"):
        score_folder.read(folder)
    write_scores(tmp_path / "c", [row(0)], schema=2)
    with pytest.raises(UserError, match="schema 2 is not 1"):
        score_folder.read(tmp_path / "c")
    write_scores(tmp_path / "d", [row(0)], operating_point={})
    with pytest.raises(UserError, match="does not tell the weights and their operating point"):
        score_folder.read(tmp_path / "d")
