"""Questions that are answered side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from pipeline.detect.side_by_side import side_by_side

WORKERS = 2


def test_what_is_found_comes_in_the_order_of_the_jobs() -> None:
    first_may_end = threading.Event()

    def slow() -> str:
        assert first_may_end.wait(10)
        return "slow"

    def quick() -> str:
        first_may_end.set()
        return "quick"

    assert list(side_by_side([(1, slow), (2, quick)], WORKERS)) == [(1, "slow"), (2, "quick")]


def test_jobs_are_taken_only_a_few_ahead_of_what_was_given() -> None:
    taken = []

    def jobs() -> Iterator[tuple[int, Callable[[], int]]]:
        for number in range(100):
            taken.append(number)
            yield number, int

    given = side_by_side(jobs(), WORKERS)
    next(given)

    assert len(taken) == WORKERS + 1
    assert len(list(given)) == 99


def test_what_a_job_raises_is_raised_in_its_turn() -> None:
    def wrong() -> int:
        raise ValueError("the second")

    given = side_by_side([(1, int), (2, wrong), (3, int)], WORKERS)

    assert next(given) == (1, 0)
    with pytest.raises(ValueError, match="the second"):
        next(given)


def test_one_worker_does_one_job_at_a_time() -> None:
    busy, most = [], []

    def job() -> None:
        busy.append(1)
        most.append(len(busy))
        busy.pop()

    list(side_by_side([(number, job) for number in range(50)], 1))

    assert set(most) == {1}
