"""Slices from the notes of an index."""

import numpy as np
import pytest

from pipeline.assess.suites.slices import notes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "scene=indoor_range, light=panels, weapon=own, overlay=none, fire, strobe at 0.5 s",
            {
                ("scene", "indoor"),
                ("light", "lamps"),
                ("weapon", "own"),
                ("overlay", "none"),
                ("incident", "sudden light"),
            },
        ),
        ("freedoom1.wad E4M8, overlay=hud", {("overlay", "hud")}),
        ("Night,  OUTDOOR , a b = C", {("light", "night"), ("scene", "outdoor"), ("a b", "c")}),
        ("vehicle, scene=vehicle", {("scene", "vehicle")}),
        ("", set()),
        ("seen by a neighbour at night, <script>=1, =, a=, =b, a=b=c", set()),
        ("key=" + "x" * 41 + ", " + "k" * 30 + "=1", set()),
        ("where=\u202eecneics", set()),
    ],
)  # fmt: skip
def test_words_of_the_table_and_pairs_are_read_and_prose_is_not(text, expected):
    assert notes.meanings(text) == expected


def found(texts, codes):
    slices, left_out = notes.slices(texts, np.array(codes))
    return {(one.name, one.value): one for one in slices}, left_out


def test_members_are_set_against_clips_of_which_the_same_is_known():
    slices, _ = found(["light=day", "light=night, torch at 0.0 s", "talk"], [0, 1, 1, 2, -1])
    night = slices["light", "night"]
    assert night.member.tolist() == [False, True, True, False, False]
    assert night.known.tolist() == [True, True, True, False, False]
    sudden = slices["incident", "sudden light"]
    assert sudden.member.tolist() == [False, True, True, False, False]
    assert sudden.known.tolist() == [True, True, True, True, False]


def test_keys_with_a_value_a_file_are_no_slices_but_named():
    texts = [f"id={i}, crew={i % 3}" for i in range(notes.MAX_VALUES + 1)]
    slices, left_out = found(texts, range(len(texts)))
    assert {name for name, _ in slices} == {"crew"}
    assert left_out == ["id"]


def test_the_most_frequent_keys_are_kept_where_they_are_too_many():
    texts = [f"key{chr(97 + i)}=1" for i in range(notes.MAX_KEYS + 2)]
    codes = [i for i in range(len(texts)) for _ in range(1 + (i >= 2))]
    slices, left_out = found(texts, codes)
    assert left_out == ["keya", "keyb"]
    assert len(slices) == notes.MAX_KEYS


def test_notes_of_clips_that_are_not_judged_are_passed_over():
    slices, _ = found(["light=day", "light=night"], [0, 0])
    assert list(slices) == [("light", "day")]
