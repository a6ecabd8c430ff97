from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import SplitConfig
from pipeline.design.composition import Composition
from pipeline.store.manifest import CLASSES

CFG = SplitConfig(
    seed=3,
    val_fraction=0.2,
    test_fraction=0.2,
    unseen_sources=[],
    long_recordings=[],
    train_only=[],
)
WHOLE = Composition(
    counts=np.array([[3, 1, 1, 0]] * 4),
    seen=np.array([[3, 1, 1, 0]] * 4),
    kept_out=np.zeros(4, np.int64),
    untimed=np.zeros(4, np.int64),
    num_recordings=20,
    num_clusters=20,
)


def with_counts(*rows: list[int]) -> Composition:
    return replace(WHOLE, counts=np.array(rows), seen=np.array(rows))


def with_seen(**seen: list[int]) -> Composition:
    """All classes are heard in train, val and test, and some are seen in fewer recordings."""
    rows = [
        seen.get(name, counts) for name, counts in zip(CLASSES, [[3, 1, 1, 0]] * 4, strict=True)
    ]
    return replace(WHOLE, seen=np.array(rows))


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
        ([[0], [0], [1], [1]], "chooses its weights by the loss and calibrates without"),
        ([[1], [0], [0], [0]], "chooses its weights by the loss and calibrates without"),
        (
            [[0], [1], [1], [1]],
            "chooses its weights (without an encoder of pictures by the loss) and calibrates",
        ),
        (
            [[1], [1], [0], [0]],
            "chooses its weights (with an encoder of pictures by the loss) and calibrates",
        ),
        ([[1], [0], [1], [1]], "but chooses its weights and calibrates without"),
    ],
)
def test_how_weights_are_chosen_without_a_class_is_told(val: list[list[int]], chosen: str) -> None:
    counts = WHOLE.counts.copy()
    counts[:, 1:2] = val
    assert chosen in replace(WHOLE, counts=counts, seen=counts).shortcomings(CFG)[0]


def test_what_is_only_heard_is_nothing_to_train_on() -> None:
    problem = with_seen(real_shooting=[0, 1, 1, 0]).problem(CFG)
    assert problem == (
        "there is nothing to train on of real_shooting: add recordings that show a discharge, "
        "since in 3 recordings it is only heard (heard_s in index.csv), which pictures learn "
        "nothing from (under footage/, or collections in conf/ingest.yaml)"
    )


def test_what_is_only_heard_serves_test_and_the_operating_point_but_no_choice_of_weights() -> None:
    found = with_seen(real_shooting=[1, 0, 0, 0])
    assert found.problem(CFG) is None
    val, few, _ = found.shortcomings(CFG)
    assert val == (
        "val shows no real_shooting: train goes on, but chooses its weights (without an encoder "
        "of pictures by the loss) and calibrates without"
    )
    assert "too few of real_shooting: add recordings that show a discharge, since in 4" in few


def test_a_val_split_without_anything_to_be_seen_is_refused() -> None:
    nothing = replace(WHOLE, seen=WHOLE.seen * [1, 0, 1, 1])
    assert (nothing.problem(CFG) or "").startswith("nothing is left for val")


def test_the_table_counts_what_is_seen_beside_what_is_there() -> None:
    _, _, first, second, *rest = with_seen(real_shooting=[2, 0, 1, 0]).table().splitlines()
    assert first.split() == ["real_shooting", "3", "1", "1", "0"]
    assert second.split() == ["real_shooting,", "seen", "2", "0", "1", "0"]
    assert [line.split()[0] for line in rest] == list(CLASSES[1:])


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
