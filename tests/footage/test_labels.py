from __future__ import annotations

from dataclasses import replace

from pipeline.config import ClipFormat
from pipeline.footage.collection import IndexRow
from pipeline.footage.labels import label

CLIP = ClipFormat(num_frames=16, size=128, fps=15.0, crf=18)
ROW = IndexRow("a.mp4", "real", "s", True, "CC0", "a.mp4")


def test_discharge_times_label_each_window() -> None:
    row = replace(ROW, discharges_s=(0.5,))
    second_s = 16 / 15
    assert label(row, 0.0, CLIP, file_s=60.0) == (True, None)
    assert label(row, second_s, CLIP, file_s=60.0) == (False, None)
    on_the_edge = replace(ROW, discharges_s=(second_s - 0.01,))
    assert label(on_the_edge, 0.0, CLIP, file_s=60.0) == (None, "discharge_at_edge")
    assert label(on_the_edge, second_s, CLIP, file_s=60.0) == (None, "discharge_at_edge")
    still_glowing = replace(ROW, discharges_s=(second_s - 0.18,))
    assert label(still_glowing, 0.0, CLIP, file_s=60.0) == (True, None)
    assert label(still_glowing, second_s, CLIP, file_s=60.0) == (None, "discharge_at_edge")
    both = replace(ROW, discharges_s=(0.5, second_s - 0.01))
    assert label(both, 0.0, CLIP, file_s=60.0) == (True, None)


def test_times_beyond_the_end_are_of_something_else_and_label_nothing() -> None:
    in_milliseconds = replace(ROW, discharges_s=(500.0,))
    for start_s in (0.0, 16 / 15):
        found = label(in_milliseconds, start_s, CLIP, file_s=4.0)
        assert found == (None, "discharge_beyond_end")


def test_a_label_of_a_file_holds_for_its_whole_and_for_no_part() -> None:
    assert label(ROW, 0.0, CLIP, file_s=17 / 15) == (True, None)
    assert label(ROW, 0.0, CLIP, file_s=60.0) == (None, "no_discharge_times")
    quiet = replace(ROW, discharge=False)
    assert label(quiet, 0.0, CLIP, file_s=60.0) == (False, None)
