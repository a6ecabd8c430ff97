"""The operating point: the threshold and the smoothing that keep false alerts within a cost.

It is chosen on validation clips and written to `operating_point.json` for whoever runs the weights,
later evaluations of a collection included.
An alert is one event: it covers what follows in its stream for the refractory time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import chi2

from pipeline.assess.clip_scores import Scored
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.intervals import MIN_RECORDINGS, exact_of_count
from pipeline.assess.statistics.metrics import FloatArray, IntArray
from pipeline.assess.statistics.questions import judge_share
from pipeline.assess.streaming.assembly import Streams, assemble, delay_quantiles
from pipeline.assess.streaming.footage import SMOOTHINGS, Footage, smooth
from pipeline.config import OperatingConfig
from pipeline.errors import UserError

FILE = "operating_point.json"
PER_HOURS = 1000
DELAY_SHARES = {"median_s": 0.5, "p90_s": 0.9}
"""Names of the delays that are reported, and the share of shootings that alert within each."""
_DECIMALS = 6


@dataclass(frozen=True)
class Cost:
    """What the user allows."""

    false_alerts_per_1000_h: float
    stated: str
    """The same in the words of the configuration."""


def cost_of(config: OperatingConfig) -> Cost:
    """The rate of false alerts that a configuration allows.

    Raises:
        UserError: not exactly one of the two costs is given.
    """
    rate, minutes = config.false_alerts_per_1000_h, config.reviewer_minutes_per_day
    if (rate is None) == (minutes is None):
        raise UserError(
            f"conf/evaluate.yaml: operating.false_alerts_per_1000_h is {rate} and "
            f"operating.reviewer_minutes_per_day is {minutes}; give one of them and null for the "
            "other"
        )
    if minutes is None:
        assert rate is not None
        return Cost(rate, f"{rate:g} false alerts in 1,000 hours of a stream")
    allowed = minutes / config.minutes_per_alert / (24 * config.streams) * PER_HOURS
    return Cost(
        allowed,
        f"{minutes:g} minutes a day of reviewers on false alerts, {config.minutes_per_alert:g} for "
        f"each, over {config.streams:,} streams",
    )


def rate(num_events: int, hours: float, confidence: float) -> dict[str, Any]:
    """False alerts per 1,000 hours with their exact Poisson interval (Garwood, 1936).

    The interval takes events as independent. Those within a refractory time are one event, and what
    remains of their dependence within a recording makes the true interval wider.
    """
    counted: dict[str, Any] = {"num_events": num_events, "hours": round(hours, _DECIMALS)}
    if hours <= 0:
        reason = "no footage without real gunfire"
        return {"value": None, "low": None, "high": None, "reason": reason, **counted}
    bounds, scale = exact_of_count(num_events, confidence), PER_HOURS / hours
    found = {"value": num_events * scale, "low": bounds.low * scale, "high": bounds.high * scale}
    return {name: round(value, _DECIMALS) for name, value in found.items()} | counted


@dataclass(frozen=True)
class Choice:
    """A threshold on the levels of a smoothing."""

    threshold: float
    """An alert rises at this level and above; beyond 1 it never does."""
    smoothing: str
    refractory_s: float


@dataclass(frozen=True)
class Applied:
    """What a choice does on the footage of a part."""

    footage: Footage
    streams: Streams
    alerts: IntArray
    """Clips of the reel at whose end a false alert rises."""
    delays_s: FloatArray
    """(S,) time to alert of each stream; inf where none rises before its footage ends."""
    metrics: Mapping[str, Any]
    """`false_alerts`, `missed` and the delays of `DELAY_SHARES`, each with its interval."""


def apply(choice: Choice, footage: Footage, bootstrap: Bootstrap) -> Applied:
    """Play footage at a choice.

    The rate of false alerts is over footage that is counted once, however often streams repeat it.
    Intervals of delays and of the missed share are over recordings.
    """
    reel, streams = footage.reel, assemble(footage, bootstrap.seed)
    alerts = reel.alerts(reel.levels(choice.smoothing), choice.threshold, choice.refractory_s)
    delays = streams.delays(streams.levels(choice.smoothing), choice.threshold)
    metrics = {
        "false_alerts": rate(alerts.size, reel.hours, bootstrap.confidence)
        | {"num_recordings": int(np.unique(footage.recording[reel.rows[alerts]]).size)},
        "missed": judge_share(np.isinf(delays), streams.clusters, bootstrap).to_json(),
        **_judge_delays(delays, streams.clusters, bootstrap),
        "num_shootings": int(footage.shootings.first.size),
        "num_recordings": int(np.unique(streams.clusters).size),
    }
    return Applied(footage, streams, alerts, delays, metrics)


@dataclass(frozen=True)
class OperatingPoint:
    """A choice with its reasons."""

    record: Mapping[str, Any]
    """What `operating_point.json` holds, the threshold in full.

    `expected` and `bounds` are of validation, which the choice was made on: better than on new
    footage.
    """

    @property
    def choice(self) -> Choice:
        """What is to be applied."""
        record = self.record
        return Choice(record["threshold"], record["smoothing"], record["refractory_s"])

    @property
    def supported(self) -> bool:
        """Whether validation is long enough to show that the cost is kept."""
        return bool(self.record["supported"])

    @property
    def says(self) -> str:
        """How far the cost is kept, in words."""
        return str(self.record["says"])


def read(folder: Path, weights_sha256: str) -> OperatingPoint | str:
    """What the last evaluation into a folder chose for these weights, or why there is nothing.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return f"no evaluation of the packed splits has left an {FILE}"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["weights_sha256"] != weights_sha256:
            return f"{FILE} of the last evaluation is of other weights"
        Choice(float(record["threshold"]), record["smoothing"], float(record["refractory_s"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: no operating point ({error!r}); run dvc repro evaluate or dvc checkout"
        ) from error
    return OperatingPoint(record)


def read_for(folder: Path, weights_sha256: str, config: OperatingConfig) -> OperatingPoint | str:
    """As `read`, but nothing that was chosen for another cost or refractory time than is stated.

    Raises:
        UserError: not exactly one cost is given.
    """
    found, stated = read(folder, weights_sha256), cost_of(config).stated
    if isinstance(found, str):
        return found
    if found.record["cost"]["stated"] != stated:
        return f"{FILE} was chosen for {found.record['cost']['stated']}, and not for {stated}"
    if found.choice.refractory_s != config.refractory_s:
        return f"{FILE} was chosen for another refractory time"
    return found


def first_alerts(choice: Choice, clips: pa.Table, clip_s: float) -> dict[str, float]:
    """Seconds into each file of a collection at which its first alert rises, by path.

    Args:
        choice: is applied to each file as to a stream of its own, before which it was quiet.
        clips: rows of `SCORE_SCHEMA` of one collection.
        clip_s: length of a clip; an alert rises at the end of one.

    Returns:
        Only the files with an alert.
    """
    files: dict[str, list[tuple[float, float]]] = {}
    for path, start_s, score in zip(
        *(clips[name].to_pylist() for name in ("path", "start_s", "score")), strict=True
    ):
        files.setdefault(path, []).append((start_s, score))
    found = {}
    for path, played in files.items():
        starts_s, scores = np.array(sorted(played)).T
        padded = np.concatenate([[0.0, 0.0], scores])
        levels = smooth(choice.smoothing, padded[2:], padded[1:-1], padded[:-2])
        above = np.flatnonzero(levels >= choice.threshold)
        if above.size:
            found[path] = round(float(starts_s[above[0]]) + clip_s, _DECIMALS)
    return found


def choose(
    val: Scored, clip_s: float, config: OperatingConfig, bootstrap: Bootstrap
) -> OperatingPoint | None:
    """Choose a threshold and a smoothing on validation clips of `clip_s` seconds.

    Of each smoothing the lowest threshold is taken at which the upper Poisson bound of the rate is
    within the cost, not the rate itself: the threshold is fitted to the clips that it is counted
    on (as in risk-controlling prediction sets; Bates et al., 2021). Where even no false alert at
    all could not show the cost, it is the lowest threshold without one. The smoothing is the one
    that then misses the fewest shootings, and alerts on them soonest; to choose one of three on the
    same clips is a little optimistic, which the bound does not cover.

    None where validation holds no footage without real gunfire.

    Raises:
        UserError: not exactly one cost is given.
    """
    cost = cost_of(config)
    footage = Footage.of(val.clips, clip_s, bootstrap.seed)
    hours = footage.reel.hours
    if not hours:
        return None
    mean = cost.false_alerts_per_1000_h * hours / PER_HOURS
    allowed = _allowed_events(mean, footage.reel.rows.size, bootstrap.confidence)
    supported = allowed is not None
    choices = [
        Choice(
            _lowest_threshold(footage, smoothing, allowed or 0, config.refractory_s),
            smoothing,
            config.refractory_s,
        )
        for smoothing in SMOOTHINGS
    ]
    applied = [apply(choice, footage, bootstrap) for choice in choices]
    best = min(range(len(applied)), key=lambda i: _badness(applied[i].delays_s))
    expected = applied[best].metrics
    choice, false_alerts = choices[best], expected["false_alerts"]
    return OperatingPoint(
        {
            "threshold": choice.threshold,
            "smoothing": choice.smoothing,
            "refractory_s": choice.refractory_s,
            "chosen_on": {
                "split": val.name,
                "data_sha256": val.data_sha256,
                "minutes_without_real_gunfire": round(hours * 60, _DECIMALS),
                "num_shootings": expected["num_shootings"],
            },
            "cost": {
                "false_alerts_per_1000_h": round(cost.false_alerts_per_1000_h, _DECIMALS),
                "stated": cost.stated,
            },
            "expected": {
                "false_alerts_per_1000_h": false_alerts["value"],
                "missed": expected["missed"]["value"],
                **{name: expected[name]["value"] for name in DELAY_SHARES},
            },
            "bounds": {
                "confidence": bootstrap.confidence,
                "false_alerts_per_1000_h": [false_alerts["low"], false_alerts["high"]],
                "missed": [expected["missed"]["low"], expected["missed"]["high"]],
            },
            "supported": supported,
            "says": _says(cost, supported, false_alerts, bootstrap.confidence),
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


def _says(cost: Cost, supported: bool, false_alerts: Mapping[str, Any], confidence: float) -> str:
    held = f"validation holds {span(false_alerts['hours'])} without real gunfire"
    if supported:
        return (
            f"The threshold keeps to {cost.stated}: {held}, with {false_alerts['num_events']} "
            f"false alerts at this threshold, at most {false_alerts['high']:,.1f} per 1,000 hours "
            f"at {100 * confidence:g} % confidence."
        )
    return (
        f"The data cannot show {cost.stated}: {held}; the threshold is the lowest without a false "
        f"alert there, and the rate could be as high as {false_alerts['high']:,.0f} per 1,000 "
        f"hours. It would take {span(hours_to_show(cost, confidence))} without one to show it."
    )


def _allowed_events(mean: float, most: int, confidence: float) -> int | None:
    """The most events, up to `most`, whose upper bound is within `mean`; None if not even none."""
    counts = np.arange(min(int(mean), most) + 1)
    high = np.asarray(chi2.ppf(1 - (1 - confidence) / 2, 2 * counts + 2)) / 2
    within = high <= mean
    return int(counts[within].max()) if np.any(within) else None


def _lowest_threshold(footage: Footage, smoothing: str, allowed: int, refractory_s: float) -> float:
    """The lowest threshold with at most `allowed` false alerts, just above a level that has more.

    Lower thresholds never have fewer events: the alerts are as many as fit into the crossings.
    """
    levels = footage.reel.levels(smoothing)
    candidates = np.append(0.0, np.nextafter(np.unique(levels), 2.0))
    low, high = 0, candidates.size - 1
    while low < high:
        middle = (low + high) // 2
        if footage.reel.alerts(levels, candidates[middle], refractory_s).size <= allowed:
            high = middle
        else:
            low = middle + 1
    return float(candidates[low])


def _badness(delays: FloatArray) -> tuple[float, float]:
    """What the smoothing is chosen by, smaller is better: missed share, then mean delay."""
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
) -> dict[str, dict[str, Any]]:
    """Each of `DELAY_SHARES` with its interval; None where fewer ever alert."""
    if not delays.size:
        nothing = {"value": None, "low": None, "high": None, "reason": "no shooting"}
        return {name: dict(nothing) for name in DELAY_SHARES}
    single = int(clusters.max()) + 1 < MIN_RECORDINGS
    asked = [(delays, share) for share in DELAY_SHARES.values()]
    results = {}
    for (name, share), ends in zip(
        DELAY_SHARES.items(), delay_intervals(asked, clusters, bootstrap), strict=True
    ):
        value, low, high = (_finite(end) for end in ends)
        result: dict[str, Any] = {"value": value, "low": low, "high": high}
        if value is None:
            result["reason"] = f"fewer than {100 * share:g} % alert"
        if single:
            result |= {"low": None, "high": None, "reason": "all shootings are of one recording"}
        results[name] = result
    return results


def _finite(value: float) -> float | None:
    return round(value, _DECIMALS) if np.isfinite(value) else None
