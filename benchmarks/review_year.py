"""A simulated year of review: what the order of the queue finds, and what the audit says.

    python benchmarks/review_year.py --out docs/results/benchmarks/review_year.json

Every day brings videos, of which few are real shootings and some are uploaded many times. A score
tells them apart with an overlap, and the detector alerts above a threshold. People look at as many
as fit into the minutes of 200 tasks, and err in a share of their decisions, independently of each
other. The order of `discern review queue` is set beside order by score and random order over files,
and beside order by score with one task a cluster of copies, over several years of which nothing was
chosen by. In other years only the audit sample is decided, by as many people as `discern review`
asks, and the intervals for precision and recall are set against the truth of the year. Everything
is drawn; nothing here tells how good a detector is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from outcome import Outcome, Table, write
from review_audit import (
    APART,
    CONFIDENCE,
    ERROR,
    LIMIT,
    SETTINGS,
    SHOOTINGS,
    audited_year,
    audits,
    stream,
)
from review_plot import plot
from scipy.special import expit

from pipeline.config import QueueConfig
from pipeline.numbers.intervals import MIN_RECORDINGS, student_t
from pipeline.review import drawing, ordering, queueing
from pipeline.review.calibration import PlattCalibration, fit
from pipeline.review.queueing import Videos

OTHER_AUDITS = ((0.001, 365), (0.005, 60), (0.001, 60), (0.03, 60))
"""Other shares, and days on which an audit is drawn, that intervals are tried in."""
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


def day(rng: np.random.Generator, num_videos: int) -> Day:
    """Draw a day."""
    is_shooting, seen, flagged = stream(rng, num_videos, SHOOTINGS)
    # Even odds in training: too sure of itself where shootings are rare.
    score = expit(APART * seen - APART**2 / 2)
    threshold = float(expit(APART * LIMIT - APART**2 / 2))
    size = np.minimum(rng.zipf(2.2, num_videos), 200)
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


def by_queue(
    one: Day, rng: np.random.Generator, meaning: PlattCalibration, settings: QueueConfig = SETTINGS
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


def by_cost(one: Day, rng: np.random.Generator, meaning: PlattCalibration) -> Ints:
    """The order of the queue without its audit and what teaches most."""
    return by_queue(one, rng, meaning, replace(SETTINGS, audit=0.0, uncertain=0.0))


def by_files(one: Day, rng: np.random.Generator, meaning: PlattCalibration) -> Ints:
    """The order of the queue where a copy costs as much as another shooting."""
    return by_queue(one, rng, meaning, replace(SETTINGS, copy_cost=1.0))


def by_score_of_videos(one: Day, _: np.random.Generator, _meaning: PlattCalibration) -> Ints:
    """The highest score first, one task a cluster of copies."""
    return ordering.by_value(one.videos.score)


def by_score(one: Day, _: np.random.Generator, _meaning: PlattCalibration) -> Ints:
    """The highest score first, a task a file."""
    return one.file_of[ordering.by_value(one.file_score)]


def at_random(one: Day, rng: np.random.Generator, _meaning: PlattCalibration) -> Ints:
    """Files in random order."""
    return one.file_of[rng.permutation(len(one.file_of))]


ORDERS: dict[str, Callable[[Day, np.random.Generator, PlattCalibration], Ints]] = {
    "queue": by_queue,
    "queue by cost alone": by_cost,
    "queue, copy_cost=1": by_files,
    "score, a task a video": by_score_of_videos,
    "score, a task a file": by_score,
    "random": at_random,
}
BESIDE = (
    ("queue", "score, a task a file"),
    ("queue", "score, a task a video"),
    ("queue by cost alone", "score, a task a video"),
)
"""Orders that are set beside each other, year by year."""


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


def compared(num_days: int, num_videos: int, year: int = 0) -> dict[str, tuple[Floats, Floats]]:
    """Mean shares found over the minutes of a day by each order: videos, and files."""
    sums = {name: np.zeros((2, _GRID)) for name in ORDERS}
    meaning, scores, votes = PlattCalibration(), list[Floats](), list[Bools]()
    for number in range(num_days):
        one = day(np.random.default_rng([1, year, number]), num_videos)
        budget_s = SETTINGS.num * (SETTINGS.setup_s + 6.0)
        for place, (name, make) in enumerate(ORDERS.items()):
            rng = np.random.default_rng([2, year, number, place])
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


def orders(found: dict[str, Floats]) -> list[Table]:
    """What orders find, (Y, 2, steps of the minutes) of each, and how they differ."""
    half = _GRID // 2
    shown = [
        (name, *(_mean(shares[:, what, place]) for what in (1, 0) for place in (half, -1)))
        for name, shares in found.items()
    ]
    beside = [
        (name, other, *(_mean((found[name] - found[other])[:, what, -1]) for what in (1, 0)))
        for name, other in BESIDE
    ]
    return [
        Table(
            "A year of review",
            (
                "order",
                "files of shootings found in half the minutes, %",
                "in all minutes, %",
                "shootings found in half the minutes, %",
                "in all, %",
            ),
            shown,
        ),
        Table(
            "Found in all minutes beyond another order, in points of a hundred",
            ("order", "than", "files of shootings", "shootings"),
            beside,
        ),
    ]


def _mean(of_years: Floats) -> str:
    """The mean of so many years in hundredths, with Student's interval where it has one."""
    value = 100 * float(of_years.mean())
    if len(of_years) < MIN_RECORDINGS:
        return f"{value:.1f}"
    error = 100 * float(of_years.std(ddof=1)) / np.sqrt(len(of_years))
    ends = student_t(value, error, len(of_years), CONFIDENCE)
    return f"{value:.1f} ({ends.low:.1f} to {ends.high:.1f})"


