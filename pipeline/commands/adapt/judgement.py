"""Judges what a team's own files gain: a learning curve, and every file by what never saw it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.placements import place
from pipeline.commands.adapt.footage import CollectionClips
from pipeline.config import TrainConfig
from pipeline.learn.origin import Floats, Layer, OriginExamples, fit_layer
from pipeline.numbers import metrics
from pipeline.numbers.intervals import MIN_RECORDINGS

MAX_FPR = 0.01
MOST_FOLDS = 20
"""Times that sources are left out; one at a time where there are no more of them."""
ALL = "all"
"""Real against everything fictional, beside real against one fictional origin."""
CONFIDENCE = 0.95
"""Of the interval of a gain."""
_FEWEST = 4
_HELD_OUT = 1 / 3
Bools = NDArray[np.bool_]
Fit = Callable[[OriginExamples, OriginExamples], Layer | None]
"""From the footage of training and of the collection to a layer; None where it can make none."""
Task = TypeVar("Task")


@dataclass(frozen=True)
class RankingResult:
    """Tells how well real files rank above fictional ones, and what that rests on."""

    against: str
    """`ALL` or a fictional origin."""
    auroc: float
    found: float
    """Share of the real files above all but 1 % of the fictional ones."""
    num_real: int
    num_fictional: int
    num_sources: int


@dataclass(frozen=True)
class AurocGain:
    """Tells how much higher an AUROC is than one before, on the same files."""

    measured: Measured
    """With its interval over sources, by DeLong's variance and Student's t."""
    error: float
    """Its standard error over sources."""
    num_sources: int
    """Of the answer that has fewer; the error of one means nothing."""

    @property
    def exceeds_error(self) -> bool:
        """Whether it is larger than its standard error, where that means something."""
        return self.num_sources >= MIN_RECORDINGS and self.measured.known > self.error

    @property
    def is_shown(self) -> bool:
        """Whether all of its interval lies above 0."""
        return self.measured.low is not None and self.measured.low > 0


@dataclass(frozen=True)
class Point:
    """One draw of the learning curve: what so many drawn files make of those held out."""

    num_files: int
    draw: int
    num_drawn_sources: int
    found: RankingResult


def judge(
    log_odds: Floats, origins: NDArray[np.str_], sources: NDArray[np.str_]
) -> list[RankingResult]:
    """Judge files by their log odds of real, (F,); nothing where all are real or none is.

    Files that are NaN were not judged.
    """
    told = ~np.isnan(log_odds)
    log_odds, origins, sources = log_odds[told], origins[told], sources[told]
    is_real = origins == "real"
    fictional = sorted(set(origins[~is_real].tolist()))
    if not is_real.any() or not fictional:
        return []
    found = []
    for against in [ALL, *fictional]:
        chosen = is_real | (origins == against) | (against == ALL)
        ranking = metrics.Ranking(is_real[chosen], log_odds[chosen])
        counts = ranking.counts(np.ones((1, int(chosen.sum()))))
        found.append(
            RankingResult(
                against,
                float(metrics.auroc(counts)[0]),
                float(metrics.tpr_at_fpr(counts, MAX_FPR)[0]),
                int(is_real.sum()),
                int((chosen & ~is_real).sum()),
                len(np.unique(sources[chosen])),
            )
        )
    return found


def gains(
    was: Floats, now: Floats, origins: NDArray[np.str_], sources: NDArray[np.str_]
) -> dict[str, AurocGain]:
    """What is gained from `was` to `now`, by what real is told from.

    Both are log odds of real of files, (F,), of which those are judged that `now` has no NaN for.
    Nothing where all of these are real or none is.
    """
    told = ~np.isnan(now)
    is_real, groups = origins == "real", np.unique(sources, return_inverse=True)[1]
    found = {}
    for against in [ALL, *sorted(set(origins[told & ~is_real].tolist()))]:
        chosen = told & (is_real | (origins == against) | (against == ALL))
        before, after = (
            place(is_real[chosen], one[chosen], groups[chosen], len(groups)) for one in (was, now)
        )
        if before and after:
            gain = after.beyond(before, CONFIDENCE, "source")
            interval = gain.interval and gain.interval.within(-1.0, 1.0)
            error = float(np.sqrt(np.square(after.influence - before.influence).sum()))
            num_sources = min(before.num_units, after.num_units)
            found[against] = AurocGain(replace(gain, interval=interval), error, num_sources)
    return found


def left_out_once(
    training: OriginExamples, own: CollectionClips, fit: Fit, num_workers: int
) -> Floats:
    """Log odds of real of files, (F,), from layers that saw nothing of their sources.

    Each source of the collection is left out once, alone where there are at most `MOST_FOLDS`, of
    all that `fit` is given. NaN where nothing of the collection is left then, or where it can make
    nothing of the rest.
    """
    names = np.unique(own.examples.sources)
    parts = np.array_split(names, min(len(names), MOST_FOLDS))
    found = np.full(len(own.clips), np.nan)

    def leave_out(part: NDArray[np.str_]) -> None:
        is_out = np.isin(own.examples.sources, part)
        if is_out.all():
            return
        rest = training.take(~np.isin(training.sources, part))
        if layer := fit(rest, own.examples.take(~is_out)):
            found[is_out] = layer.log_odds(own.examples.values[is_out])

    _each(leave_out, parts, num_workers)
    return own.by_file(found)


def why_no_curve(own: CollectionClips, num_draws: int, seed: int) -> str:
    """Return why a collection gives no learning curve; empty where it gives one."""
    is_real = own.origins == "real"
    if is_real.all() or not is_real.any():
        side = "real" if is_real.all() else "fictional"
        number = len(own.files)
        told = f"The only file is {side}" if number == 1 else f"All {number} files are {side}"
        return (
            f"{told}, so that there is nothing to tell {'it' if number == 1 else 'them'} from, "
            "and no learning curve. Add files of the other side."
        )
    if not any(_drawn(own, seed, number).drawable.size for number in range(num_draws)):
        return (
            "Each side has one source only, which is either learned from or judged, so that there "
            "is no learning curve. Add files of other sources."
        )
    return ""


def learning_curve(
    training: OriginExamples,
    own: CollectionClips,
    before: Layer,
    cfg: TrainConfig,
    *,
    num_draws: int,
    seed: int,
    num_workers: int,
) -> list[Point]:
    """Judge layers that learned from 0, 4, 8, 16, ... files beside the footage of training.

    In each draw a third of the sources of either side is held out and judged, and files are drawn
    from the others: one of each source, then a second one of each, and so on. The files of a
    smaller number are among those of a larger one. With 0 files it is the detector as it was. What
    training has of a source of the same name as one held out is left out too. A draw that leaves no
    file to learn from, where a source names files of both sides, is none.
    """
    every = ((number, _drawn(own, seed, number)) for number in range(num_draws))
    drawn = {number: one for number, one in every if one.drawable.size}
    sizes = list(_sizes(min(one.drawable.size for one in drawn.values())))
    found: dict[tuple[int, int], list[Point]] = {}

    def judge_one(task: tuple[int, int]) -> None:
        size, number = task
        one = drawn[number]
        chosen = one.drawable[:size]
        layer = before
        if size:
            rest = training.take(~np.isin(training.sources, own.sources[one.held_out]))
            rest = rest.joined(own.examples.take(np.isin(own.file_of, chosen)))
            if rest.is_real.all() or not rest.is_real.any():
                return
            odds = rest.odds(cfg.source_balance)
            layer = fit_layer(rest.values, rest.is_real, odds, cfg.origin.penalty)
        log_odds = own.by_file(layer.log_odds(own.examples.values))[one.held_out]
        sources = own.sources[one.held_out]
        found[task] = [
            Point(size, number, len(np.unique(own.sources[chosen])), judged)
            for judged in judge(log_odds, own.origins[one.held_out], sources)
        ]

    tasks = [(size, number) for size in sizes for number in drawn]
    _each(judge_one, tasks, num_workers)
    return [point for task in tasks for point in found.get(task, [])]


@dataclass(frozen=True)
class _Draw:
    held_out: Bools
    """(F,): files that are judged."""
    drawable: NDArray[np.int64]
    """Numbers of the others, in the order in which they are drawn."""


def _drawn(own: CollectionClips, seed: int, number: int) -> _Draw:
    rng = np.random.default_rng([seed, number])
    sources, is_real = own.sources, own.origins == "real"
    out: list[str] = []
    for answer in (True, False):
        names = rng.permutation(np.unique(sources[is_real == answer]))
        out += names[: max(1, round(_HELD_OUT * len(names)))].tolist()
    held_out = np.isin(sources, out)
    order = []
    for turn_of, name in enumerate(rng.permutation(np.unique(sources[~held_out]))):
        files = rng.permutation(np.flatnonzero(sources == name))
        order += [(turn, turn_of, int(file)) for turn, file in enumerate(files)]
    return _Draw(held_out, np.array([file for _, _, file in sorted(order)], np.int64))


def _sizes(most: int) -> Iterator[int]:
    yield 0
    size = _FEWEST
    while size < most:
        yield size
        size *= 2
    yield most


def _each(work: Callable[[Task], None], tasks: Sequence[Task], num_workers: int) -> None:
    # The limit that each fit sets for itself must not be lifted by another that ends.
    with threadpool_limits(1), ThreadPoolExecutor(max(1, num_workers)) as pool:
        list(pool.map(work, tasks))
