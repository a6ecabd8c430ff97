"""A simulated year of review: what the order of the queue finds, and what the audit says.

    python benchmarks/review_year.py --out docs/results/benchmarks/review_year.json

Every day brings videos, of which few are real shootings and some are uploaded many times. A score
tells them apart with an overlap, and the detector alerts above a threshold. People look at as many
as fit into the minutes of 200 tasks, and err in a share of their decisions, independently of each
other. The order of `discern review queue` is set beside order by score and random order over files,
and beside order by score with one task a cluster of copies. In other years only the audit sample is
decided, by as many people as `discern review` asks, and the intervals for precision and recall are
set against the truth of the year. Everything is drawn; nothing here tells how good a detector is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from outcome import Cell, Outcome, Table, write
from review_plot import plot
from scipy.special import expit

from pipeline.assess.deployed import Estimate
from pipeline.review import agreement, drawing, estimates, ordering, queueing
from pipeline.review.calibration import Calibration, fit
from pipeline.review.estimates import Stratum
from pipeline.review.queueing import Settings, Videos

ERROR = 0.05
SHOOTINGS = 0.005
"""Share of the videos that are real shootings."""
APART = 2.5
"""Standard deviations between what the detector sees in shootings and in others."""
FALSE_ALERTS = 0.003
"""Share of other videos with an alert."""
SETTINGS = Settings(200, 0.2, 0.1, 0.0, 0, 10.0, 1.0, 0.05, 20.0)
CONFIDENCE = 0.95
REFIT_DAYS = 7
_GRID = 11

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Day:
    """What came on a day: videos, with the files that show them."""

    videos: Videos
    is_shooting: Bools
    threshold: float
    features: Floats
    file_of: Ints
    """(F,), the video that each file shows."""
    file_score: Floats


def day(rng: np.random.Generator, num_videos: int, *, with_copies: bool = True) -> Day:
    """Draw a day."""
    is_shooting = rng.random(num_videos) < SHOOTINGS
    seen = rng.normal(APART * is_shooting, 1)
    # Even odds in training: too sure of itself where shootings are rare.
    score = expit(APART * seen - APART**2 / 2)
    limit = np.sqrt(2) * _quantile(1 - 2 * FALSE_ALERTS)
    threshold = float(expit(APART * limit - APART**2 / 2))
    flagged = seen >= limit
    size = np.minimum(rng.zipf(2.2, num_videos), 200) if with_copies else np.ones(num_videos, int)
    videos = Videos(
        shown=np.arange(num_videos),
        score=score,
        flagged=flagged,
        size=size.astype(np.int64),
        review_s=SETTINGS.setup_s + rng.uniform(2, 10, num_videos),
        is_decided=np.zeros(num_videos, bool),
        rows=(),
    )
    file_of = np.repeat(np.arange(num_videos), size)
    jitter = rng.normal(0, 0.1, len(file_of))
    file_score = expit(APART * (seen[file_of] + jitter) - APART**2 / 2)
    features = rng.normal(size=(num_videos, 4)) + 2 * is_shooting[:, None]
    return Day(videos, is_shooting, threshold, features, file_of, file_score)


def _quantile(share: float) -> float:
    from scipy.special import erfinv

    return float(erfinv(share))


def by_queue(
    one: Day, rng: np.random.Generator, meaning: Calibration, settings: Settings = SETTINGS
) -> Ints:
    """The order of `discern review queue`, and after its 200 tasks the next ones by cost."""
    videos = one.videos
    drawn, _ = drawing.draw(
        drawing.strata(videos.score, videos.flagged), round(settings.num * settings.audit), rng
    )
    costs = settings.missed_cost, settings.false_cost, settings.copy_cost
    chance = meaning.probability(videos.score)
    values = ordering.value(chance, videos.flagged, videos.size, videos.review_s, *costs)
    features = one.features
    chosen = list(
        queueing.order(
            videos, values, drawn, settings, one.threshold, lambda rows: features[list(rows)]
        )
    )
    left = np.ones(len(values), bool)
    left[chosen] = False
    rest = ordering.by_value(values)
    return np.concatenate([np.array(chosen, np.int64), rest[left[rest]]])


def by_cost(one: Day, rng: np.random.Generator, meaning: Calibration) -> Ints:
    """The order of the queue without its audit and what teaches most."""
    return by_queue(one, rng, meaning, replace(SETTINGS, audit=0.0, uncertain=0.0))


def by_score_of_videos(one: Day, _: np.random.Generator, _meaning: Calibration) -> Ints:
    """The highest score first, one task a cluster of copies."""
    return ordering.by_value(one.videos.score)


def by_score(one: Day, _: np.random.Generator, _meaning: Calibration) -> Ints:
    """The highest score first, a task a file."""
    return one.file_of[ordering.by_value(one.file_score)]


def at_random(one: Day, rng: np.random.Generator, _meaning: Calibration) -> Ints:
    """Files in random order."""
    return one.file_of[rng.permutation(len(one.file_of))]


ORDERS: dict[str, Callable[[Day, np.random.Generator, Calibration], Ints]] = {
    "queue": by_queue,
    "queue by cost alone": by_cost,
    "score, a task a video": by_score_of_videos,
    "score, a task a file": by_score,
    "random": at_random,
}


def within(one: Day, order: Ints, budget_s: float) -> Ints:
    """What is looked at in so many seconds."""
    ends_s = np.cumsum(one.videos.review_s[order])
    return order[: np.searchsorted(ends_s, budget_s, side="right")]


def found_over_time(
    one: Day, order: Ints, is_of_files: bool, rng: np.random.Generator, budget_s: float
) -> tuple[Floats, Floats]:
    """Shares of shootings, and of their files, that are found after shares of the minutes.

    A task of a video settles all of its files, one of a file that file alone; a video is found with
    the first of its files.
    """
    order = within(one, order, budget_s)
    ends_s = np.cumsum(one.videos.review_s[order])
    hit = one.is_shooting[order] & (rng.random(len(order)) >= ERROR)
    settles = np.ones(len(order)) if is_of_files else one.videos.size[order]
    first = np.zeros(len(order), bool)
    first[np.unique(np.where(hit, order, -1), return_index=True)[1]] = True
    grid = np.linspace(0, budget_s, _GRID)
    until = np.searchsorted(ends_s, grid, side="right")
    files = np.concatenate([[0], np.cumsum(hit * settles)])[until]
    videos = np.concatenate([[0], np.cumsum(hit & first)])[until]
    num = max(1, int(one.is_shooting.sum()))
    num_files = max(1, int(one.videos.size[one.is_shooting].sum()))
    return videos / num, files / num_files


def votes_of(
    is_shooting: Bools, group: Ints, rng: np.random.Generator, error: float
) -> tuple[Floats, int]:
    """What is known of videos once as many people as needed have looked, and how many looks."""
    found = np.zeros(len(group), np.int64)
    denied = np.zeros(len(group), np.int64)
    is_open = np.ones(len(group), bool)
    chance = np.full(len(group), 0.5)
    num_looks = 0
    for _ in range(agreement.MOST_LOOKS):
        said = is_shooting ^ (rng.random(len(group)) < error)
        found += is_open & said
        denied += is_open & ~said
        num_looks += int(is_open.sum())
        chance = agreement.posteriors(found, denied, group, error)
        is_open &= ~agreement.is_settled(chance)
        if not is_open.any():
            break
    return chance, num_looks


@dataclass(frozen=True)
class Audited:
    """Intervals of a year and its truth, as pairs by what was estimated."""

    precision: tuple[float, Estimate]
    recall: tuple[float, Estimate | None]
    looks_a_video: float
    single: Estimate | None
    """Of the recall, from one look a video taken at its word."""


def audited_year(seed: int, num_days: int, num_videos: int) -> Audited:
    """Draw a year, and decide its audit samples."""
    rng = np.random.default_rng(seed)
    stratum, weight, truth = [], [], []
    sizes = np.zeros(len(drawing.STRATA), np.int64)
    hits = np.zeros(3)
    for _ in range(num_days):
        one = day(rng, num_videos, with_copies=False)
        strata = drawing.strata(one.videos.score, one.videos.flagged)
        drawn, chance = drawing.draw(strata, round(SETTINGS.num * SETTINGS.audit), rng)
        sizes += np.bincount(strata, minlength=len(sizes))
        stratum.append(strata[drawn])
        weight.append(1 / chance[drawn])
        truth.append(one.is_shooting[drawn])
        alerts = one.videos.flagged
        hits += [(alerts & one.is_shooting).sum(), alerts.sum(), one.is_shooting.sum()]
    group, weights = np.concatenate(stratum), np.concatenate(weight)
    is_shooting = np.concatenate(truth)
    chance, num_looks = votes_of(is_shooting, group, rng, ERROR)
    once = (is_shooting ^ (rng.random(len(group)) < ERROR)).astype(float)
    precision, recall = _estimates(sizes, group, weights, chance)
    _, single = _estimates(sizes, group, weights, once)
    true_precision, true_recall = hits[0] / hits[1], hits[0] / hits[2]
    return Audited(
        (true_precision, precision), (true_recall, recall), num_looks / len(group), single
    )


def _estimates(
    sizes: Ints, group: Ints, weights: Floats, chance: Floats
) -> tuple[Estimate, Estimate | None]:
    strata = [
        Stratum(size, chance[group == number], weights[group == number])
        for number, size in enumerate(sizes.tolist())
    ]
    alerted, *others = strata
    found = estimates.total([alerted], CONFIDENCE)
    missed = estimates.total(others, CONFIDENCE)
    return estimates.share(alerted, CONFIDENCE), estimates.recall(found, missed)


def covers(truth: float, estimate: Estimate | None) -> bool:
    """Whether an interval holds the truth."""
    return estimate is not None and estimate.interval.low <= truth <= estimate.interval.high


def compared(num_days: int, num_videos: int) -> dict[str, tuple[Floats, Floats]]:
    """Mean shares found over the minutes of a day by each order: videos, and files."""
    sums = {name: np.zeros((2, _GRID)) for name in ORDERS}
    meaning, scores, votes = Calibration(), list[Floats](), list[Bools]()
    for number in range(num_days):
        one = day(np.random.default_rng([1, number]), num_videos)
        budget_s = SETTINGS.num * (SETTINGS.setup_s + 6.0)
        for place, (name, make) in enumerate(ORDERS.items()):
            rng = np.random.default_rng([2, number, place])
            is_of_files, order = make in (by_score, at_random), make(one, rng, meaning)
            sums[name] += found_over_time(one, order, is_of_files, rng, budget_s)
            if make is by_queue:
                seen = within(one, order, budget_s)
                scores.append(one.videos.score[seen])
                votes.append(one.is_shooting[seen] ^ (rng.random(len(seen)) < ERROR))
        if number % REFIT_DAYS == 0:
            said = np.concatenate(votes)
            found, denied = said.astype(np.float64), (~said).astype(np.float64)
            meaning = fit(np.concatenate(scores), found, denied, ERROR)
    return {name: (both[0] / num_days, both[1] / num_days) for name, both in sums.items()}


def outcome(
    found: dict[str, tuple[Floats, Floats]],
    years: Sequence[Audited],
    days: tuple[int, int, int],
    figure: str | None,
) -> Outcome:
    """Tables of both."""
    num_days, num_videos, num_audited = days
    half = _GRID // 2
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            *(round(100 * float(files[place]), 1) for place in (half, -1)),
            *(round(100 * float(videos[place]), 1) for place in (half, -1)),
        )
        for name, (videos, files) in found.items()
    ]
    covered = {
        "precision": [covers(*year.precision) for year in years],
        "recall": [covers(*year.recall) for year in years],
        "recall, one look a video taken at its word": [
            covers(year.recall[0], year.single) for year in years
        ],
    }
    widths = {
        "precision": [_width(year.precision[1]) for year in years],
        "recall": [_width(year.recall[1]) for year in years],
        "recall, one look a video taken at its word": [_width(year.single) for year in years],
    }
    truths = {
        "precision": [(_value(year.precision[1]), year.precision[0]) for year in years],
        "recall": [(_value(year.recall[1]), year.recall[0]) for year in years],
        "recall, one look a video taken at its word": [
            (_value(year.single), year.recall[0]) for year in years
        ],
    }
    looks = float(np.mean([year.looks_a_video for year in years])) if years else float("nan")
    return Outcome(
        Path(__file__).name,
        f"Simulated: {num_days} days of {num_videos} videos, {100 * SHOOTINGS:g} % of them real "
        f"shootings, and reviewers who err in {100 * ERROR:g} % of their decisions; the minutes "
        f"of {SETTINGS.num} tasks a day, of which the queue gives 20 % to the audit and 10 % to "
        f"what teaches most. The years of the audit have {num_audited} videos a day, and "
        f"{looks:.2f} looks a video that is drawn.",
        [
            Table(
                "A year of review",
                (
                    "order",
                    "files of shootings found in half the minutes, %",
                    "in all minutes, %",
                    "shootings found in half the minutes, %",
                    "in all, %",
                ),
                rows,
            ),
            Table(
                f"Intervals of {100 * CONFIDENCE:g} % from the audit sample of a year",
                ("estimate", "years", "cover the truth", "mean width", "mean error"),
                [
                    (
                        name,
                        len(years),
                        int(np.sum(covered[name])),
                        round(float(np.mean(widths[name])), 4),
                        round(float(np.mean([a - b for a, b in truths[name]])), 4),
                    )
                    for name in covered
                ]
                if years
                else [],
            ),
        ],
        figure,
    )


def _width(estimate: Estimate | None) -> float:
    return float("nan") if estimate is None else estimate.interval.high - estimate.interval.low


def _value(estimate: Estimate | None) -> float:
    return float("nan") if estimate is None or estimate.value is None else estimate.value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--videos", type=int, default=10_000, help="a day, to compare orders")
    parser.add_argument("--audited", type=int, default=2000, help="a day, in years of the audit")
    parser.add_argument("--years", type=int, default=100, help="of the audit")
    parser.add_argument("--out", type=Path, help="file of JSON for docs/results.md; .svg beside it")
    options = parser.parse_args()
    found = compared(options.days, options.videos)
    for name, (videos, files) in found.items():
        print(f"{name}: files {100 * files[-1]:.1f} %, shootings {100 * videos[-1]:.1f} %")
    years = [
        audited_year(100 + number, options.days, options.audited) for number in range(options.years)
    ]
    for what in ("precision", "recall"):
        num = sum(covers(*getattr(year, what)) for year in years)
        print(f"{what}: {num} of {len(years)} years covered")
    figure = None
    if options.out:
        figure = options.out.with_suffix(".svg").name
        options.out.parent.mkdir(parents=True, exist_ok=True)
        of_files = {name: both[1] for name, both in found.items()}
        minutes = SETTINGS.num * (SETTINGS.setup_s + 6) / 60
        plot(of_files, minutes, options.out.with_suffix(".svg"))
        days = options.days, options.videos, options.audited
        write(options.out, outcome(found, years, days, figure))


if __name__ == "__main__":
    main()
