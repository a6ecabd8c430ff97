from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from pipeline.learn.sampler import Bags, BagSampler, BalancedSampler, divide

LABELS = np.repeat([0, 1, 2, 3], [10, 30, 60, 100])
SOURCES = (np.arange(200) % 5 == 0).astype(int)


def sampler(epoch: int = 0, source_balance: float = 0.5) -> BalancedSampler:
    rows = np.arange(1000, 1200)
    made = BalancedSampler(rows, LABELS, SOURCES, source_balance=source_balance, seed=3)
    made.set_epoch(epoch)
    return made


def test_every_class_is_drawn_alike() -> None:
    counts = Counter(LABELS[sampler().draw() - 1000].tolist())
    assert counts == {0: 50, 1: 50, 2: 50, 3: 50}


@pytest.mark.parametrize(("balance", "share"), [(0.0, 1 / 5), (0.5, 1 / 3), (1.0, 1 / 2)])
def test_sources_are_balanced_as_far_as_asked(balance: float, share: float) -> None:
    drawn = SOURCES[sampler(source_balance=balance).draw() - 1000]
    assert drawn.sum() == pytest.approx(200 * share, abs=4)


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_the_odds_of_a_group_are_its_share_of_many_draws(balance: float) -> None:
    many = [sampler(epoch, balance).draw() for epoch in range(50)]
    shares = np.bincount(np.concatenate(many) - 1000, minlength=200) / 10_000
    odds = sampler(source_balance=balance).odds()
    assert odds.sum() == pytest.approx(1)
    for label in range(4):
        for source in (0, 1):
            group = (label == LABELS) & (source == SOURCES)
            assert np.ptp(odds[group]) == 0
            assert odds[group].sum() == pytest.approx(shares[group].sum(), rel=0.02)


def test_no_sample_comes_twice_before_the_others_of_its_source() -> None:
    counts = Counter((sampler().draw() - 1000).tolist())
    for label in range(4):
        for source in (0, 1):
            group = np.flatnonzero((label == LABELS) & (source == SOURCES))
            times = [counts[row] for row in group.tolist()]
            assert max(times) - min(times) <= 1


def test_fewer_samples_than_a_batch_are_drawn_more_than_once() -> None:
    labels, sources = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 0])
    made = BalancedSampler(np.arange(4), labels, sources, source_balance=0.5, seed=3, least=12)
    drawn = made.draw()
    assert len(made) == len(drawn) == 12
    assert Counter(labels[drawn].tolist()) == {0: 6, 1: 6}
    assert made.odds().shape == (4,)
    assert made.odds().sum() == pytest.approx(1)


def test_an_epoch_repeats_and_the_next_differs() -> None:
    assert (sampler(epoch=1).draw() == sampler(epoch=1).draw()).all()
    assert (sampler(epoch=1).draw() != sampler(epoch=2).draw()).any()


BAGS = np.repeat([0, 1, 2], [1, 5, 2])


def bags(most: int = 2) -> Bags:
    """Three bags, of one, of five and of two windows."""
    return Bags(np.arange(50, 58), BAGS, most)


def test_the_likeliest_windows_of_a_bag_are_chosen_by_their_odds() -> None:
    made = bags()
    made.choose(np.array([-9.0, 0.0, np.log(3), -1.0, 0.0, -2.0, 700.0, 800.0]))
    assert made.chosen is not None
    assert made.shares is not None
    # Of equals the first is chosen; a bag of one gives itself.
    assert made.chosen.tolist() == [[50, 50], [52, 51], [57, 56]]
    np.testing.assert_allclose(made.shares, [[1, 0], [0.75, 0.25], [1, 0]], atol=1e-12)


@pytest.mark.parametrize("most", [5, 6, 2**40])
def test_a_bag_gives_no_more_windows_than_the_largest_has(most: int) -> None:
    made, largest = bags(most), bags(5)
    log_odds = np.linspace(-3, 3, 8)
    for one in (made, largest):
        one.choose(log_odds)
    assert made.chosen is not None
    assert made.chosen.tolist() == [[50] * 5, [55, 54, 53, 52, 51], [57, 56, 56, 56, 56]]
    rows = made.first.repeat(100)
    drawn, expected = (one.drawn(rows, np.random.default_rng(0)) for one in (made, largest))
    assert (drawn == expected).all()


def bag_sampler(made: Bags) -> BagSampler:
    rows = np.arange(20)
    labels = np.arange(20) % 4

    def balanced(rows: np.ndarray, labels: np.ndarray, least: int) -> BalancedSampler:
        sources = np.zeros(len(rows), int)
        return BalancedSampler(rows, labels, sources, source_balance=0.5, seed=3, least=least)

    everything = balanced(np.append(rows, made.first), np.append(labels, [0, 0, 1]), 1)
    return BagSampler(balanced(rows, labels, len(everything)), everything, made)


def test_before_windows_are_chosen_what_has_a_label_is_drawn_alone() -> None:
    made = bag_sampler(bags())
    drawn = made.draw()
    assert len(drawn) == len(made) == 23
    assert set(drawn.tolist()) == set(range(20))


def test_each_bag_is_drawn_as_one_sample_and_gives_its_chosen_windows() -> None:
    made = bag_sampler(bags())
    made.bags.choose(np.array([0.0, 0.0, np.log(3), -1.0, 0.0, -2.0, 0.0, 2.0]))
    counts: Counter[int] = Counter()
    for epoch in range(400):
        made.set_epoch(epoch)
        drawn = made.draw()
        assert (drawn == made.draw()).all()
        counts.update(drawn.tolist())
    assert set(counts) == {*range(20), 50, 51, 52, 56, 57}
    # A quarter of the draws for a class, among its samples; two bags are of the first.
    assert counts[50] == pytest.approx(400 * 23 / 4 / 7, rel=0.1)
    assert counts[51] + counts[52] == pytest.approx(counts[50], rel=0.1)
    assert counts[52] / (counts[51] + counts[52]) == pytest.approx(0.75, abs=0.05)
    assert 0 < counts[56] < counts[57] / 4


def test_shares_are_whole_and_complete() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([divide(10, np.array([1.0, 2.0, 4.0]), rng) for _ in range(2000)])
    assert (shares.sum(axis=1) == 10).all()
    assert shares.mean(axis=0) == pytest.approx(10 / 7 * np.array([1, 2, 4]), abs=0.05)
