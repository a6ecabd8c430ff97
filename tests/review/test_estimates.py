from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config import QueueConfig
from pipeline.numbers.intervals import Interval
from pipeline.review import estimates, queueing, score_folder
from pipeline.review.agreement import Votes, posteriors
from pipeline.review.deployment import deployments
from pipeline.review.estimates import Estimate, WeightedStratum
from pipeline.review.record import Record
from tests.review.made import SETTINGS, decision, queued, row, write_scores


def stratum(size: int, found: int, drawn: int) -> WeightedStratum:
    chance = np.arange(drawn) < found
    return WeightedStratum(size, chance.astype(float), np.full(drawn, size / drawn))


class TestShare:
    def test_of_a_large_stratum_it_is_that_of_clopper_and_pearson(self) -> None:
        # 3 of 20: the exact interval of a binomial.
        found = estimates.share(stratum(10**9, 3, 20), 0.95)
        assert found.value == pytest.approx(0.15)
        ends = found.interval.low, found.interval.high
        assert ends == pytest.approx((0.0321, 0.3789), abs=1e-4)

    def test_where_none_is_found_it_ends_at_the_exact_bound(self) -> None:
        found = estimates.share(stratum(10**9, 0, 100), 0.95)
        assert found.interval.low == 0
        assert found.interval.high == pytest.approx(1 - 0.025 ** (1 / 100))

    def test_next_to_nothing_found_ends_at_0(self) -> None:
        # The limit is the smallest number that there is, 2.2e-308.
        chance = np.full(50, 1e-4)
        found = estimates.share(WeightedStratum(1000, chance, np.full(50, 20.0)), 0.95)
        assert found.interval.low == 0
        assert found.value == pytest.approx(1e-4)
        both = estimates.total([WeightedStratum(1000, chance, np.full(50, 20.0))], 0.95)
        assert both.interval.low == 0

    def test_where_all_are_drawn_nothing_is_left_to_chance(self) -> None:
        found = estimates.share(stratum(20, 3, 20), 0.95)
        assert (found.interval.low, found.interval.high) == (0.15, 0.15)

    def test_what_people_are_not_sure_of_stays_open_where_all_are_drawn(self) -> None:
        chance = np.repeat([0.98, 0.02], 50)
        found = estimates.share(WeightedStratum(100, chance, np.ones(100)), 0.95)
        # As many are wrong as binomial draws of 0.02 say: 1.4 of 100, twice that either way.
        assert found.value == 0.5
        assert 0.02 < 0.5 - found.interval.low < 0.04

    def test_the_interval_holds_where_how_common_shootings_are_is_told_by_unsure_people(
        self,
    ) -> None:
        # One look at each of 400 videos, by people who err in 15 %: all that is known of how many
        # of them are shootings is learned from the same looks.
        rng, covered, error = np.random.default_rng(0), 0, 0.15
        for _ in range(200):
            truth = rng.random(400) < 0.3
            found = (truth ^ (rng.random(400) < error)).astype(np.int64)
            chance = posteriors(found, 1 - found, np.zeros(400, np.int64), error)
            ends = estimates.share(WeightedStratum(400, chance, np.ones(400)), 0.95).interval
            covered += ends.low <= truth.mean() <= ends.high
        # Doubt of each video alone would make it hold in 78 % of them.
        assert 0.9 < covered / 200 < 0.99

    def test_people_who_know_nothing_leave_everything_open(self) -> None:
        found = estimates.share(WeightedStratum(50, np.full(50, 0.5), np.ones(50)), 0.95)
        ends = found.interval.low, found.interval.high
        assert ends == pytest.approx((0.0, 1.0), abs=1e-6)

    def test_the_interval_holds_where_some_queues_are_drawn_whole_and_others_in_part(self) -> None:
        # Nine days of ten alerts, all drawn, and a day of 100, of which ten are.
        rng, covered = np.random.default_rng(0), 0
        sizes = np.array([10] * 9 + [100])
        weight = np.repeat(sizes / 10, 10)
        for _ in range(400):
            truth = rng.random(190) < 0.4
            days = np.split(truth, np.cumsum(sizes)[:-1])
            drawn = np.concatenate([rng.choice(of, 10, replace=False) for of in days])
            ends = estimates.share(WeightedStratum(190, drawn.astype(float), weight), 0.95).interval
            covered += ends.low <= truth.mean() <= ends.high
        # Clopper's and Pearson's limits hold more than they say of so few.
        assert 0.94 < covered / 400 < 0.995

    def test_of_next_to_nothing_bounds_alone_are_told(self) -> None:
        few = estimates.share(stratum(1000, 1, estimates.FEWEST - 1), 0.95)
        assert few.value is None
        assert few.interval.low < 0.25 < few.interval.high < 1
        enough = estimates.share(stratum(1000, 1, estimates.FEWEST), 0.95)
        assert enough.value == 0.2
        # Of a stratum that is no larger, everything is known.
        assert estimates.share(stratum(3, 1, 3), 0.95).value == pytest.approx(1 / 3)
        both = estimates.total([stratum(1000, 1, 4), stratum(20, 3, 20)], 0.95)
        assert both.value is None
        assert both.interval.low == pytest.approx(3 + 1000 * few.interval.low)
        assert both.interval.high == pytest.approx(3 + 1000 * few.interval.high)

    def test_where_nothing_is_decided_nothing_is_known(self) -> None:
        found = estimates.share(WeightedStratum(10, np.zeros(0), np.zeros(0)), 0.95)
        assert found == Estimate(None, Interval(0.0, 1.0))

    def test_a_stratum_of_which_nothing_is_decided_leaves_bounds(self) -> None:
        empty = WeightedStratum(1000, np.zeros(0), np.zeros(0))
        known = estimates.total([stratum(20, 3, 20)], 0.95)
        both = estimates.total([stratum(20, 3, 20), empty], 0.95)
        assert both == Estimate(None, Interval(3.0, 1003.0))
        assert estimates.total([empty], 0.95) == Estimate(None, Interval(0.0, 1000.0))
        assert estimates.recall(known, both) == Estimate(None, Interval(3 / 1006, 0.5))
        assert estimates.recall(both, known) == Estimate(None, Interval(0.5, 1003 / 1006))

    def test_a_total_is_rounded_once_whatever_the_version_of_python(self) -> None:
        tenth = WeightedStratum(1, np.array([0.1]), np.ones(1))
        assert estimates.total([tenth] * 10, 0.95).value == 1.0

    def test_unequal_weights_weigh_and_widen(self) -> None:
        weight = np.where(np.arange(40) < 20, 100.0, 900.0)
        chance = (np.arange(40) % 20 < 5).astype(float)
        found = estimates.share(WeightedStratum(20_000, chance, weight), 0.95)
        even = estimates.share(WeightedStratum(20_000, chance, np.full(40, 500.0)), 0.95)
        assert found.value == pytest.approx(even.value) == pytest.approx(0.25)
        assert found.interval.high - found.interval.low > even.interval.high - even.interval.low


