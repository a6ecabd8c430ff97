"""Tells how far people agree who decided of one video, and who is asked next.

A decision may be wrong. Where a real shooting is rare, most of those that one person sees in a
random sample are slips, so that a video of the audit is shown to another person until it is settled
by the odds. People are taken to err independently of each other, at one rate for all (the model of
Dawid and Skene, 1979, with a single confusion).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.review.record import Record
from pipeline.review.tasks import UNSURE, Decision, QueuePlace, answer_of
from pipeline.system.visible_text import plain

SETTLED = 0.98
"""Probability beyond which nobody else is asked, one way or the other."""
MOST_LOOKS = 6
"""People who are asked about one video, at most."""
SAME_S = 0.25
"""Times that two people tell of one discharge are hardly further apart."""
_PRIOR_PAIRS = 20
_NUM_STEPS = 200
_AS_MANY = 1
_MAX_SHOWN = 80

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def posteriors(found: Ints, denied: Ints, group: Ints, error: float) -> Floats:
    """The probability that each of N videos is a real shooting, after what people said of it.

    How common shootings are in a group is what makes its decisions most likely (EM). All groups
    together count as much as one video of each, so that no video speaks for itself alone. More
    would make shootings of a group in which there are next to none.

    Args:
        found, denied: (N,), people who said that it is one, and that it is none.
        group: (N,), of videos among which shootings are equally common, from 0.
        error: share of decisions that are wrong.
    """
    # As log odds, since many people may have decided.
    evidence = (found - denied) * np.log((1 - error) / error)
    size = np.bincount(group)
    share = np.full(len(size), 0.5)
    chance = np.full(len(found), 0.5)
    for _ in range(_NUM_STEPS):
        odds = np.log(share / (1 - share))[group] + evidence
        chance = 1 / (1 + np.exp(-np.clip(odds, -700, 700)))
        overall = (chance.sum() + 0.5) / (len(chance) + 1)
        fresh = (np.bincount(group, chance, len(size)) + _AS_MANY * overall) / (size + _AS_MANY)
        if np.allclose(fresh, share, rtol=1e-9, atol=0):
            break
        share = fresh
    return chance


def is_settled(chance: Floats | float) -> Any:
    """Return whether a probability leaves nothing to ask."""
    return (np.asarray(chance) >= SETTLED) | (np.asarray(chance) <= 1 - SETTLED)


def error_rate(num_pairs: int, num_different: int, assumed: float) -> float:
    """The share of decisions that are wrong, from pairs of people who decided of the same video.

    Two who err independently at rate e differ with 2e(1 - e). What is assumed counts as much as
    twenty pairs.
    """
    expected = 2 * assumed * (1 - assumed)
    differ = (num_different + _PRIOR_PAIRS * expected) / (num_pairs + _PRIOR_PAIRS)
    return float((1 - np.sqrt(max(0.0, 1 - 2 * min(differ, 0.48)))) / 2)


@dataclass(frozen=True)
class Votes:
    """All decisions, and what follows from them.

    Attributes:
        by_task: of each task the last decision of each person.
        error: share of decisions that are wrong.
        num_pairs, num_different: tasks of which two people were to decide and did, and on how many
            of these they said otherwise of whether it is a real shooting.
        chance: of each task that the audit drew and somebody could tell, that it is one.
    """

    by_task: Mapping[str, Sequence[Decision]]
    error: float
    num_pairs: int
    num_different: int
    num_positive: int
    chance: Mapping[str, float]

    @classmethod
    def of(cls, record: Record, assumed: float) -> Votes:
        """Read the votes of a record.

        Args:
            record: of queues and decisions.
            assumed: share of decisions that are wrong, until enough is known.
        """
        by_task = record.decisions()
        pairs = []
        # A later queue may ask one of them alone, which takes nothing back.
        for name in record.asked_of_two():
            said = [v for v in map(_vote, by_task.get(name, ())) if v is not None]
            if len(said) > 1:
                pairs.append((said[0], said[1]))
        num_different = sum(one != other for one, other in pairs)
        error = error_rate(len(pairs), num_different, assumed)
        strata: dict[str, int] = {}
        drawn: dict[str, tuple[int, int, int]] = {}
        for _, place in record.drawn():
            votes = Counter(map(_vote, by_task.get(place.task, ())))
            # Whoever could not tell says nothing: alone, that would leave the chance at the prior.
            if votes[True] or votes[False]:
                group = strata.setdefault(place.stratum, len(strata))
                drawn[place.task] = votes[True], votes[False], group
        found, denied, groups = np.array([*drawn.values()], np.int64).reshape(-1, 3).T
        chance = posteriors(found, denied, groups, error) if drawn else np.zeros(0)
        both = zip(drawn, chance.tolist(), strict=True)
        num_positive = sum(one + other for one, other in pairs)
        return cls(by_task, error, len(pairs), num_different, num_positive, dict(both))

    def of_task(self, name: str) -> Sequence[Decision]:
        """Return what was decided of a task."""
        return self.by_task.get(name, ())

    def counts(self, name: str) -> tuple[int, int]:
        """Return how many people said of a task that it is a real shooting, and that it is none."""
        votes = [_vote(one) for one in self.of_task(name)]
        return votes.count(True), votes.count(False)

    def is_open(self, place: QueuePlace) -> bool:
        """Return whether somebody else is asked about what stands at a place of a queue."""
        votes = [_vote(one) for one in self.of_task(place.task)]
        if len(votes) < place.wanted:
            return True
        if len(votes) >= MOST_LOOKS:
            return False
        if place.inclusion is not None:
            return not is_settled(self.chance.get(place.task, 0.5))
        # One more where two could not tell, or say otherwise.
        return len(votes) == 2 and votes.count(True) == votes.count(False)

    def num_asked(self, place: QueuePlace) -> int:
        """Return how many people are still asked about what stands at a place of a queue."""
        missing = place.wanted - len(self.of_task(place.task))
        return max(missing, int(self.is_open(place)))


def consensus(decisions: Sequence[Decision]) -> Decision | None:
    """Return what most people said of a video, with the moments that most of them told; None for a
    tie.

    Whoever was not sure of something has no say in it, and whoever told no time none in the times.
    Moments are the same where no gap between those that are told is longer than `SAME_S`. Where as
    many told a moment as did not, there are no times, since what is around it is not known.
    """
    origin = _most(one.origin for one in decisions if one.origin != UNSURE)
    discharge = _most(one.discharge for one in decisions if one.discharge is not None)
    if origin is None or discharge is None:
        return None
    agree = [one for one in decisions if one.origin == origin and one.discharge == discharge]
    times_s = _moments([one.discharges_s for one in agree if one.discharges_s])
    who = "; ".join(dict.fromkeys(one.who for one in decisions))
    return replace(decisions[-1], origin=origin, discharge=discharge, discharges_s=times_s, who=who)


def _moments(told_s: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Times of the moments that most people told, as the last who told each has them."""
    every = sorted((time_s, who) for who, own in enumerate(told_s) for time_s in own)
    found: list[float] = []
    gaps_s = np.diff([time_s for time_s, _ in every])
    for own in np.split(np.arange(len(every)), np.flatnonzero(gaps_s > SAME_S) + 1):
        moment = [every[number] for number in own]
        tellers = {who for _, who in moment}
        if 2 * len(tellers) == len(told_s):
            return ()
        if 2 * len(tellers) > len(told_s):
            found += [time_s for time_s, who in moment if who == max(tellers)]
    return tuple(found)


def decision_in_words(one: Decision) -> str:
    """A decision in words."""
    times = ", ".join(f"{time_s:.2f} s" for time_s in one.discharges_s)
    return f"{one.origin}, discharge {answer_of(one.discharge)}{f' at {times}' if times else ''}"


def told_by_each(decisions: Sequence[Decision]) -> str:
    """Return what each person decided, in words."""
    return "; ".join(f"{plain(one.who, _MAX_SHOWN)}: {decision_in_words(one)}" for one in decisions)


def _vote(one: Decision) -> bool | None:
    return one.is_real_shooting


def _most(given: Any) -> Any:
    """Return what was said more often than anything else; None where nothing was."""
    ranked = Counter(given).most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]
