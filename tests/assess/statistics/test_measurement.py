from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from pipeline.assess.statistics.measurement import Measured, as_json
from pipeline.assess.statistics.questions import MeasuredAbove
from pipeline.numbers.intervals import Interval


def test_numbers_are_held_as_they_are_written() -> None:
    found = Measured(np.float64(1 / 3), Interval(0.12345678, 0.98765432, 3))
    assert found.row == (0.333333, 0.123457, 0.987654)
    assert type(found.value) is float
    assert found == Measured(0.333333, Interval(0.123457, 0.987654, 3))


@pytest.mark.parametrize(
    ("found", "keys"),
    [
        (Measured(0.5, Interval(0.4, 0.6)), ["value", "low", "high"]),
        (Measured(0.5, reason="few"), ["value", "low", "high", "reason"]),
        (Measured.unknown("none"), ["value", "low", "high", "reason"]),
        (Measured(0.5, Interval(0, 1), note="exact"), ["value", "low", "high", "note"]),
        (Measured(0.5, Interval(0, 1, 2)), ["value", "low", "high", "num_resamples_skipped"]),
        (MeasuredAbove(0.5, reason="few"), ["value", "low", "high", "reason", "threshold"]),
        (MeasuredAbove(None, reason="none"), ["value", "low", "high", "reason"]),
    ],
)
def test_what_says_nothing_is_not_written(found: Measured, keys: list[str]) -> None:
    assert list(found.to_json()) == keys


def test_an_estimate_is_given_an_interval_that_holds_it_or_a_reason() -> None:
    assert Measured.estimated(0.1, Interval(0.2, 0.3), None).row == (0.1, 0.1, 0.3)
    assert Measured.estimated(0.1, Interval(0.2, 0.3), "weak") == Measured(0.1, reason="weak")
    assert Measured.estimated(np.nan, None, None).reason == "only one class is present"
    settled = Measured.estimated(1.0, Interval(1.0, 1.0), None)
    assert settled.interval is None
    assert "every resample agrees" in (settled.reason or "")


def test_a_share_of_all_is_bounded_exactly_and_no_other() -> None:
    settled = Measured(1.0, reason="every resample agrees")
    found = settled.bounded_exactly(10, 0.95, "files")
    assert found.ends.low == pytest.approx(0.025 ** (1 / 10), abs=1e-6)
    assert (found.ends.high, found.reason) == (1.0, None)
    assert found.note == "exact binomial interval over 10 files"
    for other in (Measured(0.9, reason="few"), Measured.unknown("none"), found):
        assert other.bounded_exactly(10, 0.95) is other
    assert settled.bounded_exactly(1, 0.95) is settled


def test_what_must_be_there_is_asserted() -> None:
    with pytest.raises(AssertionError):
        Measured.unknown("none").known  # noqa: B018
    with pytest.raises(AssertionError):
        Measured(0.5, reason="few").ends  # noqa: B018


def test_nested_numbers_become_json() -> None:
    values = {"a": [Measured(0.5, Interval(0.25, 0.75)), None], "b": {"c": (1, "x")}}
    written = json.loads(json.dumps(as_json(values), allow_nan=False))
    assert written == {
        "a": [{"value": 0.5, "low": 0.25, "high": 0.75}, None],
        "b": {"c": [1, "x"]},
    }


def test_an_end_that_is_infinite_is_written_as_none_and_a_reason_always_is() -> None:
    found = Measured(None, Interval(3.0, np.inf), "fewer than half do")
    assert found.row == (None, 3.0, None)
    told = {"value": None, "low": 3.0, "high": None, "reason": "fewer than half do"}
    assert found.to_json() == told


def test_json_is_made_of_dataclasses_by_their_fields_unless_they_have_a_form_of_their_own() -> None:
    @dataclass(frozen=True)
    class Both:
        first: Measured
        names: tuple[str, ...]

    found = as_json({"both": Both(Measured.unknown("none"), ("a",))})
    nothing = {"value": None, "low": None, "high": None, "reason": "none"}
    assert found == {"both": {"first": nothing, "names": ["a"]}}
