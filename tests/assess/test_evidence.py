from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.assess import evidence as evidence_module
from pipeline.assess.evidence import Section, Verdict, gravest, gravest_key, gravest_told
from pipeline.assess.suites import discrimination, real
from pipeline.assess.suites.data import data
from tests.assess import toy


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


def test_what_several_ask_for_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counted(name: str) -> None:
        measure: Callable[..., Any] = getattr(evidence_module, name)

        def once(*arguments: Any) -> Any:
            asked.append(name)
            return measure(*arguments)

        monkeypatch.setattr(evidence_module, name, once)

    counted("summarize")
    counted("facts")
    evidence = toy.evidence()
    for suite in (discrimination, real, data):
        suite.run(evidence)
    assert evidence.facts.num_clips == evidence.summaries["test"].num_examples
    assert sorted(asked) == ["facts", "summarize"]
