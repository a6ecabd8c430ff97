"""Tells who decided how much, how far people agree, and what they were shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.assess.deployment_report import Agreement
from pipeline.review.agreement import Votes
from pipeline.review.record import Record
from pipeline.review.tasks import Decision


@dataclass(frozen=True)
class Reviewers:
    """Holds what is known of the people of a review.

    Attributes:
        decided: decisions of each person.
        shown: of each person, how often and for how many seconds they were shown each kind.
        agreement: how far they agree, without a name.
        disagreements: decisions on tasks that people decided otherwise, of origin or discharge.
    """

    decided: Mapping[str, int]
    shown: Mapping[str, Mapping[str, tuple[int, float]]]
    agreement: Agreement
    disagreements: Mapping[str, Sequence[Decision]]


def reviewers(record: Record, votes: Votes) -> Reviewers:
    """Read what is known of them."""
    people = record.people()
    all_of = [one for of in votes.by_task.values() for one in of]
    decided = {who: sum(one.who == who for one in all_of) for who in people}
    disagreements = {
        task: of
        for task, of in sorted(votes.by_task.items())
        if len({one.origin for one in of}) > 1 or len({one.discharge for one in of}) > 1
    }
    agreement = Agreement(
        tuple(sorted(decided.values(), reverse=True)),
        votes.num_pairs,
        votes.num_different,
        _kappa(votes),
        votes.error,
        len(disagreements),
    )
    shown = {who: record.exposures(who) for who in people}
    return Reviewers(decided, shown, agreement, disagreements)


def _kappa(votes: Votes) -> float | None:
    if not votes.num_pairs:
        return None
    share = votes.num_positive / (2 * votes.num_pairs)
    by_chance = share**2 + (1 - share) ** 2
    agreed = 1 - votes.num_different / votes.num_pairs
    return None if by_chance == 1 else (agreed - by_chance) / (1 - by_chance)
