from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.commands import explain
from pipeline.config import App
from pipeline.copies import banks
from pipeline.errors import UserError
from pipeline.footage.tombstones import Tombstone, write_tombstones
from pipeline.store.manifest import FILES, MANIFEST, Clip, File, write_rows
from tests.commands.toy import BROKEN, CLIPS, COPY, ROOF, VARIANT, YARD, write_ingested, write_rest
from tests.review.made import decision, queued, row

Told = Callable[[str], str]


@pytest.fixture
def cfg(compose: Callable[..., App]) -> Any:
    cfg = compose("ingest")
    write_ingested(cfg.paths)
    return cfg


@pytest.fixture
def told(cfg: Any, capsys: pytest.CaptureFixture[str]) -> Told:
    def tell(subject: str) -> str:
        explain.run(subject, cfg)
        return capsys.readouterr().out

    return tell


@pytest.fixture
def whole(cfg: Any) -> None:
    write_rest(cfg.paths)


def test_a_file_says_what_it_was_and_what_became_nothing(told: Told) -> None:
    story = told("unit7/range/roof.mp4")
    assert "mp4, h264 yuv420p, 1920x1080, 29.97 frames/s, 4.50 s, 1000 bytes" in story
    assert "a" * 64 in story
    assert "real, source fleet, recording unit7/day-1" in story
    assert "licence CC0-1.0; authority City Police" in story
    assert "marks: damaged, interlaced" in story
    assert "cuts at 1.20, 3.40 s" in story
    assert "dropped 3.40 to 4.50 s: black" in story


def test_a_file_says_which_banks_hold_its_bytes(told: Told, cfg: Any) -> None:
    assert "the same bytes" not in told("unit7/range/roof.mp4")
    none = np.zeros(0, banks.RECORD), np.zeros(0, banks.SOUND_RECORD)
    for name, sha256, is_negative in (("x", "a", False), ("y", "b", False), ("z", "a", True)):
        with banks.writing(Path(cfg.paths.banks), name, create=True) as bank:
            if is_negative:
                bank.make_negative()
            bank.add("roof.mp4", "l", sha256 * 64, "", 4.5, *none)
    story = told("unit7/range/roof.mp4")
    assert [line for line in story.splitlines() if "same bytes" in line] == [
        "  the same bytes as x item 1 (roof.mp4, label l)",
        "  the same bytes as z item 1 (roof.mp4, label l), which is harmless",
    ]


def test_a_file_says_what_people_decided_of_it(told: Told, cfg: Any) -> None:
    assert "decided" not in told("unit7/range/roof.mp4")
    rows = [row(n, **({"sha256": "a" * 64} if n == 3 else {})) for n in range(9)]
    record = queued(Path(cfg.paths.review).parent, rows)
    assert Path(cfg.paths.review).is_dir()
    task = next(task for _, _, task in record.places() if task.sha256 == "a" * 64)
    assert "decided" not in told("unit7/range/roof.mp4")
    record.decide([decision(task.name), decision(task.name, "Bo\n", discharge=False)])
    lines = [one for one in told("unit7/range/roof.mp4").splitlines() if "decided" in one]
    assert lines[0].startswith("  decided by Ada: real, discharge yes at 2.50 s (20")
    assert lines[1].startswith("  decided by Bo\\u000a: real, discharge no")
    assert "asked for weights aaaaaaaaaaaa" in lines[0]


def test_a_file_says_that_its_sound_is_not_what_happened(told: Told, cfg: Any) -> None:
    assert "dubbed" not in told("unit7/range/roof.mp4")
    files = [replace(ROOF, dubbed=True), YARD, BROKEN, COPY]
    write_rows(Path(cfg.paths.clips) / FILES, File, files)
    assert "dubbed: what is heard is not what happened" in told("unit7/range/roof.mp4")
    assert "dubbed" not in told("unit7/range/yard.mp4")


