from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.assess.deployment_report import SHIFTED, Shift, SourceShare
from pipeline.review import drift, score_folder
from pipeline.review.drift import Inputs
from tests.review.made import row, write_scores


def compared(before: Inputs, after: Inputs) -> tuple[Shift, ...]:
    return drift.between(before, after, "training", "a" * 64).shifts


def test_what_has_shifted_is_told_and_what_has_not_is_near_zero(tmp_path: Path) -> None:
    before = write_scores(tmp_path / "a", [row(n) for n in range(150)], 50)
    now = [row(n, height=1080, loudness=-20.0 if n % 2 else None) for n in range(200, 350)]
    after = write_scores(tmp_path / "b", now, 50)
    sides = [drift.of_scores(score_folder.read(path)) for path in (before, after)]
    found = {one.name: one for one in compared(*sides)}
    assert set(found) == {*drift._COLUMNS, "has sound"}
    assert (found["height"].before, found["height"].after) == (360, 1080)
    assert found["height"].distance == 1.0
    assert found["height"].index > SHIFTED
    assert (found["has sound"].before, found["has sound"].after) == (1.0, 0.5)
    assert found["score"].distance < 0.2
    same = {one.name: one for one in compared(sides[0], sides[0])}
    assert max(one.index for one in same.values()) == pytest.approx(0.0)


def test_sources_are_those_that_a_listing_names(tmp_path: Path) -> None:
    rows = [row(n, source="yard" if n < 6 else None) for n in range(9)]
    found = drift.of_scores(score_folder.read(write_scores(tmp_path / "a", rows)))
    assert found.sources == ["yard"] * 6
    old = [{k: v for k, v in row(n).items() if k != "source"} for n in range(9)]
    without = write_scores(tmp_path / "b", old)
    for path in sorted((without / "scores").iterdir()):
        pq.write_table(pq.read_table(path).drop_columns(["source"]), path)
    assert drift.of_scores(score_folder.read(without)).sources == []


def test_what_is_known_of_too_few_is_left_out() -> None:
    some = np.arange(drift.FEWEST, dtype=float)
    values = {"score": some, "height": np.full(40, np.nan), "seconds": some[1:]}
    more = {**values, "more": some}
    assert [one.name for one in compared(Inputs(values), Inputs(more))] == ["score"]
    few, enough = Inputs({}, ["phone"] * 29), Inputs(values, ["phone"] * 30)
    nothing = drift.between(few, enough, "training", "a")
    assert (nothing.shifts, nothing.sources, nothing.sources_index) == ((), (), None)
    assert drift.between(enough, enough, "training", "a").sources_index == 0


def test_another_value_than_most_had_is_a_shift() -> None:
    before = {"height": np.repeat([144.0, 720.0], [95, 5])}
    (found,) = compared(Inputs(before), Inputs({"height": np.full(50, 240.0)}))
    assert found.index > SHIFTED
    (same,) = compared(Inputs(before), Inputs(before))
    assert same.index == 0


@pytest.mark.parametrize(("num", "least_found"), [(30, 0.9), (100, 1.0)])
def test_few_files_of_the_same_kind_are_hardly_ever_a_shift(num: int, least_found: float) -> None:
    rng, marked, moved = np.random.default_rng(num), [], []
    for _ in range(30):
        before = Inputs({"score": rng.normal(size=500)}, rng.choice(list("abcdefgh"), 500).tolist())
        now = rng.normal(size=num)
        after = Inputs({"score": now}, rng.choice(list("abcdefgh"), num).tolist())
        found = drift.between(before, after, "training", "a" * 64)
        assert found.sources_index is not None
        marked += [found.shifts[0].index > SHIFTED, found.sources_index > SHIFTED]
        moved.append(compared(before, Inputs({"score": now + 2}))[0].index > SHIFTED)
    assert np.mean(marked) <= 0.05
    assert np.mean(moved) >= least_found


def test_sources_that_come_and_go_are_told() -> None:
    before = Inputs({}, [*["phone"] * 30, *["doom"] * 10])
    after = Inputs({}, [*["phone"] * 20, *["drone"] * 20])
    found = drift.between(before, after, "training", "a" * 64)
    assert found.sources == (
        SourceShare("doom", 0.25, 0.0),
        SourceShare("drone", 0.0, 0.5),
        SourceShare("phone", 0.75, 0.5),
    )
    assert found.sources_index is not None
    assert found.sources_index > SHIFTED
    same = drift.between(before, before, "training", "a" * 64)
    assert same.sources_index == 0
