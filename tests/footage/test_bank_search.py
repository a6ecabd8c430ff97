from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.commands import bank, explain, forget, printed_files
from pipeline.config import App
from pipeline.copies import bank_log, banks
from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow, write_index
from pipeline.stages import ingest
from pipeline.store import executor, manifest, workdir
from pipeline.store.bank_matches import BANK_MATCHES, not_of_banks
from pipeline.store.finished_work import read_piece
from pipeline.store.manifest import File
from tests.conftest import compose_below
from tests.made import scene, write_video

RATE = 15
NO_COPY, COPY = "other.mp4", "copy.mp4"
ROW = IndexRow(COPY, "real", "s", False, "CC0", "day")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has ingested a copy and something else, and looked them up in `attacks`.

    The copy shows the mirror image of the item from 2 s on. `others` and `harmless`, which is
    negative, hold the same as `attacks`, and `same` the bytes of the copy.
    """
    folder = tmp_path_factory.mktemp("made")
    some = folder / "footage" / "some"
    some.mkdir(parents=True)
    known, other = (
        np.concatenate([scene(number, 40, 120, 160) for number in numbers])
        for numbers in ((0, 1), (2, 3))
    )
    copy = np.concatenate([scene(4, 30, 120, 160), known[:, :, ::-1]])
    write_video(folder / "item.mp4", known, rate=RATE)
    write_video(some / COPY, copy, rate=RATE, options={"crf": "30"})
    write_video(some / NO_COPY, other, rate=RATE)
    write_index(some, [ROW, replace(ROW, path=NO_COPY, recording="night", notes="day")])
    cfg = compose_below(folder, "bank", 'label="a, b"')
    bank.run("add", "attacks", str(folder / "item.mp4"), cfg=cfg)
    attacks = banks.read(folder / "banks", "attacks")
    (item,) = attacks.items.values()
    records = attacks.hashes_of(item), attacks.sounds_of(item)
    of_parts = attacks.all_hashes_of(item)[item.num_hashes :]
    for name in ("others", "harmless"):
        with banks.writing(folder / "banks", name, create=True) as writer:
            if name == "harmless":
                writer.make_negative()
            told = item.name, name, item.sha256, item.md5, item.duration_s
            writer.add(*told, *records, parts=of_parts)
    sha256, md5 = printed_files.digests_of(some / COPY)
    none = np.zeros(0, banks.RECORD), np.zeros(0, banks.SOUND_RECORD)
    with banks.writing(folder / "banks", "same", create=True) as writer:
        writer.add(COPY, "same", sha256, md5, 7.3, *none)
    ingest.run(compose_below(folder, "ingest"))
    (folder / "clips").rename(folder / "plain")
    ingest.run(compose_below(folder, "ingest", "banks.mark=[attacks]"))
    return folder


@pytest.fixture
def run(
    compose: Callable[..., App], tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Path, list[str]]]:
    """Ingests the collection after the runs before; gives the output and what was run of files."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    map_blocks, ran = executor.map_blocks, list[str]()

    def counted(work: Any, blocks: Any, *rest: Any, title: str, num_items: int, **more: Any) -> Any:
        ran.extend([title] * num_items)
        return map_blocks(work, blocks, *rest, title=title, num_items=num_items, **more)

    monkeypatch.setattr(executor, "map_blocks", counted)

    def go(*options: str) -> tuple[Path, list[str]]:
        ran.clear()
        ingest.run(compose("ingest", "max_reject_rate=0.9", *options))
        return tmp_path / "clips", list(ran)

    return go


def marks_of(folder: Path) -> dict[str, list[str]]:
    rows = manifest.read_rows(folder / manifest.FILES, File)
    return {file.path: json.loads(file.marks) for file in rows}


