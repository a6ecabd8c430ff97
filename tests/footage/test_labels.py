from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.config import ClipFormat
from pipeline.footage.collection import IndexRow
from pipeline.footage.labels import (
    UNLABELLED,
    Labels,
    WrongTimes,
    label,
    label_heard,
    label_seen,
    wrong_times,
)
from pipeline.store.manifest import ABSENT, DAMAGED, INCOMPLETE, PRESENT, QUIET, SILENT

CLIP = ClipFormat(num_frames=16, size=128, fps=15.0, crf=18)
ROW = IndexRow("a.mp4", "real", "s", True, "CC0", "a.mp4")


def test_discharge_times_label_each_window() -> None:
    row = replace(ROW, discharges_s=(0.5,))
    second_s = 16 / 15
    assert label_seen(row, 0.0, CLIP, file_s=60.0) == (True, None)
    assert label_seen(row, second_s, CLIP, file_s=60.0) == (False, None)
    on_the_edge = replace(ROW, discharges_s=(second_s - 0.01,))
    assert label_seen(on_the_edge, 0.0, CLIP, file_s=60.0) == (None, "discharge_at_edge")
    assert label_seen(on_the_edge, second_s, CLIP, file_s=60.0) == (None, "discharge_at_edge")
    still_glowing = replace(ROW, discharges_s=(second_s - 0.18,))
    assert label_seen(still_glowing, 0.0, CLIP, file_s=60.0) == (True, None)
    assert label_seen(still_glowing, second_s, CLIP, file_s=60.0) == (None, "discharge_at_edge")
    both = replace(ROW, discharges_s=(0.5, second_s - 0.01))
    assert label_seen(both, 0.0, CLIP, file_s=60.0) == (True, None)


def test_wrong_times_name_the_column_and_what_is_wrong_in_it() -> None:
    for row, is_mute, wrong in (
        (
            replace(ROW, discharges_s=(1.0, 4.0), heard_s=(9.0,)),
            True,
            WrongTimes("discharge_beyond_end", "discharges_s", (4.0,)),
        ),
        (replace(ROW, heard_s=(1.0,)), True, WrongTimes("heard_without_sound", "heard_s", (1.0,))),
        (replace(ROW, heard_s=(1.0, 5.0)), False, None),
        (ROW, True, None),
    ):
        assert wrong_times(row, 4.0, is_mute=is_mute) == wrong
        assert wrong is None or wrong.reason in UNLABELLED


def test_times_beyond_the_end_are_of_something_else_and_label_nothing() -> None:
    in_milliseconds = replace(ROW, discharges_s=(500.0,))
    for start_s in (0.0, 16 / 15):
        found = label_seen(in_milliseconds, start_s, CLIP, file_s=4.0)
        assert found == (None, "discharge_beyond_end")


def test_a_label_of_a_file_holds_for_its_whole_and_for_no_part() -> None:
    assert label_seen(ROW, 0.0, CLIP, file_s=17 / 15) == (True, None)
    assert label_seen(ROW, 0.0, CLIP, file_s=60.0) == (None, "no_discharge_times")
    quiet = replace(ROW, discharge=False)
    assert label_seen(quiet, 0.0, CLIP, file_s=60.0) == (False, None)


def test_what_is_only_heard_is_no_negative_for_the_eye() -> None:
    second_s = 16 / 15
    row = replace(ROW, heard_s=(0.5,))
    assert label_seen(row, 0.0, CLIP, file_s=60.0) == (None, "discharge_only_heard")
    assert label_seen(row, second_s, CLIP, file_s=60.0) == (None, "discharge_only_heard")
    assert label_seen(row, 3 * second_s, CLIP, file_s=60.0) == (False, None)
    both = replace(row, discharges_s=(0.4,))
    assert label_seen(both, 0.0, CLIP, file_s=60.0) == (True, None)
    sound_goes_on = replace(ROW, discharges_s=(0.4,), heard_s=(50.0, 70.0))
    assert label_seen(sound_goes_on, 0.0, CLIP, file_s=60.0) == (True, None)
    assert label_heard(sound_goes_on, 0.0, CLIP, 60.0, PRESENT) is True


@pytest.mark.parametrize("discharges_s", [(), (0.4,)])
def test_what_is_heard_beyond_the_end_alone_is_of_something_else_and_labels_nothing(
    discharges_s: tuple[float, ...],
) -> None:
    row = replace(ROW, discharges_s=discharges_s, heard_s=(500.0, 700.0))
    unknown = Labels(None, "heard_beyond_end", None, None)
    for start_s in (0.0, 16 / 15):
        assert label(row, start_s, CLIP, 60.0, PRESENT) == unknown
        assert label(row, start_s, CLIP, 60.0, ABSENT, is_mute=True) == unknown
    wrong = wrong_times(row, 60.0)
    assert wrong == WrongTimes("heard_beyond_end", "heard_s", (500.0, 700.0))
    assert wrong_times(row, float("inf")) is None


