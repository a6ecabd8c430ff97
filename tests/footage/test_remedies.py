from __future__ import annotations

import pytest

from pipeline.footage import unplayable
from pipeline.footage.remedies import remedy


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("too_long", "max_duration_s"),
        ("too_large", "max_pixels"),
        ("too_much_output", "max_output_mb"),
        ("timeout", "timeout_s"),
        ("cpu_time", "max_cpu_s"),
        ("out_of_memory", "max_memory_mb"),
    ],
)
def test_the_remedy_of_a_limit_names_the_key_that_raises_it(reason: str, word: str) -> None:
    assert word in remedy(reason)


def test_what_is_no_video_has_the_remedy_of_what_it_is() -> None:
    assert remedy("dvc_pointer") == unplayable.REMEDIES["dvc_pointer"]


def test_what_is_no_file_is_not_to_be_played() -> None:
    assert "give the path of the video itself" in remedy("not_a_file")


def test_a_reason_without_a_remedy_of_its_own_has_one_all_the_same() -> None:
    assert "play the file" in remedy("decode_error")


@pytest.mark.parametrize(
    "reason", ["decode_error", "no_video", "not_a_file", "damaged", "companion"]
)
def test_what_a_look_up_may_tell_speaks_of_no_index(reason: str) -> None:
    assert "index" not in remedy(reason)
