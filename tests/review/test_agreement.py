from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.review import agreement, queueing, score_folder
from pipeline.review.agreement import Votes, consensus
from pipeline.review.tasks import Decision
from tests.review.made import SETTINGS, decision, queued, row


def test_slips_are_told_from_shootings_by_how_common_these_are() -> None:
    # A thousand videos of which each person takes 50 for shootings, and three are ones.
    found = np.array([1] * 47 + [3] * 3 + [0] * 950)
    denied = np.array([0] * 47 + [0] * 3 + [1] * 950)
    chance = agreement.posteriors(found, denied, np.zeros(1000, int), 0.05)
    assert chance[:47].max() < 0.3
    assert chance[47:50].min() > 0.98
    assert chance[50:].max() < 0.001
    assert not agreement.is_settled(chance[0])


def test_groups_do_not_tell_of_each_other() -> None:
    found = np.array([1] * 10 + [1, *[0] * 99])
    group = np.array([0] * 10 + [1] * 100)
    chance = agreement.posteriors(found, 1 - found, group, 0.05)
    assert chance[0] > 0.95
    assert chance[10] < 0.5


def test_the_error_is_told_by_how_often_two_differ() -> None:
    assert agreement.error_rate(0, 0, 0.05) == pytest.approx(0.05)
    # Of 10,000 pairs that err at 8 %, 1,472 differ.
    assert agreement.error_rate(10_000, 1472, 0.05) == pytest.approx(0.08, abs=1e-3)
    assert agreement.error_rate(10, 10, 0.05) < 0.5


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["real yes"], ("real", True)),
        (["real yes", "game yes"], None),
        (["real yes", "game yes", "real no"], ("real", True)),
        (["real yes", "unsure yes"], ("real", True)),
        (["unsure unsure"], None),
        (["film no", "film unsure"], ("film", False)),
    ],
)
def test_what_most_say_counts(said: list[str], expected: tuple[str, bool] | None) -> None:
    answers = {"yes": True, "no": False, "unsure": None}
    given = [
        decision("x", who=f"p{n}", origin=one.split()[0], discharge=answers[one.split()[1]])
        for n, one in enumerate(said)
    ]
    found = consensus(given)
    assert (found and (found.origin, found.discharge)) == expected


def test_times_are_those_of_somebody_who_agrees() -> None:
    given = [
        decision("x", "Ada", discharges_s=(1.0,)),
        decision("x", "Bo", discharges_s=()),
        decision("x", "Cy", origin="game", discharges_s=(9.0,)),
    ]
    found = consensus(given)
    assert found is not None
    assert (found.discharges_s, found.who) == ((1.0,), "Ada; Bo; Cy")


@pytest.mark.parametrize(
    ("told_s", "expected"),
    [
        ([(0.5, 1.5)], (0.5, 1.5)),
        # Of one burst that all told, the times are those of the last.
        ([(0.5, 0.6, 0.7), (0.55, 0.64)], (0.55, 0.64)),
        ([(0.5, 1.5), (0.51, 1.4, 3.0), (0.5, 1.45)], (0.5, 1.45)),
        ([(0.5, 1.5), (0.5,), (), (1.5, 2.5), (1.5, 0.5)], (0.5, 1.5)),
        # Half of them saw one at 1.5, so that nobody knows what is there.
        ([(0.5,), (0.5, 1.5)], ()),
        ([(0.5,), (2.5,)], ()),
        ([(), ()], ()),
    ],
)
def test_moments_are_those_that_most_tell(
    told_s: list[tuple[float, ...]], expected: tuple[float, ...]
) -> None:
    given = [decision("x", f"p{n}", discharges_s=own) for n, own in enumerate(told_s)]
    found = consensus(given)
    assert found is not None
    assert found.discharges_s == expected


