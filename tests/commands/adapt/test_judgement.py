from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from pipeline import app
from pipeline.commands.adapt import judgement
from pipeline.learn.origin import Layer, OriginExamples
from tests.commands.adapt.toy import own_of


def test_no_source_is_both_drawn_and_judged_and_draws_spread_over_sources() -> None:
    own = own_of("real", "game", sources=6, each=3)
    for number in range(5):
        drawn = judgement._drawn(own, 7, number)
        out = set(own.sources[drawn.held_out])
        assert sorted(name.partition("-")[0] for name in out) == ["game", "game", "real", "real"]
        assert out.isdisjoint(own.sources[drawn.drawable])
        assert len(drawn.drawable) + drawn.held_out.sum() == len(own.files)
        assert len(set(own.sources[drawn.drawable[:8]])) == 8
    first, again = (judgement._drawn(own, 7, 0).drawable for _ in range(2))
    assert first.tolist() == again.tolist()


@pytest.mark.parametrize(
    ("most", "sizes"), [(2, [0, 2]), (4, [0, 4]), (6, [0, 4, 6]), (33, [0, 4, 8, 16, 32, 33])]
)
def test_sizes_double_up_to_all_that_can_be_drawn(most: int, sizes: list[int]) -> None:
    assert list(judgement._sizes(most)) == sizes


def test_files_that_were_not_judged_count_for_nothing() -> None:
    origins = np.array(["real", "real", "game", "film", "real"])
    sources = np.array(["a", "b", "c", "d", "e"])
    found = judgement.judge(np.array([2.0, 0.5, 1.0, -1.0, np.nan]), origins, sources)
    assert [(one.against, one.auroc, one.num_real, one.num_sources) for one in found] == [
        ("all", 0.75, 2, 4),
        ("film", 1.0, 2, 3),
        ("game", 0.5, 2, 3),
    ]
    assert found[0].found == 0.5
    assert judgement.judge(np.array([2.0, np.nan]), origins[1:3], sources[1:3]) == []


def test_a_draw_that_leaves_nothing_to_learn_from_is_none() -> None:
    own = own_of("real", "game", sources=2, each=1)
    # One source names files of both sides.
    sources = ["b" if number == 1 else "a" for number in range(len(own.files))]
    files = [replace(file, source=name) for file, name in zip(own.files, sources, strict=True)]
    is_real = np.array([file.origin == "real" for file in files])
    rng = np.random.default_rng(0)
    examples = OriginExamples(
        rng.normal(0, 1, (len(files), 2)), is_real, np.array(sources), np.ones(len(files))
    )
    own = replace(own, files=files, clips=[None] * len(files), examples=examples)  # type: ignore[list-item]
    left = [judgement._drawn(own, 0, number).drawable.size for number in range(6)]
    assert 0 in left
    assert max(left) > 0
    assert judgement.why_no_curve(own, 6, 0) == ""
    training = OriginExamples(
        rng.normal(0, 1, (8, 2)), np.arange(8) < 4, np.array(["x", "y"] * 4), np.ones(8)
    )
    cfg = app.compose("train")
    before = Layer(np.ones(2), 0.0)
    points = judgement.learning_curve(
        training, own, before, cfg, num_draws=6, seed=0, num_workers=1
    )
    found = [(point.num_files, point.draw, point.found.against) for point in points]
    assert found
    assert len(set(found)) == len(found), "no point is counted twice"
    assert {draw for _, draw, _ in found} <= {number for number in range(6) if left[number]}


@pytest.mark.parametrize(
    ("each", "says"), [(1, "The only file is real, .* tell it from"), (3, "All 3 files are real")]
)
def test_files_of_one_side_alone_are_told_by_their_number(each: int, says: str) -> None:
    reason = judgement.why_no_curve(own_of("real", sources=1, each=each), num_draws=1, seed=0)
    assert re.match(says, reason)