def test_a_file_says_what_its_clips_became(told: Told, whole: None) -> None:
    story = told("unit7/range/roof.mp4")
    assert "3 clips:" in story
    lines = {
        clip.clip_id: line
        for clip in CLIPS
        for line in story.splitlines()
        if line.startswith(f"  {clip.clip_id}")
    }
    assert lines.keys() == {clip.clip_id for clip in CLIPS[:3]}
    assert lines[CLIPS[0].clip_id].endswith(
        "0.00 s; 1080x1080 pixels at 420,0; discharge; no sound; train; 1 variant; "
        "2 packed samples; score 0.2500"
    )
    assert lines[CLIPS[1].clip_id].endswith(
        "1.07 s; 1080x1080 pixels at 420,0; label unknown: a discharge only touches its edge; "
        "no sound; in no split"
    )
    assert lines[CLIPS[2].clip_id].endswith("at 420,0; no discharge; no sound; train")


def test_a_file_says_when_the_index_has_discharges_and_in_which_clips(told: Told) -> None:
    first, second, third = (clip.clip_id for clip in CLIPS[:3])
    assert (
        "discharges_s in the index:\n"
        f"  0.30 s: {first} (discharge)\n"
        f"  1.10 s: {second} (label unknown: a discharge only touches its edge)\n"
        "  4.20 s: in no clip\n"
        "heard_s in the index:\n"
        f"  2.50 s: {third} (no discharge)\n"
        "3 clips:"
    ) in told("unit7/range/roof.mp4")
    assert "in the index" not in told("unit7/range/yard.mp4")


def test_a_clip_says_which_of_these_times_are_its_own(told: Told) -> None:
    story = told(CLIPS[2].clip_id)
    assert f"heard_s in the index:\n  2.50 s: {CLIPS[2].clip_id} (no discharge)\n" in story
    assert "discharges_s in the index" not in story


def test_of_many_times_the_first_are_listed(told: Told, cfg: Any) -> None:
    times = [round(0.01 * number, 2) for number in range(25)]
    files = [replace(ROOF, discharges_s=str(times)), YARD, BROKEN, COPY]
    write_rows(Path(cfg.paths.clips) / FILES, File, files)
    story = told("unit7/range/roof.mp4")
    assert "  0.19 s: " in story
    assert "  0.20 s: " not in story
    assert "  and 5 more\n" in story


def test_where_sound_is_off_that_is_said_of_clips(told: Told, cfg: Any) -> None:
    clips = [
        replace(CLIPS[0], discharge=None, seen=None, unused="discharge_only_heard"),
        *CLIPS[1:],
    ]
    write_rows(Path(cfg.paths.clips) / MANIFEST, Clip, clips)
    assert "and not surely in the clip; no sound; in no split" in told(CLIPS[0].clip_id)
    cfg.sound = False
    line = next(line for line in told(CLIPS[0].clip_id).splitlines() if "pixels at" in line)
    assert (
        "label unknown: a discharge is heard and not seen, and sound is off (conf/ingest.yaml); "
        "sound is off (conf/ingest.yaml); in no split"
    ) in line


def test_a_file_says_who_else_is_in_its_cluster_and_why(told: Told, whole: None) -> None:
    story = told("unit7/range/roof.mp4")
    assert "Cluster unit7/day-1\n" in story
    assert "unit7/range/yard.mp4: the same recording" in story
    assert (
        "web/roof-again.mp4: near-duplicate, itself or through others, recording web/upload"
        in story
    )
    assert "unit7/range/roof.mp4:" not in story


def test_the_closest_pair_of_the_audit_is_told_of_its_clips(told: Told, whole: None) -> None:
    nearest = f"60 bits from {CLIPS[4].clip_id} of web/upload (train), the closest pair"
    assert f"Clip {CLIPS[2].clip_id} is {nearest}" in told("unit7/range/roof.mp4")
    assert "closest pair" not in told(CLIPS[0].clip_id)


def test_later_stages_need_not_have_run(told: Told) -> None:
    story = told("unit7/range/roof.mp4")
    assert "at 420,0; discharge; no sound; not yet split; run dvc repro" in story
    assert "Cluster" not in story


