"""Who decided how much, how far people agree, and what they were shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.assess.deployed import Agreement
from pipeline.review.agreement import Votes
from pipeline.review.record import Record
from pipeline.review.tasks import Decision


@dataclass(frozen=True)
class Reviewers:
    """What is known of the people of a review.

    Attributes:
        decided: decisions of each person.
        shown: of each person, how often and for how many seconds they were shown each kind.
        num_pairs, num_different: as `Votes` has them.
        kappa: agreement of these pairs beyond chance (Cohen, 1960, with shares of both people
            together, as Scott has it); None where there is nothing to agree on.
        error: share of decisions that are wrong.
        disagreements: decisions on tasks that people decided otherwise, of origin or discharge.
    """

    decided: Mapping[str, int]
    shown: Mapping[str, Mapping[str, tuple[int, float]]]
    num_pairs: int
    num_different: int
    kappa: float | None
    error: float
    disagreements: Mapping[str, Sequence[Decision]]

    def agreement(self) -> Agreement:
        """How far they agree, without a name."""
        return Agreement(
            tuple(sorted(self.decided.values(), reverse=True)),
            self.num_pairs,
            self.num_different,
            self.kappa,
            self.error,
            len(self.disagreements),
        )


def reviewers(record: Record, votes: Votes) -> Reviewers:
    """Read what is known of them."""
    people = record.people()
    all_of = [one for of in votes.by_task.values() for one in of]
    return Reviewers(
        {who: sum(one.who == who for one in all_of) for who in people},
        {who: record.exposures(who) for who in people},
        votes.num_pairs,
        votes.num_different,
        _kappa(votes),
        votes.error,
        {
            task: of
            for task, of in sorted(votes.by_task.items())
            if len({one.origin for one in of}) > 1 or len({one.discharge for one in of}) > 1
        },
    )


def _kappa(votes: Votes) -> float | None:
    if not votes.num_pairs:
        return None
    share = votes.num_positive / (2 * votes.num_pairs)
    by_chance = share**2 + (1 - share) ** 2
    agreed = 1 - votes.num_different / votes.num_pairs
    return None if by_chance == 1 else (agreed - by_chance) / (1 - by_chance)
