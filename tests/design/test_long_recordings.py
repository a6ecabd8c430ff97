from __future__ import annotations

import numpy as np

from pipeline.design.long_recordings import divide


class TestDivide:
    def test_of_equal_numbers_the_split_with_less_footage_is_next(self) -> None:
        num_clips = np.array([100, 1, 1])
        strata = [(frozenset({name}), [name]) for name in range(3)]
        found = divide(strata, num_clips, ["val", "test"], np.random.default_rng(0))
        assert found == {0: "val", 1: "test", 2: "test"}

    def test_recordings_of_the_same_classes_are_divided_though_each_has_a_source_of_its_own(
        self,
    ) -> None:
        # By footage alone both with shootings, 0 and 3, would be in val.
        num_clips = np.array([10, 12, 1, 1])
        shoots, quiet = frozenset({0, 1}), frozenset({1})
        strata = [(shoots, [0]), (quiet, [1]), (quiet, [2]), (shoots, [3])]
        found = divide(strata, num_clips, ["val", "test"], np.random.default_rng(0))
        assert found == {0: "val", 1: "test", 2: "val", 3: "test"}

    def test_each_stratum_is_divided(self) -> None:
        num_clips = np.ones(8, np.int64)
        found = divide(
            [(frozenset({0}), [0, 1, 2, 3]), (frozenset({0}), [4, 5, 6, 7])],
            num_clips,
            ["val", "test"],
            np.random.default_rng(1),
        )
        for stratum in (range(4), range(4, 8)):
            assert sorted(found[one] for one in stratum) == ["test", "test", "val", "val"]
