from __future__ import annotations

import numpy as np

from pipeline.numbers.rounding import rounded


def test_a_number_is_written_with_six_decimals() -> None:
    assert rounded(1 / 3) == 0.333333
    assert rounded(2 / 3) == 0.666667


def test_a_number_of_numpy_becomes_one_that_json_knows() -> None:
    assert type(rounded(np.float32(0.5))) is float  # type: ignore[arg-type]
