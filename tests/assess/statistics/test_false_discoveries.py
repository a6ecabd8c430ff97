from __future__ import annotations

import numpy as np

from pipeline.assess.statistics.false_discoveries import beyond_chance


def test_the_smallest_of_many_chances_must_be_smaller_than_of_one() -> None:
    assert beyond_chance([0.04]) == [True]
    assert beyond_chance([0.04, *np.linspace(0.1, 1, 20)]) == [False] * 21
    assert beyond_chance([*np.linspace(0.1, 1, 20), 0.002]) == [*[False] * 20, True]


def test_what_was_not_tested_is_no_discovery_and_counts_for_none() -> None:
    assert beyond_chance([None, 0.04, None]) == [False, True, False]
    assert beyond_chance([None]) == [False]
    assert beyond_chance([]) == []
