"""How good a deployed detector is, from all queues of its scores: what a report tells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.review import drawing, estimates
from pipeline.review.agreement import Votes
from pipeline.review.estimates import Estimate, Stratum
from pipeline.review.record import Queue, Record
from pipeline.review.tasks import Place


@dataclass(frozen=True)
class Deployment:
    """What is known of one detector on one kind of thing.

    Attributes:
        kind: files, or alerts of streams.
        weights_sha256: of the detector.
        queues: numbers of its queues.
        videos: in all of them, without copies.
        hours: of footage; None where nobody knows.
        days: on which there were alerts of streams; None of files.
        alerts, alerts_with_copies: videos, and files, with an alert.
        strata: of each how many there are, were drawn, and were decided.
        precision: share of real shootings among alerts.
        recall: share of real shootings on which there is an alert; None where what there is no
            alert on was not drawn from, as of streams.
        shootings: their number.
    """

    kind: str
    weights_sha256: str
    queues: tuple[int, ...]
    videos: int
    hours: float | None
    days: int | None
    alerts: int
    alerts_with_copies: int
    strata: Mapping[str, tuple[int, int, int]]
    precision: Estimate | None
    recall: Estimate | None
    shootings: Estimate | None


def deployments(record: Record, votes: Votes, confidence: float) -> list[Deployment]:
    """One for each detector and kind, the newest first.

    Args:
        record: of queues.
        votes: of that record.
        confidence: of intervals.
    """
    groups: dict[tuple[str, str], list[Queue]] = defaultdict(list)
    for queue in record.queues():
        groups[queue.about["kind"], queue.about["weights_sha256"]].append(queue)
    drawn: dict[int, list[Place]] = defaultdict(list)
    for number, place in record.drawn():
        drawn[number].append(place)
    found = [
        _deployment(kind, weights, queues, drawn, votes, confidence)
        for (kind, weights), queues in groups.items()
    ]
    return sorted(found, key=lambda one: -max(one.queues))


def _deployment(
    kind: str,
    weights_sha256: str,
    queues: Sequence[Queue],
    drawn: Mapping[int, Sequence[Place]],
    votes: Votes,
    confidence: float,
) -> Deployment:
    # Of the same scores one queue tells all; another one of them would count them twice.
    newest = {queue.about["scores_sha256"]: queue for queue in queues}.values()
    strata, counts = {}, {}
    for name in drawing.STRATA:
        size = sum(queue.about["strata"].get(name, (0, 0))[0] for queue in newest)
        places = [
            place
            for queue in newest
            for place in drawn.get(queue.number, ())
            if place.stratum == name
        ]
        decided = [place for place in places if place.task in votes.chance]
        if size:
            counts[name] = size, len(places), len(decided)
            strata[name] = Stratum(
                size,
                np.array([votes.chance[place.task] for place in decided]),
                np.array([1 / (place.inclusion or 1.0) for place in decided]),
            )
    alerted = strata.pop(drawing.STRATA[drawing.ALERTED], None)
    others = list(strata.values())
    found = None if alerted is None else estimates.total([alerted], confidence)
    missed = estimates.total(others, confidence) if others else None
    recall = None
    if missed is not None:
        recall = estimates.recall(found or estimates.total([], confidence), missed)
    hours = [queue.about["hours"] for queue in newest]
    days = [int(queue.about["days"]) for queue in newest if "days" in queue.about]
    return Deployment(
        kind,
        weights_sha256,
        tuple(queue.number for queue in queues),
        sum(queue.about["videos"] for queue in newest),
        None if None in hours else sum(hours),
        sum(days) or None,
        sum(queue.about["alerts"] for queue in newest),
        sum(queue.about["alerts_with_copies"] for queue in newest),
        counts,
        None if alerted is None else estimates.share(alerted, confidence),
        recall,
        None
        if missed is None
        else estimates.total([*others, *([alerted] if alerted else [])], confidence),
    )