class TestRecall:
    def test_it_is_found_over_all(self) -> None:
        found = Estimate(60.0, Interval(50, 70))
        missed = Estimate(40.0, Interval(10, 90))
        recall = estimates.recall(found, missed)
        assert recall is not None
        assert recall.value == 0.6
        # Nearer than both worst cases together, and wider than either alone.
        assert 50 / 140 < recall.interval.low < 60 / 150
        assert 60 / 70 < recall.interval.high < 70 / 80

    def test_where_nothing_was_missed_it_may_be_all(self) -> None:
        recall = estimates.recall(Estimate(9.0, Interval(7, 10)), Estimate(0.0, Interval(0, 30)))
        assert recall is not None
        assert recall.interval.high == 1.0
        assert recall.interval.low < 0.3

    def test_where_there_is_no_shooting_there_is_none(self) -> None:
        none = Estimate(0.0, Interval(0, 5))
        assert estimates.recall(none, none) is None

    def test_intervals_hold_the_truth_as_often_as_they_say(self) -> None:
        # Small samples, of which many hold no missed shooting at all.
        rng = np.random.default_rng(1)
        sizes, shares = [200, 300, 3000, 30_000], [0.5, 0.1, 0.02, 0.0005]
        drawn, held, num = [40, 60, 60, 100], 0, 400
        truths = [round(size * share) for size, share in zip(sizes, shares, strict=True)]
        truth = truths[0] / sum(truths)
        for _ in range(num):
            strata = [
                stratum(size, int(rng.hypergeometric(true, size - true, few)), few)
                for size, true, few in zip(sizes, truths, drawn, strict=True)
            ]
            found = estimates.total(strata[:1], 0.95)
            recall = estimates.recall(found, estimates.total(strata[1:], 0.95))
            assert recall is not None
            held += recall.interval.low <= truth <= recall.interval.high
        # Three standard deviations below 95 %.
        assert held / num >= 0.95 - 3 * (0.95 * 0.05 / num) ** 0.5
        assert held < num


