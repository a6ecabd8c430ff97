from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import ClipFormat
from pipeline.footage.account import (
    MOST_NAMED,
    Tally,
    clip_row,
    file_row,
    told_wrong_times,
    why_not,
)
from pipeline.footage.canonical import Canonical, Dropped
from pipeline.footage.collection import IndexRow
from pipeline.footage.conversion import FileTask, Unusable
from pipeline.footage.foreign import DecodingLimits
from pipeline.footage.listing import Collection, ListedFile
from pipeline.footage.remedies import remedy
from pipeline.footage.sound import Track
from pipeline.footage.windows import Window
from pipeline.store.manifest import ABSENT, DAMAGED, PRESENT, QUIET, SILENT
from pipeline.store.shards import ShardWriter

CLIP = ClipFormat(num_frames=8, size=32, fps=8.0, crf=18)
ROW = IndexRow("a.mp4", "real", "site", True, "CC0-1.0", recording="r", discharges_s=(1.25,))
LISTED = ListedFile(
    Collection("mine", "/footage/mine", 1),
    ROW,
    FileTask("/footage/mine", ROW.path, CLIP, 8, DecodingLimits(10**6, 60.0, 10), Path("work")),
)
WINDOW = Window(8, b"second", "pixels", np.zeros((1, 2, 32), np.uint8), (0, 0, 32, 32))
FILE = Canonical(
    sha256="sha",
    md5="md5",
    num_bytes=10,
    container="mp4",
    codec="h264",
    pixel_format="yuv420p",
    width=64,
    height=48,
    fps=30.0,
    duration_s=2.5,
    marks=("interlaced",),
    cuts_s=(0.5,),
    dropped=(Dropped(2.0, 2.5, "too_short"),),
    frame_prints=(),
    track=Track("aac", 48_000, 2),
    windows=(replace(WINDOW, start_frame=0), WINDOW),
)


@pytest.mark.parametrize("dubbed", [True, False])
def test_the_row_of_a_file_tells_whether_its_sound_is_what_happened(dubbed: bool) -> None:
    listed = replace(LISTED, row=replace(ROW, dubbed=dubbed))
    for result in (FILE, Unusable("empty", "no bytes")):
        assert file_row(listed, result, None).dubbed == dubbed


def test_a_file_with_windows_is_no_reject_and_its_row_tells_what_it_is() -> None:
    assert why_not(LISTED, FILE) is None
    row = file_row(LISTED, FILE, None)
    assert (row.collection, row.recording, row.num_clips) == ("mine", "mine/r", 2)
    assert (row.reject, row.sha256, row.codec) == (None, "sha", "h264")
    assert (json.loads(row.discharges_s), json.loads(row.heard_s)) == ([1.25], [])
    assert json.loads(row.dropped) == [{"start_s": 2.0, "end_s": 2.5, "reason": "too_short"}]


def test_an_unusable_file_is_a_reject_with_its_reason_and_remedy() -> None:
    result = Unusable("too_long", "an hour")
    reject = why_not(LISTED, result)
    assert reject is not None
    assert (reject.reason, reject.detail, reject.remedy) == (
        "too_long",
        "an hour",
        remedy("too_long"),
    )
    row = file_row(LISTED, result, reject)
    assert (row.reject, row.sha256, row.num_clips) == ("too_long", None, 0)


@pytest.mark.parametrize(
    ("dropped", "reason", "detail"),
    [
        ((), "too_short", "too short"),
        ((Dropped(0, 1, "black"), Dropped(1, 2.5, "black")), "black", "2.50 s black"),
        (
            (Dropped(0, 1, "black"), Dropped(1, 2.5, "still")),
            "nothing_left",
            "1.00 s black, 1.50 s still",
        ),
    ],
)
def test_a_file_without_windows_is_a_reject_by_what_it_lost(
    dropped: tuple[Dropped, ...], reason: str, detail: str
) -> None:
    reject = why_not(LISTED, replace(FILE, windows=(), dropped=dropped))
    assert reject is not None
    assert reject.reason == reason
    assert reject.detail == f"no clip of 1.00 s in its 2.50 s ({detail})"