def output(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_shows_an_item_is_marked_and_nothing_else_changes(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, marked = output(made / "plain"), output(made / "clips")
    (match,) = pq.read_table(made / "clips" / BANK_MATCHES).to_pylist()
    assert marks_of(made / "plain") == {COPY: [], NO_COPY: []}
    assert marks_of(made / "clips") == {COPY: ["bank:attacks"], NO_COPY: []}
    assert json.loads(marked.pop("stats.json"))["files_by_mark"] == {"bank:attacks": 1}
    same = plain.keys() - {"files.parquet", "stats.json"}
    assert {name: marked[name] for name in same} == {name: plain[name] for name in same}
    assert marked.keys() - same == {"files.parquet", BANK_MATCHES}
    found = match["path"], match["bank"], match["item"], match["label"], match["category"]
    assert found == (COPY, "attacks", 1, "a, b", "known")
    assert (match["by"], match["mirrored"], match["set_aside"]) == ("pictures", True, None)
    assert match["start_s"] == pytest.approx(2, abs=1)
    assert match["offset_s"] == pytest.approx(-2, abs=0.5)
    explain.run(f"some/{COPY}", compose_below(made, "ingest"))
    assert f"  known: {match['told']}\n" in capsys.readouterr().out


def test_a_bank_that_rejects_or_labels_has_nothing_decoded(
    run: Callable[..., Any],
    compose: Callable[..., App],
    capsys: pytest.CaptureFixture[str],
    made: Path,
) -> None:
    folder, ran = run("banks.label=[attacks]", "banks.mark=[others]")
    assert not ran
    notes = {(c.path, c.start_s < 0.9): c.notes for c in manifest.read_manifest(folder)}
    assert notes[COPY, False] == "known=a  b"
    assert (notes[COPY, True], notes[NO_COPY, False]) == ("", "day")
    assert marks_of(folder)[COPY] == ["bank:attacks", "bank:others"]
    folder, ran = run("banks.mark=[attacks]", "banks.reject=[others]")
    assert not ran
    (reject,) = manifest.read_rejects(folder)
    assert (reject.path, reject.reason) == (COPY, "in_bank")
    assert reject.detail.startswith("others item 1 (item.mp4, label others): ")
    assert {clip.path for clip in manifest.read_manifest(folder)} == {NO_COPY}
    forget.run("some/day", compose("ingest"))
    told = capsys.readouterr().out
    assert "other bytes, which stays: attacks item 1 (item.mp4, label a, b)\n" in told
    assert "what is kept for later runs: 2 pieces" in told
    folder, _ = run()
    assert BANK_MATCHES not in output(folder)
    assert "bank:" not in (folder / "stats.json").read_text()


def test_the_same_bytes_and_what_negative_banks_cover(run: Callable[..., Any]) -> None:
    folder, _ = run("banks.reject=[same,attacks]")
    assert [reject.detail for reject in manifest.read_rejects(folder)] == [
        f"same item 1 ({COPY}, label same): the same bytes"
    ]
    folder, _ = run("banks.mark=[same]", "banks.reject=[attacks]")
    (reject,) = manifest.read_rejects(folder)
    assert reject.detail.startswith("attacks item 1 "), "bytes of one bank hide no other bank"
    assert marks_of(folder)[COPY] == ["bank:attacks", "bank:same"]
    folder, _ = run("banks.reject=[attacks]", "banks.mark=[harmless]")
    assert not manifest.read_rejects(folder), "what is harmless covers all of the match"
    assert marks_of(folder)[COPY] == ["bank:harmless"]
    rows = pq.read_table(folder / BANK_MATCHES).to_pylist()
    assert {(row["bank"], row["category"], row["set_aside"] is None) for row in rows} == {
        ("attacks", "known", False),
        ("harmless", "negative", True),
    }


def test_a_still_of_a_bank_is_found_as_match_finds_it(
    run: Callable[..., Any], tmp_path: Path, compose: Callable[..., App]
) -> None:
    (before,) = pq.read_table(tmp_path / "clips" / BANK_MATCHES).to_pylist()
    # What the copy shows at 3.53 s, which is near nothing of a whole second.
    picture = scene(0, 40, 120, 160)[23]
    cv2.imwrite(str(tmp_path / "still.png"), picture[:, ::-1, ::-1])
    named = (tmp_path / "still.png").rename(tmp_path / os.fsdecode(b"still-\xff.png"))
    bank.run("add", "stills", str(named), cfg=compose("bank", "label=poster"))
    folder, ran = run("banks.mark=[attacks]", "banks.label=[stills]")
    assert ran == ["look up"] * 2
    assert marks_of(folder) == {COPY: ["bank:attacks", "bank:stills"], NO_COPY: []}
    by_pictures, still = pq.read_table(folder / BANK_MATCHES).to_pylist()
    assert (by_pictures["by"], by_pictures["told"]) == ("pictures", before["told"])
    assert (still["path"], still["by"], still["label"]) == (COPY, "still", "poster")
    assert still["name"] == "still-\\udcff.png"
    assert 3.2 < still["start_s"] <= 53 / RATE <= still["end_s"] < 4
    assert still["distance"] <= 31
    assert (still["item_start_s"], still["offset_s"], still["speed"]) == (None, None, None)
    assert "one picture alone" in still["told"]
    clips = [c for c in manifest.read_manifest(folder) if c.path == COPY]
    labelled = [c.start_s for c in clips if c.notes == "known=poster"]
    # A clip is 1.07 s long.
    assert labelled
    assert all(still["start_s"] - 1.07 < start_s <= still["end_s"] for start_s in labelled)
    assert len(labelled) < len(clips)
    # What is decoded for its clips is told by the same.
    shutil.rmtree(tmp_path / "work")
    again, ran = run("banks.mark=[attacks]", "banks.label=[stills]")
    assert ran == ["ingest"] * 2
    assert pq.read_table(again / BANK_MATCHES).to_pylist() == [by_pictures, still]


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("banks.mark=[attacks,nobody]", "no bank 'nobody'"),
        ("banks.reject=[harmless]", "harmless is a negative bank"),
        ("banks.label=[harmless]", "harmless is a negative bank"),
    ],
)
def test_a_wrong_bank_is_told_before_anything_is_decoded(
    run: Callable[..., Any], option: str, told: str, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "clips")
    with pytest.raises(UserError, match=told):
        run(option)
    assert not (tmp_path / "clips").exists()


