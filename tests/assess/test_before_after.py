from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.assess import before_after
from pipeline.assess.before_after import PairedAuroc
from pipeline.assess.examples import Examples
from pipeline.assess.statistics.measurement import Measured
from pipeline.numbers.intervals import Interval
from tests.assess import toy
from tests.assess.toy import FEW_RESAMPLES, Source

MANY = (Source("a", "real", 10, 10), Source("b", "game", 10, 10))
BEFORE = toy.examples(MANY)


def examples(score: np.ndarray) -> Examples:
    return replace(BEFORE, score=score, p_real=score)


def pair(before: float, after: float, spread: float = 0.0) -> PairedAuroc:
    wobble = np.concatenate([[0], spread * np.linspace(-1, 1, 101)])
    return PairedAuroc(before + wobble, after + wobble, 0.9)


def test_both_are_the_aurocs_of_their_scores() -> None:
    after = toy.examples(MANY, skill=0.5, seed=3)
    found = before_after.compare(BEFORE, after, FEW_RESAMPLES)["shooting"]
    old, new = (roc_auc_score(one.is_shooting, one.score) for one in (BEFORE, after))
    assert found.plain.value == pytest.approx(old, abs=1e-6)
    assert found.altered.value == pytest.approx(new, abs=1e-6)
    assert found.drop.value == pytest.approx(old - new, abs=2e-6)
    assert found.drop.low < old - new < found.drop.high
    assert found.beyond(0.5).value == pytest.approx(new - 0.5 - 0.5 * (old - 0.5), abs=1e-6)


def test_nothing_is_lost_surely_where_nothing_changes() -> None:
    found = before_after.compare(BEFORE, BEFORE, FEW_RESAMPLES)["shooting"]
    assert found.drop.row == (0, 0, 0)
    assert found.plain.low < found.plain.value < found.plain.high


def test_a_paired_interval_is_narrower_than_that_of_either() -> None:
    noise = np.random.default_rng(0).normal(0, 0.02, len(BEFORE))
    found = before_after.compare(BEFORE, examples(BEFORE.score + noise), FEW_RESAMPLES)["shooting"]
    widths = [one.high - one.low for one in (found.drop, found.plain)]
    assert widths[0] < 0.5 * widths[1]


def test_equal_scores_are_chance_and_say_that_no_resample_differs() -> None:
    found = before_after.compare(BEFORE, examples(np.full(len(BEFORE), 0.5)), FEW_RESAMPLES)[
        "origin"
    ]
    assert found.altered == Measured(0.5, Interval(0.5, 0.5), note="every resample agrees")
    assert before_after.cell(found.altered).soft == "every resample agrees"


def test_few_recordings_give_a_reason_and_no_number() -> None:
    few = toy.examples((Source("a", "real", 4, 10), Source("b", "game", 10, 10)))
    found = before_after.compare(few, few, FEW_RESAMPLES)
    assert found["shooting"].plain.value is None
    assert found["shooting"].reason == "needs 5 recordings with positive examples, has 4"
    assert not found["shooting"].is_good_before
    assert found["origin"].reason is None
    assert before_after.cell(found["shooting"].drop).soft == found["shooting"].reason


def test_the_graver_question_decides_and_a_weak_one_is_not_asked() -> None:
    pairs = {"shooting": pair(0.9, 0.9), "origin": pair(0.9, 0.5)}
    verdict = before_after.judge(
        "x", "Now", pairs, lambda one: "red" if one.altered.value < 0.6 else "green"
    )
    assert verdict.state == "red"
    assert verdict.says.startswith("Now the detector tells real against fictional with AUROC 0.500")
    weak = {"shooting": pair(0.9, 0.9), "origin": pair(0.65, 0.5, 0.1)}
    assert before_after.judge("x", "Now", weak, lambda one: "green").state == "green"


def test_a_weak_detector_and_few_recordings_are_grey_for_their_own_reasons() -> None:
    weak = pair(0.62, 0.6, 0.1)
    nothing = PairedAuroc(np.zeros(0), np.zeros(0), 0.9, "needs 5 recordings")
    for pairs, word in (
        ({"shooting": weak, "origin": nothing}, "not surely better"),
        ({"shooting": nothing, "origin": nothing}, "Too few recordings"),
    ):
        verdict = before_after.judge("x", "Now", pairs, lambda one: "red")
        assert verdict.state == "grey"
        assert word in verdict.says