def test_the_row_of_a_clip_has_the_label_of_its_time_and_the_place_of_its_bytes(
    tmp_path: Path,
) -> None:
    with ShardWriter(tmp_path, 10) as tar:
        first, second = (clip_row(LISTED, window, FILE, tar) for window in FILE.windows)
    assert (first.start_s, first.discharge) == (0.0, False)
    assert (second.start_s, second.discharge) == (1.0, True)
    assert first.clip_id != second.clip_id
    data = (tmp_path / second.shard).read_bytes()
    assert data[second.offset : second.offset + second.size] == b"second"
    assert second.recording == "mine/r"


@pytest.mark.parametrize(
    ("presences", "marks", "with_sound", "unused"),
    [
        ((ABSENT, ABSENT), (), True, "heard_without_sound"),
        ((SILENT, ABSENT), ("several_sounds",), True, "heard_without_sound"),
        ((ABSENT, PRESENT), (), True, None),
        ((QUIET, QUIET), (), True, None),
        ((DAMAGED, DAMAGED), ("sound_damaged",), True, None),
        ((ABSENT, ABSENT), ("sound_no_decoder",), True, None),
        ((ABSENT, ABSENT), ("sound_refused",), True, None),
        ((ABSENT, ABSENT), (), False, None),
    ],
)
def test_nothing_is_heard_in_a_file_without_sound_unless_nobody_listened(
    tmp_path: Path,
    presences: tuple[str, ...],
    marks: tuple[str, ...],
    with_sound: bool,
    unused: str | None,
) -> None:
    task = replace(LISTED.task, with_sound=with_sound)
    listed = replace(LISTED, row=replace(ROW, heard_s=(1.5,)), task=task)
    windows = [
        replace(window, presence=presence)
        for window, presence in zip(FILE.windows, presences, strict=True)
    ]
    file = replace(FILE, windows=tuple(windows), track=Track(marks=marks))
    with ShardWriter(tmp_path, 10) as tar:
        clips = [clip_row(listed, window, file, tar) for window in windows]
    assert [clip.unused for clip in clips] == [unused, unused]
    assert [clip.discharge for clip in clips] == ([None, None] if unused else [False, True])


@pytest.mark.parametrize(
    ("times", "marks", "sentence"),
    [
        (
            {"discharges_s": (1.25, 400.0)},
            (),
            "mine/a.mp4: discharges_s=400 in index.csv, but its pictures end at 2.50 s; correct "
            "the times, or the path of the row",
        ),
        (
            {"heard_s": (300.0, 400.5)},
            (),
            "mine/a.mp4: heard_s=300;400.5 in index.csv, but its pictures end at 2.50 s; correct "
            "the times, or the path of the row",
        ),
        (
            {"heard_s": (1.5,)},
            (),
            "mine/a.mp4: heard_s=1.5 in index.csv, but the file has no sound; give it with its "
            "sound, or correct the times, or the path of the row",
        ),
        ({"heard_s": (300.0,)}, ("ends_early", "sound_no_decoder"), None),
    ],
)
def test_wrong_times_are_told_with_the_file_the_value_and_the_remedy(
    times: dict[str, tuple[float, ...]], marks: tuple[str, ...], sentence: str | None
) -> None:
    listed = replace(LISTED, row=replace(ROW, **times))  # type: ignore[arg-type]
    file = replace(FILE, marks=marks, track=Track(marks=marks))
    assert told_wrong_times(listed, file) == sentence
    counts = Tally()
    for _ in range(MOST_NAMED + 1):
        counts.add_times(listed, file)
    assert counts.wrong_times == ([sentence] * MOST_NAMED if sentence else [])


def test_counts_tell_files_clips_and_rejects_apart(tmp_path: Path) -> None:
    counts = Tally()
    counts.add_file(file_row(LISTED, FILE, None))
    gone = Unusable("forgotten", "")
    counts.add_file(file_row(LISTED, gone, why_not(LISTED, gone)))
    with ShardWriter(tmp_path, 10) as tar:
        for window in FILE.windows:
            counts.add_clip(clip_row(LISTED, window, FILE, tar))
    told = counts.stats()
    assert (told["files"], told["clips"], told["rejects"], told["recordings"]) == (2, 2, 1, 1)
    assert told["clips_by_class"] == {"real shooting": 1, "real other": 1}
    assert told["stretches_dropped_by_reason"] == {"too_short": 1}
    assert told["files_by_mark"] == {"interlaced": 1}
    assert counts.deciding()["forgotten"] == 1
