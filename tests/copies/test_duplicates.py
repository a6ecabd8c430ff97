from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.copies import duplicates
from pipeline.copies.duplicates import Rule

RULE = Rule(max_distance=50, max_single_distance=40, max_half_distance=32, num_tables=24)


def random_hashes(num_clips: int, seed: int = 0, num_frames: int = 4) -> NDArray[np.uint8]:
    """uint8 (num_clips, num_frames, 2, 32) of unrelated frames."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (num_clips, num_frames, 2, 32), np.uint8)


def flipped(hashes: NDArray[np.uint8], num_bits: int, seed: int = 1) -> NDArray[np.uint8]:
    """Hashes that differ in exactly `num_bits` bits each."""
    bits = np.unpackbits(hashes, axis=-1)
    order = np.random.default_rng(seed).random(bits.shape).argsort(axis=-1)
    return np.packbits(bits ^ (order < num_bits), axis=-1)


def join(
    hashes: NDArray[np.uint8],
    labels: NDArray[np.int64] | None = None,
    rule: Rule = RULE,
    parts: NDArray[np.uint8] | None = None,
    num_threads: int = 2,
) -> list[int]:
    labels = np.arange(len(hashes)) if labels is None else labels
    found = duplicates.clusters(labels, hashes, rule, parts=parts, num_threads=num_threads)
    return found.tolist()


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a few hashes are joined by tables of random bits."""
    monkeypatch.setattr(duplicates, "EXACT_COMPARISONS", 0)


@pytest.mark.parametrize(("num_bits", "expected"), [(0, 0), (50, 0), (51, 2)])
def test_clips_within_the_distance_are_joined_and_others_not(num_bits: int, expected: int) -> None:
    hashes = random_hashes(3)
    hashes[2] = flipped(hashes[0], num_bits)
    assert join(hashes) == [0, 1, expected]


def test_a_clip_of_mirrored_frames_is_joined() -> None:
    hashes = random_hashes(3)
    hashes[2] = flipped(hashes[0, :, ::-1], 30)
    assert join(hashes) == [0, 1, 0]


@pytest.mark.parametrize(("num_bits", "expected"), [(40, 0), (41, 1)])
def test_one_frame_must_be_nearer_than_two(num_bits: int, expected: int) -> None:
    hashes = random_hashes(2)
    hashes[1, 3] = flipped(hashes[0, 0], num_bits)
    assert join(hashes) == [0, expected]


def test_one_frame_does_not_match_a_still_picture_twice() -> None:
    hashes = random_hashes(2)
    hashes[0] = hashes[0, 0]
    hashes[1, 0] = flipped(hashes[0, 0], 45)
    assert join(hashes) == [0, 1]


def test_frames_without_a_hash_join_nothing() -> None:
    hashes = random_hashes(4)
    hashes[:3] = 0
    assert join(hashes) == [0, 1, 2, 3]


def test_matches_join_what_belongs_together_anyway() -> None:
    hashes = random_hashes(6)
    hashes[3] = hashes[1]
    labels = np.array([9, 9, 4, 4, 2, 4])
    assert join(hashes, labels) == [0, 0, 0, 0, 4, 0]


def test_a_part_joins_at_its_own_distance() -> None:
    hashes, parts = random_hashes(4), np.zeros((4, 3, 32), np.uint8)
    parts[0, 1] = flipped(hashes[2, 3, 0], 40)
    parts[1, 0] = flipped(hashes[3, 3, 0], 41)
    assert join(hashes, parts=parts) == [0, 1, 0, 3]
    parts[1, 0] = hashes[3, 3, 1]
    assert join(hashes, parts=parts) == [0, 1, 0, 1]


def test_parts_do_not_join_each_other() -> None:
    parts = np.repeat(random_hashes(1, seed=7)[:, :, 0], 2, axis=0)
    assert join(random_hashes(2), parts=parts) == [0, 1]


@pytest.mark.usefixtures("searched")
@pytest.mark.parametrize("num_bits", [0, 10, 20, 30, 40, 50])
def test_the_search_finds_near_duplicates_among_many(num_bits: int) -> None:
    hashes = random_hashes(6000)
    hashes[5000:5500, :, 0] = flipped(hashes[:500, :, 0], num_bits)
    hashes[5500:, :, 1] = flipped(hashes[500:1000, :, 0], num_bits)
    hashes[5500:, :, 0] = flipped(hashes[500:1000, :, 1], num_bits, seed=2)
    found = np.array(join(hashes))
    assert (found[:5000] == np.arange(5000)).all()
    assert (found[5000:] == np.arange(1000)).mean() >= 0.99


