from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import SplitConfig
from pipeline.design.composition import Composition

CFG = SplitConfig(
    seed=3, val_fraction=0.2, test_fraction=0.2, unseen_sources=[], long_recordings=[]
)
WHOLE = Composition(
    counts=np.array([[3, 1, 1, 0]] * 4),
    kept_out=np.zeros(4, np.int64),
    untimed=np.zeros(4, np.int64),
    num_recordings=20,
    num_clusters=20,
)


def with_counts(*rows: list[int]) -> Composition:
    return replace(WHOLE, counts=np.array(rows))


def test_where_every_class_is_in_every_split_nothing_is_missing() -> None:
    assert WHOLE.problem(CFG) is None
    assert WHOLE.shortcomings(CFG) == []


def test_what_unseen_sources_take_is_given_back_by_holding_out_fewer() -> None:
    held_out = with_counts([0, 0, 0, 5], *[[3, 1, 1, 0]] * 3)
    assert "nothing to train on of real_shooting: hold out fewer" in (held_out.problem(CFG) or "")
    tainted = replace(
        with_counts([0, 0, 0, 0], *[[3, 1, 1, 0]] * 3), kept_out=np.array([2, 0, 0, 0])
    )
    assert "share a recording or a copy" in (tainted.problem(CFG) or "")
    none_there = with_counts([0, 0, 0, 0], *[[3, 1, 1, 0]] * 3)
    assert "hold out" not in (none_there.problem(CFG) or "")


@pytest.mark.parametrize(
    ("val", "chosen"),
    [
        ([[0], [1], [1], [1]], "chooses its weights by the loss and calibrates without"),
        ([[1], [0], [0], [0]], "chooses its weights by the loss and calibrates without"),
        ([[1], [0], [1], [1]], "but chooses and calibrates without"),
    ],
)
def test_how_weights_are_chosen_without_a_class_is_told(val: list[list[int]], chosen: str) -> None:
    counts = WHOLE.counts.copy()
    counts[:, 1:2] = val
    assert chosen in replace(WHOLE, counts=counts).shortcomings(CFG)[0]


def test_a_class_whose_recordings_are_needed_elsewhere_is_told_apart_from_a_rare_one() -> None:
    found = with_counts([3, 0, 1, 0], [1, 1, 0, 0], *[[3, 1, 1, 0]] * 2).shortcomings(CFG)
    assert found[1] == (
        "test holds no fictional_shooting: the report shows a dash for what takes some"
    )
    assert "there are too few of fictional_shooting: add recordings" in found[2]
    assert found[3].startswith("Recordings that hold several classes are needed elsewhere")
    assert "too few of real_shooting: add recordings" in found[3]


def test_without_a_share_for_test_the_evaluation_needs_other_splits() -> None:
    cfg = replace(CFG, test_fraction=0.0)
    alone = with_counts(*[[3, 1, 0, 0]] * 4)
    assert alone.problem(cfg) is None
    (sentence,) = alone.shortcomings(cfg)
    assert sentence.startswith("test_fraction is 0, so there is no test")
    assert "nothing is left for test" in (alone.problem(CFG) or "")