def test_what_could_not_be_looked_up_is_told_and_tried_again(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = prints_of(tmp_path / "work")
    assert len(held) == 2
    # One is damaged, and the other one gone.
    held[0].write_bytes(held[0].read_bytes()[:-1])
    held[1].unlink()

    def lost(work: Any, blocks: Any, *rest: Any, **options: Any) -> Any:
        for block in blocks:
            yield [executor.Lost("out_of_memory", "more than it may take") for _ in block]

    with monkeypatch.context() as patched:
        patched.setattr(executor, "map_blocks", lost)
        folder, _ = run("banks.mark=[attacks]")
        assert marks_of(folder) == {path: ["bank_not_looked_up"] for path in (COPY, NO_COPY)}
        assert not manifest.read_rejects(folder)
        with pytest.raises(UserError, match="not_looked_up: out_of_memory"):
            run("banks.reject=[attacks]")
    folder, ran = run("banks.reject=[attacks]")
    assert ran == ["look up"] * 2
    assert [reject.reason for reject in manifest.read_rejects(folder)] == ["in_bank"]


def prints_of(work: Path) -> list[Path]:
    """The pieces that hold what files are told by."""
    paths = [path for path in (work / workdir.KEPT).rglob("*-*") if path.is_file()]
    return [one for one in paths if (piece := read_piece(one)) and "printed" in piece.header]


def kept_of(work: Path) -> dict[str, bytes]:
    """What is kept of files in a work folder, by name."""
    found = (work / workdir.KEPT / "ingest").rglob("*-*")
    return {path.name: path.read_bytes() for path in found if path.is_file()}


def test_a_new_file_is_decoded_once_and_told_by_the_same(
    run: Callable[..., Any], made: Path, tmp_path: Path
) -> None:
    folder, ran = run("banks.mark=[attacks]", f"paths.work={tmp_path / 'fresh'}")
    assert ran == ["ingest"] * 2
    assert output(folder) == output(made / "clips")
    # There clips were made before a bank was named, and files hashed in a pass of its own.
    assert kept_of(tmp_path / "fresh") == kept_of(made / "work")
    assert len(kept_of(made / "work")) == 4
    work = f"paths.work={tmp_path / 'other'}"
    _, ran = run("banks.mark=[attacks]", "clip.fps=10", work)
    assert ran == ["ingest"] * 2 + ["look up"] * 2, "the clips are of other pictures"


def test_a_worker_that_hashing_may_have_ended_costs_no_clip(
    run: Callable[..., Any], made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    map_blocks, titles = executor.map_blocks, list[str]()

    def lost_once(work: Any, blocks: Any, *rest: Any, title: str, **more: Any) -> Any:
        titles.append(title)
        if len(titles) > 1:
            yield from map_blocks(work, blocks, *rest, title=title, **more)
            return
        for block in blocks:
            yield [executor.Lost("timeout", "longer than it may take") for _ in block]

    monkeypatch.setattr(executor, "map_blocks", lost_once)
    folder, _ = run("banks.mark=[attacks]", f"paths.work={tmp_path / 'fresh'}")
    assert titles == ["ingest", "ingest", "look up"]
    assert output(folder) == output(made / "clips")


def test_of_a_file_that_one_bank_knows_it_is_told_what_another_one_could_not_be_asked(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(work: Any, blocks: Any, *rest: Any, **options: Any) -> Any:
        for block in blocks:
            yield [executor.Lost("out_of_memory", "more than it may take") for _ in block]

    for path in prints_of(tmp_path / "work"):
        path.unlink()
    monkeypatch.setattr(executor, "map_blocks", lost)
    folder, _ = run("banks.mark=[same,attacks]")
    assert marks_of(folder)[COPY] == ["bank:same", "bank_not_looked_up"]
    folder, _ = run("banks.mark=[same]")
    assert marks_of(folder)[COPY] == ["bank:same"], "no other bank is there to be asked"
    with pytest.raises(UserError, match=f"{COPY}: not_looked_up: out_of_memory"):
        run("banks.mark=[same]", "banks.reject=[attacks]")
    with pytest.raises(UserError, match=f"{COPY}: in_bank: same item 1"):
        run("banks.reject=[same,attacks]")


def test_a_label_of_several_lines_is_one_word_of_notes(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Banks of earlier versions may have one.
    with monkeypatch.context() as patched:
        patched.setattr(bank_log, "check_label", lambda _: None)
        with banks.writing(tmp_path / "banks", "attacks") as writer:
            writer.label(1, "a\nb\x1b[2J, c")
    folder, _ = run("banks.label=[attacks]")
    assert "known=a\\u000ab\\u001b[2J  c" in {c.notes for c in manifest.read_manifest(folder)}


@pytest.mark.slow
def test_one_and_two_workers_find_the_same(run: Callable[..., Any], tmp_path: Path) -> None:
    outputs = []
    for workers in (1, 2):
        how = ["run.executor=processes", f"run.num_workers={workers}"]
        folder, ran = run("banks.label=[attacks]", *how, f"paths.work={tmp_path / str(workers)}")
        assert ran == ["ingest"] * 2
        outputs.append(output(folder))
    assert outputs[0] == outputs[1]


def test_marks_of_banks_say_nothing_of_the_file() -> None:
    assert not_of_banks(["bank:a", "bank_not_looked_up", "damaged"]) == ["damaged"]