def test_a_discharge_that_is_surely_heard_is_one_though_nobody_sees_it() -> None:
    row = replace(ROW, heard_s=(0.5,))
    assert label(row, 0.0, CLIP, 60.0, PRESENT) == Labels(True, None, None, True)
    unknown = Labels(None, "discharge_only_heard", None, None)
    for presence in (ABSENT, SILENT, QUIET, INCOMPLETE):
        assert label(row, 0.0, CLIP, 60.0, presence) == unknown
    assert label(replace(row, dubbed=True), 0.0, CLIP, 60.0, PRESENT) == unknown
    # Its echo is neither surely heard nor surely over.
    assert label(row, 16 / 15, CLIP, 60.0, PRESENT) == unknown
    assert label(row, 3.2, CLIP, 60.0, PRESENT) == Labels(False, None, False, False)


def test_what_is_seen_decides_where_it_is_seen_and_heard() -> None:
    row = replace(ROW, discharges_s=(0.4,), heard_s=(0.5,))
    assert label(row, 0.0, CLIP, 60.0, PRESENT) == Labels(True, None, True, True)
    assert label(row, 0.0, CLIP, 60.0, ABSENT) == Labels(True, None, True, None)


def test_times_of_what_is_heard_are_not_those_of_a_file_without_sound() -> None:
    row = replace(ROW, discharges_s=(0.5,), heard_s=(5.0,))
    for start_s in (0.0, 16 / 15):
        found = label_seen(row, start_s, CLIP, file_s=60.0, is_mute=True)
        assert found == (None, "heard_without_sound")
    only_seen = replace(row, heard_s=())
    assert label_seen(only_seen, 0.0, CLIP, file_s=60.0, is_mute=True) == (True, None)


@pytest.mark.parametrize(
    ("discharge_s", "heard"),
    [
        (-2.4, False),
        (-2.2, None),
        (-0.1, None),
        (0.0, True),
        (0.66, True),
        (0.7, None),
        (1.06, None),
        (1.07, False),
    ],
)
def test_a_discharge_is_heard_later_than_it_is_seen_and_for_longer(
    discharge_s: float, heard: bool | None
) -> None:
    row = replace(ROW, discharges_s=(10 + discharge_s,))
    assert label_heard(row, 10.0, CLIP, 60.0, PRESENT) is heard


@pytest.mark.parametrize(
    ("heard_s", "heard"), [(-2.4, False), (-0.1, None), (0.0, True), (0.96, True), (0.98, None)]
)
def test_a_time_of_the_sound_is_not_delayed(heard_s: float, heard: bool | None) -> None:
    row = replace(ROW, heard_s=(10 + heard_s,))
    assert label_heard(row, 10.0, CLIP, 60.0, PRESENT) is heard


def test_without_sound_nobody_knows_what_could_be_heard() -> None:
    row = replace(ROW, discharges_s=(0.3,))
    quiet = replace(ROW, discharge=False)
    for presence in (ABSENT, SILENT, QUIET):
        assert label_heard(row, 0.0, CLIP, 60.0, presence) is None
        assert label_heard(quiet, 0.0, CLIP, 60.0, presence) is None
    for presence in (INCOMPLETE, DAMAGED):
        assert label_heard(row, 0.0, CLIP, 60.0, presence) is None
        assert label_heard(quiet, 0.0, CLIP, 60.0, presence) is False


def test_in_a_file_that_was_dubbed_nobody_knows_what_could_be_heard() -> None:
    for row in (replace(ROW, discharges_s=(0.3,)), replace(ROW, discharge=False)):
        assert label_heard(row, 0.0, CLIP, 60.0, PRESENT) is not None
        assert label_heard(replace(row, dubbed=True), 0.0, CLIP, 60.0, PRESENT) is None


def test_a_label_of_a_file_holds_for_the_sound_of_its_whole_and_for_no_part() -> None:
    assert label_heard(ROW, 0.0, CLIP, 17 / 15, PRESENT) is True
    assert label_heard(ROW, 0.0, CLIP, 17 / 15, DAMAGED) is None
    assert label_heard(ROW, 0.0, CLIP, 60.0, PRESENT) is None
    beyond = replace(ROW, discharges_s=(500.0,))
    assert label_heard(beyond, 0.0, CLIP, 4.0, PRESENT) is None