def test_a_group_with_next_to_no_shootings_is_given_few_by_another_with_many() -> None:
    # A hundred shootings among alerts, and 600 other videos with as many slips as people make.
    found = np.repeat([3, 1, 0], [100, 30, 570])
    denied = np.repeat([0, 0, 1], [100, 30, 570])
    group = np.repeat([0, 1], [100, 600])
    assert 0 < agreement.posteriors(found, denied, group, 0.05)[100:].sum() < 3


def test_more_people_are_asked_while_nothing_is_settled(tmp_path: Path) -> None:
    settings = replace(SETTINGS, num=40, audit=0.5, second=0.1)
    record = queued(tmp_path, [row(n) for n in range(60)], settings)
    places = [place for _, place, _ in record.places()]

    def is_open(task: str) -> bool:
        votes = Votes.of(record, 0.05)
        return votes.is_open(next(place for place in places if place.task == task))

    for place in places:
        assert is_open(place.task)
        quiet = {"origin": "real", "discharge": False, "discharges_s": ()}
        record.decide([decision(place.task, "Ada", **quiet)])
    # Nobody else is asked about what one person sees nothing in, but where two are to be asked.
    votes = Votes.of(record, 0.05)
    assert [p.task for p in places if votes.is_open(p)] == [p.task for p in places if p.wanted > 1]
    drawn = next(p.task for p in places if p.inclusion is not None and not p.flagged)
    record.decide([decision(drawn, "Ada")])
    # In a sample with next to no shooting, one that a single person sees is most likely a slip.
    assert is_open(drawn)
    people = ["Bo", "Cy", "Di", "Eve", "Flo"]
    asked = 0
    while is_open(drawn) and asked < len(people):
        record.decide([decision(drawn, people[asked])])
        asked += 1
    assert 1 <= asked <= 4
    chosen = next(p.task for p in places if p.inclusion is None and p.wanted > 1)
    record.decide([decision(chosen, "Bo")])
    assert is_open(chosen)
    record.decide([decision(chosen, "Cy")])
    assert not is_open(chosen)


def test_of_one_person_the_last_decision_counts(tmp_path: Path) -> None:
    record = queued(tmp_path, [row(n) for n in range(20)])
    task = record.places()[0][2].name
    first: Decision = decision(task)
    assert record.decide([first, replace(first, origin="game"), replace(first, origin="game")]) == 2
    (found,) = record.decisions()[task]
    assert (found.origin, found.queue, found.weights_sha256) == ("game", 1, "a" * 64)


def test_what_nobody_can_tell_is_undecided(tmp_path: Path) -> None:
    settings = replace(SETTINGS, num=20, audit=1.0, second=0.0)
    record = queued(tmp_path, [row(n) for n in range(40)], settings)
    places = [place for _, place, _ in record.places()]
    quiet = {"origin": "real", "discharge": False, "discharges_s": ()}
    unsure = {"origin": "unsure", "discharge": None, "discharges_s": ()}
    for place in places:
        one_cannot = place is places[0]
        record.decide([decision(place.task, "Ada", **(unsure if one_cannot else quiet))])
    votes = Votes.of(record, 0.05)
    assert votes.chance.keys() == {place.task for place in places[1:]}
    assert votes.is_open(places[0])


def test_a_later_queue_that_asks_one_person_takes_no_pair_back(tmp_path: Path) -> None:
    rows = [row(n) for n in range(10)]
    settings = replace(SETTINGS, num=10, audit=1.0, second=1.0)
    record = queued(tmp_path, rows, settings)
    for _, place in record.standing():
        record.decide([decision(place.task, "Ada"), decision(place.task, "Bo", origin="game")])
    assert Votes.of(record, 0.05).num_different == 10
    made = queueing.make(score_folder.read(tmp_path / "scores"), replace(settings, second=0.0))
    record.add_queue(made.key, made.about, made.tasks, made.places, made.population)
    assert {place.wanted for _, place in record.standing()} == {1}
    assert Votes.of(record, 0.05).num_different == 10
