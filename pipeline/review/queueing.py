"""A queue of what is worth looking at: by cost first, then what teaches most, then the audit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config import QueueConfig
from pipeline.review import copies, drawing, ordering
from pipeline.review.calibration import PlattCalibration
from pipeline.review.population import Population, numbers
from pipeline.review.score_folder import Scores
from pipeline.review.tasks import (
    AUDIT,
    COST,
    FILE,
    UNCERTAIN,
    QueuePlace,
    ReviewTask,
    moments_of,
    task_name,
)

_SHOWN = (
    *("id", "uri", "sha256", "seconds", "score", "p_real", "p_discharge", "predicted"),
    *("alert_s", "moments", "loudness"),
)
_MOST_COPIES = 20
_LEAST_S = 1.0
AS_IT_IS = PlattCalibration()


@dataclass(frozen=True)
class NewQueue:
    """A queue, not yet kept, and what it was made of."""

    key: str
    about: dict[str, Any]
    tasks: Sequence[ReviewTask]
    places: Sequence[QueuePlace]
    population: Population


@dataclass(frozen=True)
class Audit:
    """C videos, what is drawn of them at random, and what not looking at each of them costs.

    Attributes:
        stratum, flagged: (C,) as `drawing.strata` has them.
        drawn, inclusion: (C,) as `drawing.draw` tells them.
        values: (C,) as `ordering.value` tells.
        rng: has drawn them.
    """

    stratum: NDArray[np.int64]
    flagged: NDArray[np.bool_]
    drawn: NDArray[np.bool_]
    inclusion: NDArray[np.float64]
    values: NDArray[np.float64]
    rng: np.random.Generator

    @classmethod
    def of(
        cls,
        sha256: str,
        score: NDArray[np.float64],
        flagged: NDArray[np.bool_],
        size: NDArray[np.int64],
        review_s: NDArray[np.float64],
        settings: QueueConfig,
        calibration: PlattCalibration,
    ) -> Audit:
        """Draw; the hash of what is drawn from, with the seed of the settings, decides what."""
        rng = np.random.default_rng([settings.seed, int(sha256[:12], 16)])
        stratum = drawing.strata(score, flagged)
        drawn, inclusion = drawing.draw(stratum, round(settings.num * settings.audit), rng)
        costs = settings.missed_cost, settings.false_cost, settings.copy_cost
        values = ordering.value(calibration.probability(score), flagged, size, review_s, *costs)
        return cls(stratum, flagged, drawn, inclusion, values, rng)

    def made(
        self,
        about: dict[str, Any],
        reasons: Mapping[int, tuple[str, ...]],
        tasks: Sequence[ReviewTask],
        population: Population,
        settings: QueueConfig,
    ) -> NewQueue:
        """The queue of some videos, with the reasons besides the audit for which each is there."""
        two = self.rng.choice(len(tasks), round(settings.second * len(tasks)), replace=False)
        places = [
            QueuePlace(
                position,
                task.name,
                (*reasons[video], *[AUDIT] * bool(self.drawn[video])),
                drawing.STRATA[self.stratum[video]],
                float(self.inclusion[video]) if self.drawn[video] else None,
                bool(self.flagged[video]),
                float(self.values[video]),
                1 + int(position - 1 in two),
            )
            for position, (video, task) in enumerate(zip(reasons, tasks, strict=True), 1)
        ]
        keys = [one.name for one in fields(QueueConfig)]
        about = {**about, "settings": {key: getattr(settings, key) for key in keys}}
        key = key_of(about, [task.name for task in tasks])
        return NewQueue(key, about, tasks, places, population)


def key_of(about: dict[str, Any], names: Sequence[str]) -> str:
    """Return what a queue is known by, so that an equal one is not kept twice."""
    return hashlib.sha256(json.dumps([about, list(names)], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Videos:
    """Clusters of copies, C of them, of what has a score.

    Attributes:
        shown: (C,), the row that stands for the cluster: the highest score, or one that was
            decided.
        score: (C,), the highest one.
        flagged: (C,), whether any raised an alert.
        size: (C,), how many there are.
        review_s: (C,), how long looking at the one shown takes.
        is_decided: (C,), whether somebody decided of any.
        rows: those of each, the highest score first.
    """

    shown: NDArray[np.int64]
    score: NDArray[np.float64]
    flagged: NDArray[np.bool_]
    size: NDArray[np.int64]
    review_s: NDArray[np.float64]
    is_decided: NDArray[np.bool_]
    rows: Sequence[NDArray[np.int64]] = field(repr=False)


def make(
    scores: Scores,
    settings: QueueConfig,
    decided: Iterable[ReviewTask] = (),
    calibration: PlattCalibration = AS_IT_IS,
) -> NewQueue:
    """Make a queue of a folder of scores.

    Equal scores, settings and decisions give an equal queue. What the audit draws hangs on scores
    and settings alone.

    Args:
        scores: of a listing.
        settings: how.
        decided: tasks that nobody has to look at any more.
        calibration: what a score means here.
    """
    videos = _videos(scores, settings, list(decided))
    sizes = videos.size, videos.review_s
    audit = Audit.of(scores.sha256, videos.score, videos.flagged, *sizes, settings, calibration)
    features = partial(_features, scores, videos)
    reasons = order(videos, audit.values, audit.drawn, settings, scores.threshold, features)
    about = {
        "kind": FILE,
        "scores": scores.name,
        "scores_sha256": scores.sha256,
        "weights_sha256": scores.weights_sha256,
        "threshold": scores.threshold,
        "calibration": asdict(calibration),
        "counts": scores.counts,
        "videos": len(videos.score),
        # Nobody looks for alerts in what a bank knows.
        "hours": float(np.nansum(scores.numbers("seconds")[scores.is_scored]) / 3600),
        "alerts": int(videos.flagged.sum()),
        "alerts_with_copies": int(videos.size[videos.flagged].sum()),
        "strata": _told(audit.stratum, audit.drawn),
    }
    population = _population(scores, videos, audit.stratum)
    return audit.made(about, reasons, _tasks(scores, videos, list(reasons)), population, settings)


def _population(scores: Scores, videos: Videos, stratum: NDArray[np.int64]) -> Population:
    rows = np.concatenate(videos.rows) if len(videos.rows) else np.zeros(0, np.int64)
    files = (scores.texts(column, rows.tolist()) for column in ("sha256", "uri"))
    return Population(
        numbers([task_name(sha256, str(uri)) for sha256, uri in zip(*files, strict=True)]),
        np.repeat(np.arange(len(stratum)), videos.size),
        stratum,
        np.nan_to_num(scores.numbers("seconds")[rows]),
        np.full(len(stratum), "", np.str_),
    )


def _told(stratum: NDArray[np.int64], drawn: NDArray[np.bool_]) -> dict[str, list[int]]:
    num = len(drawing.STRATA)
    members, taken = np.bincount(stratum, minlength=num), np.bincount(stratum[drawn], minlength=num)
    both = zip(members.tolist(), taken.tolist(), strict=True)
    return {name: list(pair) for name, pair in zip(drawing.STRATA, both, strict=True)}


def _videos(scores: Scores, settings: QueueConfig, decided: Sequence[ReviewTask]) -> Videos:
    rows = np.flatnonzero(scores.is_scored)
    names = scores.texts("sha256", rows.tolist())
    uris = scores.texts("uri", rows.tolist())
    same = np.unique(
        [name or f"uri:{uri}" for name, uri in zip(names, uris, strict=True)], return_inverse=True
    )[1]
    label = copies.clusters(len(rows), *scores.prints(rows), np.asarray(same, np.int64))
    score = np.nan_to_num(scores.numbers("score")[rows])
    # By the name of the task, since a relative path may be another file in another listing.
    known = {task.name for task in decided}
    is_known = np.array(
        [task_name(name, str(uri)) in known for name, uri in zip(names, uris, strict=True)], bool
    )
    # Of each cluster what was decided comes first, then the highest score.
    order = np.lexsort((np.arange(len(rows)), -score, ~is_known, label))
    starts = np.flatnonzero(np.diff(label[order], prepend=-1))
    members = np.split(order, starts[1:]) if len(order) else []
    first = order[starts]
    alert = np.isfinite(scores.numbers("alert_s")[rows])
    moments_s = scores.moments_s[rows]
    length_s = np.nan_to_num(scores.numbers("seconds")[rows])
    shown_s = np.where(moments_s > 0, moments_s, length_s)
    return Videos(
        shown=rows[first],
        score=np.maximum.reduceat(score[order], starts) if len(order) else score,
        flagged=np.logical_or.reduceat(alert[order], starts) if len(order) else alert,
        size=np.diff(np.append(starts, len(order))),
        review_s=settings.setup_s + np.maximum(shown_s[first], _LEAST_S),
        is_decided=is_known[first],
        rows=[rows[one] for one in members],
    )


def order(
    videos: Videos,
    values: NDArray[np.float64],
    drawn: NDArray[np.bool_],
    settings: QueueConfig,
    threshold: float,
    features: Callable[[Sequence[int]], NDArray[np.float64]],
) -> dict[int, tuple[str, ...]]:
    """The videos in the order of the queue, and why each is there besides the audit.

    Args:
        videos: C of them.
        values: (C,) as `ordering.value` tells.
        drawn: (C,) by the audit.
        settings: of the queue.
        threshold: at which the detector alerts.
        features: of some videos, a row each, as `ordering.spread` takes them.
    """
    todo = ~videos.is_decided
    drawn_todo = drawn & todo
    # All that was drawn stands in the queue, for the report; so it takes a place, decided or not.
    num_others = max(0, settings.num - int(drawn.sum()))
    num_uncertain = min(num_others, round(settings.num * settings.uncertain))
    ranked = [int(one) for one in ordering.by_value(values) if todo[one]]
    chosen: dict[int, tuple[str, ...]] = {}
    num_left = num_others - num_uncertain
    for video in ranked:
        if num_left == 0:
            break
        # What the audit would ask about all the same costs no place, and comes as early.
        num_left -= not drawn_todo[video]
        chosen[video] = (COST,)
    is_rest = todo & ~drawn_todo
    is_rest[list(chosen)] = False
    rest = np.flatnonzero(is_rest)
    near = rest[ordering.uncertain(videos.score[rest], threshold, num_uncertain)]
    rows = features([*near.tolist(), *chosen])
    picked = ordering.spread(rows[: len(near)], rows[len(near) :], num_uncertain)
    chosen |= dict.fromkeys(near[picked].tolist(), (UNCERTAIN,))
    # In no order of the detector's, so that those who stop early have looked at a random part.
    # What was decided already is told by that decision, and nobody is asked again.
    shuffled = np.random.default_rng(settings.seed).permutation(np.flatnonzero(drawn))
    return chosen | {int(one): () for one in shuffled if int(one) not in chosen}


def _features(scores: Scores, videos: Videos, chosen: Sequence[int]) -> NDArray[np.float64]:
    rows = scores.rows(videos.shown[list(chosen)].tolist(), ["embedding"]) if chosen else []
    lists = [row["embedding"] for row in rows]
    width = max((len(one) for one in lists if one), default=0)
    found = np.full((len(lists), width), np.nan)
    for number, one in enumerate(lists):
        if one and len(one) == width:
            found[number] = one
    return found


def _tasks(scores: Scores, videos: Videos, chosen: Sequence[int]) -> list[ReviewTask]:
    rows = scores.rows(videos.shown[list(chosen)].tolist(), _SHOWN) if chosen else []
    sources = scores.texts("source", videos.shown[list(chosen)].tolist())
    found = []
    for video, row, source in zip(chosen, rows, sources, strict=True):
        others = [one for one in videos.rows[video].tolist() if one != videos.shown[video]]
        names = scores.texts("id", others[:_MOST_COPIES])
        found.append(
            ReviewTask(
                name=task_name(row["sha256"], row["uri"]),
                kind=FILE,
                moments=moments_of(row.pop("moments")),
                copies=tuple(str(one) for one in names),
                num_copies=int(videos.size[video]),
                weights_sha256=scores.weights_sha256,
                threshold=scores.threshold,
                is_silent=row.pop("loudness") is None,
                source=source,
                **row,
            )
        )
    return found