def test_a_clip_that_split_never_saw_says_so(told: Told, cfg: Any, whole: None) -> None:
    write_rows(Path(cfg.paths.splits) / MANIFEST, Clip, [])
    assert f"not in {cfg.paths.splits}, which is older; run dvc repro" in told(CLIPS[0].clip_id)


def test_a_clip_near_a_held_out_source_says_why_it_is_unused(
    told: Told, cfg: Any, whole: None
) -> None:
    left_out = replace(CLIPS[2], cluster="unit7/day-1", unused="cluster_of_unseen")
    write_rows(Path(cfg.paths.splits) / MANIFEST, Clip, [left_out])
    assert "in no split: its cluster holds clips of a source that is held out" in told("roof.mp4")


def test_a_reject_says_why_and_what_would_help(told: Told) -> None:
    story = told("unit7/range/broken.mp4")
    assert "Rejected by ingest: decode_error: bad header\n  remedy: re-encode it" in story
    assert "clips" not in story


@pytest.mark.parametrize("subject", ["range/yard.mp4", "yard.mp4", "ard.mp4", "t7/range/yard.mp4"])
def test_the_end_of_a_name_is_enough(told: Told, subject: str) -> None:
    assert told(subject).startswith("unit7/range/yard.mp4\n")


def test_where_a_file_lies_names_it_too(told: Told, cfg: Any) -> None:
    for folder in (cfg.paths.footage, cfg.paths.synthetic):
        assert told(f"{folder}/unit7/range/yard.mp4").startswith("unit7/range/yard.mp4\n")


def test_an_ambiguous_end_lists_the_files_and_fails(
    told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        told(".mp4")
    listed = capsys.readouterr().out
    assert "'.mp4' is the end of 4 files:" in listed
    for file in (ROOF, YARD, BROKEN, COPY):
        assert f"  {file.collection}/{file.path}\n" in listed


def test_a_clip_tells_of_itself_and_its_file(told: Told, whole: None) -> None:
    story = told(CLIPS[0].clip_id)
    assert story.startswith(f"clip {CLIPS[0].clip_id}, made from\nunit7/range/roof.mp4\n")
    assert f"Pixels {CLIPS[0].pixels_sha256}, in shard-000000.tar, 100 bytes from 0" in story
    assert "1 clip:" in story
    assert f'Variant {VARIANT.clip_id}: {{"defocus": 1.5}}' in story
    assert CLIPS[2].clip_id not in story


def test_a_variant_tells_of_its_parent(told: Told, whole: None) -> None:
    story = told(VARIANT.clip_id)
    assert story.startswith(f"variant {VARIANT.clip_id}, made from\nunit7/range/roof.mp4\n")
    assert CLIPS[0].clip_id in story


def test_a_forgotten_file_is_remembered_as_such(told: Told, cfg: Any) -> None:
    write_tombstones(Path(cfg.paths.footage), [Tombstone("unit7/day-9", "range/gone.mp4", "")])
    for subject in ("range/gone.mp4", "unit7/range/gone.mp4"):
        assert told(subject).startswith("range/gone.mp4: forgotten with recording unit7/day-9\n")


def test_an_unknown_name_suggests_near_ones(told: Told) -> None:
    with pytest.raises(UserError, match=r"'range/rof\.mp4' is no file.*unit7/range/roof\.mp4"):
        told("range/rof.mp4")


def test_a_name_that_is_like_none_suggests_no_file_of_its_folder(told: Told) -> None:
    with pytest.raises(UserError, match=r"'unit7/range/nope\.mp4' is no file.*; there are "):
        told("unit7/range/nope.mp4")


def test_without_ingest_there_is_nothing_to_tell(compose: Callable[..., App]) -> None:
    with pytest.raises(UserError, match=r"files\.parquet: missing; run the stage"):
        explain.run("a.mp4", compose("ingest"))  # type: ignore[arg-type]
