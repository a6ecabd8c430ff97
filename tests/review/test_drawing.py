from __future__ import annotations

import numpy as np
import pytest

from pipeline.review import drawing


def test_strata_are_alerts_and_ranks_of_the_others() -> None:
    score = np.linspace(0, 0.4, 200)
    flagged = np.arange(200) < 3
    found = drawing.strata(score, flagged)
    assert np.bincount(found, minlength=4).tolist() == [3, 2, 18, 177]
    assert found[:3].tolist() == [0, 0, 0]
    assert found[-2:].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("members", "num", "expected"),
    [
        ([100, 100, 100, 100], 40, [10, 10, 10, 10]),
        ([3, 2, 18, 177], 40, [3, 2, 17, 18]),
        ([3, 0, 0, 1], 40, [3, 0, 0, 1]),
        ([100, 100, 100, 100], 3, [0, 1, 1, 1]),
        ([0, 0, 0, 0], 5, [0, 0, 0, 0]),
    ],
)
def test_equally_many_are_drawn_of_each_as_far_as_there_are(
    members: list[int], num: int, expected: list[int]
) -> None:
    assert drawing.sizes(np.array(members), num).tolist() == expected


def test_each_is_drawn_as_often_as_its_probability_says() -> None:
    stratum = np.repeat([0, 1, 2, 3], [3, 10, 40, 147])
    times, num_draws = np.zeros(200), 400
    for seed in range(num_draws):
        drawn, inclusion = drawing.draw(stratum, 40, np.random.default_rng(seed))
        assert drawn.sum() == 40
        times += drawn
    assert (1 / inclusion).sum() == pytest.approx(
        sum(members**2 / size for members, size in ((3, 3), (10, 10), (40, 13), (147, 14)))
    )
    # Binomial: four standard deviations.
    deviation = 4 * np.sqrt(num_draws * inclusion * (1 - inclusion))
    assert (np.abs(times - num_draws * inclusion) <= deviation + 1e-9).all()
