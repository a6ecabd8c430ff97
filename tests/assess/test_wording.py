from __future__ import annotations

import pytest

from pipeline.assess import wording
from pipeline.assess.statistics.measurement import Measured
from pipeline.numbers.intervals import Interval


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100 %"), (0.9996, "> 99.9 %"), (0.917, "91.7 %"), (0.0, "0 %"), (0.0001, "< 0.1 %")],
)
def test_percentages_never_round_to_perfection(share: float, text: str) -> None:
    assert wording.percent(share) == text


def test_a_metric_is_written_as_its_readers_expect_it() -> None:
    assert wording.number("auroc", None) == wording.DASH
    assert wording.number("auroc", 0.51234) == "0.512"
    assert wording.number("tpr_at_fpr_0.01", 0.51234) == "51.2 %"


def test_an_interval_has_one_unit_and_without_one_the_reason_stands() -> None:
    found = Measured(0.5, Interval(0.25, 0.75))
    assert wording.interval("tpr_at_fpr_0.01", found) == "25 to 75 %"
    assert wording.interval("auroc", found) == "0.250 to 0.750"
    assert wording.interval("auroc", Measured(0.5, reason="one recording")) == "one recording"
    assert wording.interval("auroc", Measured(0.5)) == ""


def test_few_sources_are_said_beside_a_claim_and_none_or_many_are_not() -> None:
    assert wording.few_sources(1) == " This rests on 1 real source, fewer than 20."
    assert wording.few_sources(0) == wording.few_sources(20) == ""
