"""The operating point: the threshold and the smoothing that keep false alerts within a cost.

It is chosen on validation clips and written to `operating_point.json` for whoever runs the weights,
later evaluations of a collection included.
An alert is one event: it covers what follows in its stream for the refractory time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2

from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.questions import judge_share
from pipeline.assess.suites.streams.assembly import Streams, assemble, delay_quantiles
from pipeline.assess.suites.streams.outcome import DELAY_SHARES, Outcome, Rate
from pipeline.assess.suites.streams.played_clips import PlayedClips
from pipeline.config import OperatingConfig
from pipeline.detect.alarm import SMOOTHINGS, Choice
from pipeline.detect.operating_point import PER_HOURS, Cost, OperatingPoint, cost_of
from pipeline.numbers.intervals import MIN_RECORDINGS, Interval, exact_of_count
from pipeline.numbers.metrics import FloatArray, IntArray
from pipeline.numbers.rounding import rounded

LEAST_MINUTES = 10.0
"""Fewest minutes of long recordings without real gunfire for false alerts to be counted on them
alone."""


@dataclass(frozen=True)
class Applied:
    """Holds what a choice does on the footage of a part."""

    played: PlayedClips
    streams: Streams
    alerts: IntArray
    """Clips of the reel at whose end a false alert rises."""
    delays_s: FloatArray
    """(S,) time to alert of each stream; inf where none rises before its footage ends."""
    outcome: Outcome


def apply(choice: Choice, played: PlayedClips, bootstrap: Bootstrap) -> Applied:
    """Play footage at a choice.

    The rate of false alerts is over footage that is counted once, however often streams repeat it.
    Intervals of delays and of the missed share are over recordings.
    """
    reel, streams = played.reel, assemble(played, bootstrap.seed)
    alerts, delays = reel.alerts(choice), streams.delays(choice)
    num_recordings = int(np.unique(played.recording[reel.rows[alerts]]).size)
    outcome = Outcome(
        false_alerts=Rate.of(alerts.size, reel.hours, bootstrap.confidence, num_recordings),
        missed=judge_share(np.isinf(delays), streams.clusters, bootstrap),
        **_judge_delays(delays, streams.clusters, bootstrap),
        num_shootings=int(played.shootings.first.size),
        num_recordings=int(np.unique(streams.clusters).size),
    )
    return Applied(played, streams, alerts, delays, outcome)


def choose(
    val: JudgedSet,
    long: JudgedSet | None,
    clip_s: float,
    config: OperatingConfig,
    bootstrap: Bootstrap,
) -> OperatingPoint | str:
    """Choose a threshold and a smoothing on validation clips of `clip_s` seconds.

    False alerts are counted on long recordings alone where these hold `LEAST_MINUTES` without real
    gunfire: short ones are cut around what happens in them, so that a rate in an hour of them is
    that of no stream. Shootings are those of both.

    Of each smoothing the lowest threshold is taken at which the upper Poisson bound of the rate is
    within the cost, not the rate itself: the threshold is fitted to the clips that it is counted
    on (as in risk-controlling prediction sets; Bates et al., 2021). Where even no false alert at
    all could not show the cost, it is the lowest threshold without one. The smoothing is the one
    that then misses the fewest shootings, and alerts on them soonest; to choose one of three on the
    same clips is a little optimistic, which the bound does not cover.

    In words why there is none, where validation holds no footage without real gunfire.

    Raises:
        UserError: not exactly one cost is given.
    """
    cost = cost_of(config)
    watched = val.joined(long)
    played = PlayedClips.of(watched.clips, clip_s, bootstrap.seed)
    long_reel = played.reel.only(np.arange(watched.clips.num_rows) >= val.clips.num_rows)
    is_long = long_reel.hours * 60 >= LEAST_MINUTES
    if is_long:
        played = replace(played, reel=long_reel)
    hours = played.reel.hours
    if not hours:
        return "validation holds no clips without real gunfire"
    mean = cost.false_alerts_per_1000_h * hours / PER_HOURS
    allowed = _allowed_events(mean, played.reel.rows.size, bootstrap.confidence)
    supported = allowed is not None
    choices = [
        Choice(
            _lowest_threshold(played, smoothing, allowed or 0, config.refractory_s),
            smoothing,
            config.refractory_s,
        )
        for smoothing in SMOOTHINGS
    ]
    applied = [apply(choice, played, bootstrap) for choice in choices]
    best = min(range(len(applied)), key=lambda i: _badness(applied[i].delays_s))
    choice, expected = choices[best], applied[best].outcome
    rate, missed = expected.false_alerts.measured, expected.missed
    return OperatingPoint(
        {
            "threshold": choice.threshold,
            "smoothing": choice.smoothing,
            "refractory_s": choice.refractory_s,
            "chosen_on": {
                "split": val.name,
                "recordings": "long" if is_long else "all",
                "data_sha256": watched.data_sha256,
                "minutes_without_real_gunfire": rounded(hours * 60),
                "num_shootings": expected.num_shootings,
            },
            "cost": {
                "false_alerts_per_1000_h": rounded(cost.false_alerts_per_1000_h),
                "stated": cost.stated,
            },
            "expected": {
                "false_alerts_per_1000_h": rate.value,
                "missed": missed.value,
                **{name: delay.value for name, delay in expected.delays.items()},
            },
            "bounds": {
                "confidence": bootstrap.confidence,
                "false_alerts_per_1000_h": [rate.low, rate.high],
                "missed": [missed.low, missed.high],
            },
            "supported": supported,
            "says": _says(cost, supported, expected.false_alerts, is_long, bootstrap.confidence),
        }
    )


def hours_to_show(cost: Cost, confidence: float) -> float:
    """Hours without a single false alert that it takes to show that a cost is kept."""
    if not cost.false_alerts_per_1000_h:
        return float("inf")
    return exact_of_count(0, confidence).high * PER_HOURS / cost.false_alerts_per_1000_h


def span(hours: float) -> str:
    """A length of footage in words."""
    if hours == float("inf"):
        return "more hours than there are"
    if hours >= 1:
        return f"{hours:,.0f} hours" if hours >= 10 else f"{hours:.1f} hours"
    return f"{60 * hours:.1f} minutes"


def _says(cost: Cost, supported: bool, false_alerts: Rate, is_long: bool, confidence: float) -> str:
    held = "the long recordings of validation hold" if is_long else "validation holds"
    held += f" {span(false_alerts.hours)} without real gunfire"
    high = false_alerts.measured.ends.high
    if supported:
        return (
            f"The threshold keeps to {cost.stated}: {held}, with {false_alerts.num_events} "
            f"false alerts at this threshold, at most {high:,.1f} per 1,000 hours "
            f"at {100 * confidence:g} % confidence."
        )
    return (
        f"The data cannot show {cost.stated}: {held}; the threshold is the lowest without a false "
        f"alert there, and the rate could be as high as {high:,.0f} per 1,000 "
        f"hours. It would take {span(hours_to_show(cost, confidence))} without one to show it."
    )


def _allowed_events(mean: float, most: int, confidence: float) -> int | None:
    """The most events, up to `most`, whose upper bound is within `mean`; None if not even none."""
    counts = np.arange(min(int(mean), most) + 1)
    high = np.asarray(chi2.ppf(1 - (1 - confidence) / 2, 2 * counts + 2)) / 2
    within = high <= mean
    return int(counts[within].max()) if np.any(within) else None


def _lowest_threshold(
    played: PlayedClips, smoothing: str, allowed: int, refractory_s: float
) -> float:
    """The lowest threshold with at most `allowed` false alerts, just above a level that has more.

    Lower thresholds never have fewer events: the alerts are as many as fit into the crossings.
    """
    levels = played.reel.levels(smoothing)
    candidates = np.append(0.0, np.nextafter(np.unique(levels), 2.0))
    low, high = 0, candidates.size - 1
    while low < high:
        middle = (low + high) // 2
        choice = Choice(float(candidates[middle]), smoothing, refractory_s)
        if played.reel.alerts(choice).size <= allowed:
            high = middle
        else:
            low = middle + 1
    return float(candidates[low])


def _badness(delays: FloatArray) -> tuple[float, float]:
    """Return what the smoothing is chosen by, smaller is better: missed share, then mean delay."""
    if not delays.size:
        return 0.0, 0.0
    found = np.isfinite(delays)
    return float(1 - found.mean()), float(delays[found].mean()) if found.any() else 0.0


def delay_intervals(
    asked: Sequence[tuple[FloatArray, float]], clusters: IntArray, bootstrap: Bootstrap
) -> list[tuple[float, float, float]]:
    """Quantiles of times to alert and the ends of their intervals, inf for never.

    Args:
        asked: pairs of delays (S,) and the share of shootings that is to have alerted.
        clusters: (S,) numbers of the recordings, 0, 1, ... without gaps.
        bootstrap: the same resamples serve all that is asked.
    """
    drawn: list[list[FloatArray]] = [[] for _ in asked]
    for weights in bootstrap.weights(clusters):
        for own, (delays, share) in zip(drawn, asked, strict=True):
            own.append(delay_quantiles(delays, weights, share))
    tail = (1 - bootstrap.confidence) / 2
    found = []
    for own, (delays, share) in zip(drawn, asked, strict=True):
        value = delay_quantiles(delays, np.ones((1, delays.size)), share)[0]
        ordered = np.sort(np.concatenate(own))
        # Whole order statistics, since nothing lies between a delay and never.
        low = ordered[int(np.floor(tail * (ordered.size - 1)))]
        high = ordered[int(np.ceil((1 - tail) * (ordered.size - 1)))]
        found.append((float(value), float(low), float(high)))
    return found


def _judge_delays(
    delays: FloatArray, clusters: IntArray, bootstrap: Bootstrap
) -> dict[str, Measured]:
    """Each of `DELAY_SHARES` with its interval; no value where fewer ever alert."""
    if not delays.size:
        return dict.fromkeys(DELAY_SHARES, Measured.unknown("no shooting"))
    is_single = int(clusters.max()) + 1 < MIN_RECORDINGS
    asked = [(delays, share) for share in DELAY_SHARES.values()]
    found = {}
    for (name, share), (value, low, high) in zip(
        DELAY_SHARES.items(), delay_intervals(asked, clusters, bootstrap), strict=True
    ):
        known = value if np.isfinite(value) else None
        if is_single:
            found[name] = Measured(known, reason="all shootings are of one recording")
        else:
            few = None if known is not None else f"fewer than {100 * share:g} % alert"
            found[name] = Measured(known, Interval(low, high), few)
    return found
