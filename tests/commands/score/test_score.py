from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.commands import score
from pipeline.commands.evaluation import scoring
from pipeline.commands.evaluation.scoring import SampleScoring
from pipeline.commands.score import part
from pipeline.commands.score.folder import Folder
from pipeline.commands.score.listing import ListingRow
from pipeline.commands.score.twins import RecentRows
from pipeline.detect import operating_point
from pipeline.detect.detector import Detector
from pipeline.detect.operating_point import OperatingPoint
from pipeline.errors import UserError
from pipeline.footage import foreign
from pipeline.footage.collection import IndexRow, write_index
from pipeline.footage.conversion import FileTask
from pipeline.live.decoder import DecodingTask, decoded
from pipeline.live.messages import StreamClip
from pipeline.live.scoring import StreamScorer
from pipeline.store.finished_work import FinishedWork
from tests.commands.score.toy import (
    CLIP,
    configured,
    contents,
    scored,
    write_evaluation,
    write_files,
    write_listing,
)
from tests.conftest import compose_below, moving_frames
from tests.made import write_endless_track


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
def test_the_score_of_a_file_is_that_of_an_evaluation(
    project: Path, monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    columns: tuple[str, ...] = ("status", "reason", "num_clips", "score")
    if long:
        # Whose clips an evaluation does not answer by themselves too.
        monkeypatch.setattr(scoring, "LONG_SPLITS", ("own",))
        columns += ("p_real", "p_discharge", "predicted")
    own = project / "own"
    names = write_files(own, 3, num_frames=40)
    (own / "text.mp4").write_text("no video\n" * 9)
    names.append("text.mp4")
    index = [IndexRow(name, "real", "here", False, "own") for name in names]
    write_index(own, index)
    write_evaluation(project, [0.9], [])

    evaluate = compose_below(project, "evaluate", *CLIP)
    detector = Detector.load(project / "models")
    point = operating_point.read(project / "reports", detector.sha256)
    assert isinstance(point, OperatingPoint)
    with FinishedWork(project / "work", "score") as kept:
        judged = SampleScoring.begin(evaluate, detector, kept).collection(str(own), point.choice)
    assert judged.files is not None

    listing = write_listing(own / "listing.csv", names)
    found = scored(project, listing, "out", "miss_rate=null")
    for row, expected in zip(found, judged.files.to_pylist(), strict=True):
        assert {name: row[name] for name in columns} == {
            name: expected[name] if name != "num_clips" or row["status"] == "scored" else None
            for name in columns
        }
        assert row["alert_s"] == expected["alert_s"]
        if row["status"] == "scored":
            assert (row["step"], row["marks"]) == ("full", expected["marks"])
            assert row["seconds"] == pytest.approx(40 / 15, abs=0.1)
            assert len(row["embedding"]) == 3
            assert [len(one) for one in row["pdq"]] == [32] * 3
            moments = row["moments"]
            assert moments[0]["score"] == max(one["score"] for one in moments) == row["score"]
            starts_s = sorted(one["start_s"] for one in moments)
            assert all(b - a > 0.5 for a, b in pairwise(starts_s))


def test_a_file_alerts_when_watch_would(project: Path) -> None:
    own = project / "own"
    names = write_files(own, 4, num_frames=70)
    detector, limits = Detector.load(project / "models"), foreign.DecodingLimits(10**6, 60, 100)
    form = detector.card.clip
    watched: dict[str, list[tuple[float, float]]] = {}
    for name in names:
        scorer = StreamScorer(detector)
        watched[name] = [
            (one.start_s + form.num_frames / form.fps, scorer.score({name: one})[name].score)
            for one in decoded(DecodingTask(own / name, form, limits, 4096), None)
            if isinstance(one, StreamClip)
        ]
    listing = write_listing(own / "listing.csv", names)
    write_evaluation(project, [0.9], [], threshold=0.0)
    for row in scored(project, listing, "out", "miss_rate=null"):
        told = watched[row["uri"]]
        assert row["num_clips"] == len(told)
        assert row["score"] == pytest.approx(max(score for _, score in told), abs=1e-6)
    threshold = float(np.median([score for told in watched.values() for _, score in told]))
    write_evaluation(project, [0.9], [], threshold=threshold)
    alerts_s = []
    for row in scored(project, listing, "again", "miss_rate=1"):
        first = [at_s for at_s, score in watched[row["uri"]] if score >= threshold]
        assert row["alert_s"] == (pytest.approx(first[0], abs=1e-3) if first else None)
        alerts_s.append(row["alert_s"])
    assert len(set(alerts_s)) > 1


def test_a_track_that_never_ends_leaves_a_file_its_score(project: Path) -> None:
    own = project / "own"
    own.mkdir()
    write_endless_track(own / "a.mkv", moving_frames(0, 40), num_packets=1500)
    listing = write_listing(own / "listing.csv", ["a.mkv"])
    write_evaluation(project, [0.9], [])
    (row,) = scored(project, listing, "out", "ingest.max_cpu_s=2")
    assert row["status"] == "scored"
    assert "sound_over_limits" in row["marks"]


def test_files_of_equal_bytes_are_decoded_once(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = project / "own"
    names = write_files(own, 2)
    (own / "text.mp4").write_text("no video\n" * 9)
    copies = [f"copy-{number}.mp4" for number in range(6)]
    for number, name in enumerate(copies):
        shutil.copy(own / [*names, "text.mp4"][number % 3], own / name)
    decoded: list[str] = []
    inner = part.apart

    def apart(work: Any, tasks: Iterator[FileTask], *rest: Any) -> Any:
        # What is of the package of the command brings torch with it.
        assert not work.__module__.startswith("pipeline.commands")

        def seen() -> Iterator[FileTask]:
            for task in tasks:
                decoded.append(task.path)
                yield task

        return inner(work, seen(), *rest)

    monkeypatch.setattr(part, "apart", apart)
    listing = write_listing(own / "listing.csv", [*names, "text.mp4", *copies])
    # Within a part and from one to the next.
    found = scored(project, listing, "out", "rows_per_part=7", "miss_rate=null")
    assert decoded == [*names, "text.mp4"]
    own_alone = {"id", "uri"}
    for number, row in enumerate(found):
        assert row["id"] == f"n{number}"
        first = found[number % 3]
        assert {n: v for n, v in row.items() if n not in own_alone} == {
            n: v for n, v in first.items() if n not in own_alone
        }
    monkeypatch.setattr(RecentRows, "get", lambda *given: None)
    decoded.clear()
    alone = scored(project, listing, "alone", "rows_per_part=1", "miss_rate=null")
    assert (len(decoded), alone) == (9, found)


def test_of_many_files_the_latest_are_known() -> None:
    known, given = RecentRows(most=2), ListingRow("n", "there")
    for name in ("a", "b"):
        known.put(name, {"id": name, "uri": name, "status": name})
    assert known.get("a", given) == {"id": "n", "uri": "there", "status": "a"}
    known.put("c", {"status": "c"})
    assert [known.get(name, given) is None for name in ("a", "b", "c")] == [False, True, False]


def test_a_file_with_another_hash_than_the_listing_has_is_rejected(project: Path) -> None:
    own = project / "own"
    names = write_files(own, 2)
    data = (own / names[0]).read_bytes()
    hashes = {"sha256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest()}
    for kind, digits in hashes.items():
        listing = write_listing(own / f"{kind}.csv", names, **{kind: [digits, digits]})
        first, second = scored(project, listing, kind, "miss_rate=null")
        assert (first["status"], second["status"]) == ("scored", "rejected")
        assert (second["reason"], second["step"], second["score"]) == ("other_bytes", "hash", None)
        assert f"and {digits} in the listing" in second["detail"]


def test_workers_and_kills_change_no_byte(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = project / "own"
    names = [*write_files(own, 5), "gone.mp4", "../out.mp4"]
    (own / "text.mp4").write_text("no video\n" * 9)
    listing = write_listing(own / "listing.csv", [*names, "text.mp4"])
    small = ("rows_per_part=3", "miss_rate=null")
    found = scored(project, listing, "once", *small)
    assert [row["id"] for row in found] == [f"n{number}" for number in range(8)]
    reasons = [row["reason"] for row in found]
    assert reasons == [None] * 5 + ["missing_file", "outside_listing", "text"]
    once = contents(project / "once")
    assert set(once) == {
        *(f"scores/part-00000{number}.parquet" for number in range(3)),
        "listing.json",
        "stats.json",
    }
    assert "8 rows: 5 scored, 0 matched, 3 rejected" in capsys.readouterr().out

    # Killed in the second part, amid the writing of a row.
    whole = Folder.kept

    def killed(self: Folder, number: int, given: Any) -> Any:
        for count, row in enumerate(whole(self, number, given)):
            yield row
            if (number, count) == (1, 0):
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "kept", killed)
        with pytest.raises(KeyboardInterrupt):
            scored(project, listing, "killed", *small)
    (journal,) = (project / "killed" / ".unfinished").iterdir()
    assert len(journal.read_text().splitlines()) == 1
    with journal.open("a") as file:
        file.write('{"id": "n4", "uri": ')
    scored(project, listing, "killed", *small, "run.executor=processes", "run.num_workers=2")
    assert contents(project / "killed") == once


def test_a_folder_of_something_else_is_left_alone(project: Path) -> None:
    own = project / "own"
    listing = write_listing(own / "listing.csv", write_files(own, 1))
    scored(project, listing, "out")
    with pytest.raises(UserError, match=r"another settings: batch_size \(4 there, 2 now\) .*out="):
        scored(project, listing, "out", "batch_size=2")
    write_listing(listing, ["other.mp4"])
    with pytest.raises(UserError, match="scores of another listing_sha256"):
        scored(project, listing, "out")
    (project / "mine").mkdir()
    (project / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="files that are no scores"):
        scored(project, listing, "mine")


def test_what_is_refused_is_refused_before_anything_is_loaded(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = project / "own"
    listing = write_listing(own / "listing.csv", write_files(own, 1))
    scored(project, listing, "out")
    write_listing(listing, ["other.mp4"])
    (own / "wrong.csv").write_text("id,url\n1,0.mp4\n")
    loaded: list[Path] = []
    monkeypatch.setattr(Detector, "load", lambda path, *_: loaded.append(path))
    for subject, keys, said in (
        ("gone.csv", ["out=new"], "no such listing"),
        ("wrong.csv", ["out=new"], "no column 'uri'"),
        ("listing.csv", ["out=out"], "holds scores of another listing_sha256"),
        ("listing.csv", ["out=new", "banks=[none]"], "none"),
        ("gone.mp4", [], "no such file"),
        ("listing.csv", [], "a listing; give out=FOLDER"),
    ):
        placed = [key.replace("out=", f"out={project}/") for key in keys]
        with pytest.raises(UserError, match=said):
            score.run(str(own / subject), cfg=configured(project, *placed))
    assert not loaded
    # What scores is not even imported for it, which takes seconds.
    code = "import sys, pipeline.commands.score; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_files_and_folders_are_scored_without_a_listing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = project / "own"
    names = write_files(own, 2)
    score.run(str(own / names[0]), cfg=configured(project))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{own / names[0]}: score 0.")
    (own / "text.mp4").write_text("no video\n" * 9)
    with pytest.raises(SystemExit) as ended:
        score.run(str(own), cfg=configured(project, "format=json"))
    assert ended.value.code == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["status"], one["reason"]) for one in told] == [
        ("scored", None),
        ("scored", None),
        ("rejected", "text"),
    ]
    found = scored(project, own, "out", "miss_rate=null")
    assert [row["id"] for row in found] == [*names, "text.mp4"]
    assert [row["score"] for row in found] == [one["score"] for one in told]
    listing = write_listing(project / "listing.csv", names)
    with pytest.raises(UserError, match="a listing; give out=FOLDER"):
        score.run(str(listing), cfg=configured(project))


def test_what_was_to_be_forgotten_is_refused(project: Path) -> None:
    own = project / "own"
    names = write_files(own, 2)
    first = scored(project, write_listing(own / "a.csv", names), "a")
    (project / "footage").mkdir()
    stone = f"recording,path,sha256\nhere/x,x.mp4,{first[0]['sha256']}\n"
    (project / "footage" / "forgotten.csv").write_text(stone)
    second = scored(project, own / "a.csv", "b")
    assert [row["reason"] for row in second] == ["forgotten", None]
    assert second[0]["score"] is None


def test_parquet_of_several_files_is_a_listing(project: Path) -> None:
    import pyarrow as pa

    own = project / "own"
    names = write_files(own, 2)
    for number, name in enumerate(names):
        folder = own / "listing" / f"day={number}"
        folder.mkdir(parents=True)
        table = pa.table({"id": [number], "uri": [str(own / name)], "more": [1.5]})
        pq.write_table(table, folder / "part.parquet")
    found = scored(project, own / "listing", "out")
    assert [(row["id"], row["uri"]) for row in found] == [
        (str(number), str(own / name)) for number, name in enumerate(names)
    ]
