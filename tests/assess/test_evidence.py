from __future__ import annotations

from pipeline.assess.evidence import Section, Verdict, gravest, gravest_key, gravest_told


def test_what_cannot_be_told_is_graver_than_what_is_good() -> None:
    assert gravest(["green", "grey"]) == "grey"
    assert gravest(["green", "red", "amber"]) == "red"
    assert gravest([]) is None
    section = Section("", [Verdict("a", "green", ""), Verdict("b", "grey", "")])
    assert section.state == "grey"
    assert Section("", []).state is None


def test_what_few_recordings_leave_open_hides_no_part_that_others_show() -> None:
    assert gravest_told(["green", "grey"]) == "green"
    assert gravest_told(["grey", "amber", "red"]) == "red"
    assert gravest_told(["grey"]) == gravest_told([]) == "grey"
    assert gravest_key({"a": "green", "b": "amber", "c": "amber", "d": "grey"}) == "b"
    assert gravest_key({"a": "grey", "b": "green"}) == "b"
