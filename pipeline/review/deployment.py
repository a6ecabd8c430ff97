"""Tells from all queues of its scores how good a deployed detector is, for a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.assess import deployment_report
from pipeline.assess.deployment_report import Deployment
from pipeline.errors import UserError
from pipeline.review import drawing, estimates
from pipeline.review.agreement import Votes
from pipeline.review.estimates import WeightedStratum
from pipeline.review.population import Population, VideoSubset
from pipeline.review.record import Queue, Record
from pipeline.review.tasks import QueuePlace


def deployments(record: Record, votes: Votes, confidence: float) -> list[Deployment]:
    """One for each detector and kind, the newest first.

    Args:
        record: of queues.
        votes: of that record.
        confidence: of intervals.

    Raises:
        UserError: a queue does not tell what it was made of.
    """
    groups: dict[tuple[str, str], list[Queue]] = defaultdict(list)
    for queue in record.queues():
        if queue.about["kind"] not in deployment_report.KINDS:
            # It asks when, of what is known to be a discharge.
            continue
        groups[queue.about["kind"], queue.about["weights_sha256"]].append(queue)
    drawn: dict[int, list[QueuePlace]] = defaultdict(list)
    for number, place in record.drawn():
        drawn[number].append(place)
    populations = record.populations()
    found = [
        _deployment(kind, weights, _parts(queues, populations, drawn, votes), votes, confidence)
        for (kind, weights), queues in groups.items()
    ]
    return sorted(found, key=lambda one: -max(one.queues))


@dataclass(frozen=True)
class _Counted:
    """What is counted of a queue: some of its videos, and those of them that the audit drew."""

    queue: Queue
    subset: VideoSubset
    drawn: Sequence[QueuePlace]


def _parts(
    queues: Sequence[Queue],
    populations: Mapping[int, Population],
    drawn: Mapping[int, Sequence[QueuePlace]],
    votes: Votes,
) -> list[_Counted]:
    """Count each video in one queue: the one whose audit is decided furthest, then the newest.

    What was drawn of a queue is drawn at random of each part of it as well, and how much was
    decided says nothing of what.
    """

    def rank(queue: Queue) -> tuple[int, int, int]:
        places = drawn.get(queue.number, ())
        decided = sum(place.task in votes.chance for place in places)
        return -decided, -len(places), -queue.number

    found, seen = [], np.zeros(0, np.uint64)
    for queue in sorted(queues, key=rank):
        population = populations.get(queue.number)
        if population is None:
            raise UserError(
                f"queue {queue.number}: was kept by an earlier version, which did not keep what it "
                "was made of; begin another folder of reviews (paths.review=FOLDER)"
            )
        subset = population.unseen(seen)
        seen = np.union1d(seen, population.names)
        names = subset.names
        here = [one for one in drawn.get(queue.number, ()) if int(one.task, 16) in names]
        found.append(_Counted(queue, subset, here))
    return found


def _deployment(
    kind: str,
    weights_sha256: str,
    counted: Sequence[_Counted],
    votes: Votes,
    confidence: float,
) -> Deployment:
    strata, counts = {}, {}
    sizes = np.sum([one.subset.sizes for one in counted], axis=0).tolist()
    for name, size in zip(drawing.STRATA, sizes, strict=True):
        places = [place for one in counted for place in one.drawn if place.stratum == name]
        decided = [place for place in places if place.task in votes.chance]
        if size:
            counts[name] = deployment_report.StratumCounts(size, len(places), len(decided))
            strata[name] = WeightedStratum(
                size,
                np.array([votes.chance[place.task] for place in decided]),
                np.array([1 / (place.inclusion or 1.0) for place in decided]),
            )
    alerted = strata.pop(drawing.STRATA[drawing.ALERTED], None)
    others = list(strata.values())
    precision = None if alerted is None else estimates.share(alerted, confidence)
    found = None if alerted is None or precision is None else precision.times(alerted.size)
    missed = estimates.total(others, confidence) if others else None
    recall = None
    if missed is not None:
        recall = estimates.recall(found or estimates.total([], confidence), missed)
    hours: float | None = 0.0
    for one in counted:
        whole = one.queue.about["hours"]
        hours = None if hours is None or whole is None else hours + whole * one.subset.share_of_time
    return Deployment(
        kind,
        weights_sha256,
        tuple(sorted(one.queue.number for one in counted)),
        sum(sizes),
        hours,
        len(set().union(*(one.subset.days for one in counted))) or None,
        sizes[drawing.ALERTED],
        sum(one.subset.num_alerted_files for one in counted),
        counts,
        precision,
        recall,
        None
        if missed is None
        else estimates.total([*others, *([alerted] if alerted else [])], confidence),
    )