def test_all_queues_of_a_detector_tell_together_and_of_equal_scores_once(tmp_path: Path) -> None:
    rows = [row(n) for n in range(60)]
    settings = replace(SETTINGS, num=60, audit=1.0, uncertain=0.0, second=0.0)
    record = queued(tmp_path / "one", rows, settings)
    flagged = {task.name for _, place, task in record.places() if place.flagged}
    for _, _, task in record.places():
        is_shooting = task.score is not None and task.score > 0.3
        record.decide([decision(task.name, who, discharge=is_shooting) for who in "abc"])
    (one,) = deployments(record, Votes.of(record, 0.05), 0.95)
    num_shootings = sum(given["score"] > 0.3 for given in rows)
    assert one.videos == 60
    assert one.alerts == len(flagged)
    assert one.precision is not None
    assert one.recall is not None
    assert one.shootings is not None
    assert one.precision.value == pytest.approx(1.0, abs=0.01)
    assert one.recall.value == pytest.approx(len(flagged) / num_shootings, abs=0.02)
    assert one.shootings.value == pytest.approx(num_shootings, abs=0.2)
    assert {of.drawn for of in one.strata.values()} == {of.size for of in one.strata.values()}


def add(record: Record, folder: Path, rows: list[dict[str, Any]], settings: QueueConfig) -> int:
    """Queue a listing of its own."""
    made = queueing.make(
        score_folder.read(write_scores(folder, rows, listing_sha256=folder.name)), settings
    )
    return record.add_queue(made.key, made.about, made.tasks, made.places, made.population)[0]


def test_a_later_queue_without_an_audit_keeps_the_one_that_was_decided(tmp_path: Path) -> None:
    rows, record = [row(n) for n in range(60)], Record(tmp_path / "review")
    audited = replace(SETTINGS, num=20, audit=1.0, second=0.0)
    add(record, tmp_path / "one", rows, audited)
    for _, place in record.drawn():
        record.decide([decision(place.task)])
    (before,) = deployments(record, Votes.of(record, 0.05), 0.95)
    for number, later in enumerate((replace(audited, audit=0.0), replace(audited, seed=5)), 2):
        made = queueing.make(score_folder.read(tmp_path / "one"), later)
        record.add_queue(made.key, made.about, made.tasks, made.places, made.population)
        (after,) = deployments(record, Votes.of(record, 0.05), 0.95)
        assert after.queues == tuple(range(1, number + 1))
        assert (after.strata, after.videos) == (before.strata, 60)
        assert (after.precision, after.shootings) == (before.precision, before.shootings)


def test_what_several_listings_hold_is_counted_once(tmp_path: Path) -> None:
    rows, record = [row(n, (n % 10) / 10) for n in range(41)], Record(tmp_path / "review")
    # A copy in the second listing alone, of what the first one holds.
    copy = row(99, 0.9, pdq=rows[9]["pdq"])
    audited = replace(SETTINGS, num=20, audit=1.0, second=0.0)
    add(record, tmp_path / "one", rows[:40], audited)
    add(record, tmp_path / "two", [*rows, copy], replace(audited, audit=0.0))
    (found,) = deployments(record, Votes.of(record, 0.05), 0.95)
    assert (found.videos, found.alerts) == (41, 20)
    assert found.hours == pytest.approx(41 * 12 / 3600)
    assert sum(of.drawn for of in found.strata.values()) == 20