def setting(options: argparse.Namespace, looks: float) -> str:
    """On what it ran, as a sentence."""
    return (
        f"Simulated: {options.compared} years of {options.days} days with {options.videos} videos, "
        f"{100 * SHOOTINGS:g} % of them real shootings, and reviewers who err in "
        f"{100 * ERROR:g} % of their decisions; the minutes of {SETTINGS.num} tasks a day, of "
        "which the queue gives 20 % to the audit and 10 % to what teaches most. Brackets are "
        f"intervals of {100 * CONFIDENCE:g} % over years. The audit is of {options.audited} videos "
        f"a day, with {looks:.2f} looks a video that is drawn."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--videos", type=int, default=10_000, help="a day, to compare orders")
    parser.add_argument("--compared", type=int, default=20, help="years, to compare orders")
    parser.add_argument("--audited", type=int, default=2000, help="a day, in years of the audit")
    parser.add_argument("--years", type=int, default=200, help="of the audit")
    parser.add_argument("--out", type=Path, help="file of JSON for docs/results.md; .svg beside it")
    options = parser.parse_args()
    told = []
    for shootings, num_days in ((SHOOTINGS, options.days), *OTHER_AUDITS):
        given = range(100, 100 + options.years)
        years = [audited_year(seed, num_days, options.audited, shootings) for seed in given]
        told.append((shootings, num_days, years))
    tables = [audits(told)]
    show(tables)
    by_year = [compared(options.days, options.videos, year) for year in range(options.compared)]
    found = {name: np.array([year[name] for year in by_year]) for name in ORDERS}
    tables = [*orders(found), *tables]
    show(tables[:-1])
    if options.out:
        picture = options.out.with_suffix(".svg")
        picture.parent.mkdir(parents=True, exist_ok=True)
        minutes = SETTINGS.num * (SETTINGS.setup_s + 6) / 60
        plot({name: shares[:, 1].mean(axis=0) for name, shares in found.items()}, minutes, picture)
        looks = float(np.mean([year.looks_a_video for year in told[0][2]]))
        write(
            options.out,
            Outcome(Path(__file__).name, setting(options, looks), tables, picture.name),
        )


def show(tables: Sequence[Table]) -> None:
    """Print them."""
    for table in tables:
        print(table.title)
        for row in (table.columns, *table.rows):
            print("  ", *row, sep="  ", flush=True)


if __name__ == "__main__":
    main()