@pytest.mark.usefixtures("searched")
def test_the_search_finds_parts_among_many() -> None:
    hashes, parts = random_hashes(3000), random_hashes(3000, 8)[:, :, 0]
    parts[:200, 2] = flipped(hashes[1000:1200, 1, 0], 20)
    found = np.array(join(hashes, parts=parts))
    assert (found[1000:1200] == np.arange(200)).mean() >= 0.99
    assert (
        np.delete(found, np.s_[1000:1200]) == np.delete(np.arange(3000), np.s_[1000:1200])
    ).all()


@pytest.mark.usefixtures("searched")
def test_threads_and_order_change_nothing() -> None:
    hashes = random_hashes(4000)
    hashes[3000:, :, 0] = flipped(hashes[:1000, :, 0], 45)
    found = join(hashes, num_threads=1)
    assert found == join(hashes, num_threads=3)
    order = np.random.default_rng(5).permutation(len(hashes))
    shuffled = np.array(join(hashes[order]))
    groups = {frozenset(np.nonzero(np.array(found) == name)[0].tolist()) for name in set(found)}
    same = {frozenset(order[shuffled == name].tolist()) for name in set(shuffled.tolist())}
    assert len(groups ^ same) <= 0.02 * len(groups)


@pytest.mark.usefixtures("searched")
def test_thousands_of_clips_with_the_same_picture_cost_little() -> None:
    hashes = random_hashes(12_000)
    hashes[:6_000, :, 0] = flipped(np.repeat(hashes[:1, :, 0], 6_000, axis=0), 4)
    join(hashes[:100])
    begin = time.process_time()
    found = np.array(join(hashes))
    assert time.process_time() - begin < 20
    assert (found[:6_000] == 0).all()
    assert (found[6_000:] == np.arange(6_000, 12_000)).all()


def test_distances_are_those_at_which_clips_are_joined() -> None:
    hashes = random_hashes(3)
    hashes[1, :2] = flipped(hashes[0, :2], 17)
    hashes[1, 2:] = 0
    hashes[2] = 0
    found = duplicates.distances(hashes[:1], hashes)
    assert found.tolist() == [[[0, 17, 256]], [[0, 17, 256]]]
    assert join(hashes, rule=Rule(17, 0, 0, 1)) == [0, 0, 2]
    assert join(hashes, rule=Rule(16, 16, 0, 1)) == [0, 1, 2]
    assert join(hashes, rule=Rule(0, 17, 0, 1)) == [0, 0, 2]


def test_the_same_half_of_two_pictures_joins_and_another_half_does_not() -> None:
    hashes = random_hashes(4)
    halves = np.stack([random_hashes(4, seed) for seed in (11, 12, 13, 14)], axis=1)
    halves[1, 2, 0, 0] = flipped(halves[0, 2, 3, 0], 32)
    halves[3, 1] = halves[2, 0]
    found = duplicates.clusters(np.arange(4), hashes, RULE, halves=halves)
    assert found.tolist() == [0, 0, 2, 3]
    halves[3, 1, 2, 1] = flipped(halves[2, 1, 0, 0], 33)
    assert duplicates.clusters(np.arange(4), hashes, RULE, halves=halves).tolist() == [0, 0, 2, 3]
    halves[3, 1, 2, 1] = flipped(halves[2, 1, 0, 0], 32)
    assert duplicates.clusters(np.arange(4), hashes, RULE, halves=halves).tolist() == [0, 0, 2, 2]
    groups = np.array([0, 1, 0, 0], np.int8)
    closest = duplicates.closest(np.arange(4), groups, hashes, RULE, halves=halves)
    assert closest.matching == (0, 1)


def test_the_closest_pair_is_of_different_groups_and_does_not_match() -> None:
    hashes = random_hashes(6)
    for clip, num_bits in ((1, 20), (2, 60), (3, 70), (4, 0)):
        hashes[clip] = flipped(hashes[0], num_bits, seed=clip)
    groups = np.array([0, 0, 1, 2, -1, 1], np.int8)
    everything = np.arange(6)
    found = duplicates.closest(everything, groups, hashes, RULE)
    assert set(found.pair or ()) == {0, 2}
    assert (found.distance, found.num_matching, found.matching) == (60, 0, None)
    crossing = duplicates.closest(everything, groups, hashes, Rule(60, 0, 0, 1))
    assert (crossing.num_matching, crossing.matching) == (2, (0, 2))
    assert crossing.distance > 60
    parts = np.zeros((6, 1, 32), np.uint8)
    parts[3] = hashes[5, 0, 0]
    assert duplicates.closest(everything, groups, hashes, RULE, parts=parts).matching == (3, 5)


def test_without_two_groups_there_is_no_closest_pair() -> None:
    found = duplicates.closest(np.arange(3), np.zeros(3, np.int8), random_hashes(3), RULE)
    assert found.pair is None


def test_first_of_names_each_label_by_its_first_place() -> None:
    assert duplicates.first_of(np.array([5, 3, 5, 1, 3])).tolist() == [0, 1, 0, 3, 1]
