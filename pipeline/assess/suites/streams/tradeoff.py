"""Weighs thresholds: false alerts against shootings that are missed or late."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.suites.streams import threshold_choice
from pipeline.assess.suites.streams.assembly import Streams, delay_quantiles
from pipeline.assess.suites.streams.outcome import Rate
from pipeline.assess.suites.streams.played_clips import PlayedClips
from pipeline.detect.alarm import Choice
from pipeline.numbers.metrics import FloatArray, IntArray

# Enough for a smooth line over the logarithm of the rate, few enough to read as a table.
_NUM_THRESHOLDS = 24


@dataclass(frozen=True)
class TradeoffCurve:
    """One smoothing over T thresholds, highest first; arrays are (T,), NaN or inf where unknown.

    Rates are false alerts per 1,000 hours with exact Poisson bounds, the rest has intervals over
    recordings.
    """

    smoothing: str
    threshold: FloatArray
    num_events: IntArray
    rate: FloatArray
    rate_low: FloatArray
    rate_high: FloatArray
    missed: FloatArray
    missed_low: FloatArray
    missed_high: FloatArray
    median_s: FloatArray
    median_low_s: FloatArray
    median_high_s: FloatArray
    p90_s: FloatArray

    def rows(self) -> list[dict[str, float | None]]:
        """A row a threshold, None for what is unknown."""
        columns = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "smoothing"}
        return [
            {
                name: float(values[i]) if np.isfinite(values[i]) else None
                for name, values in columns.items()
            }
            for i in range(self.threshold.size)
        ]


def trace(
    played: PlayedClips, streams: Streams, smoothing: str, refractory_s: float, bootstrap: Bootstrap
) -> TradeoffCurve:
    """Follow a smoothing from the lowest threshold without a false alert to the lowest level.

    The footage must hold some without real gunfire. Where it holds no shooting, missed shares and
    delays are NaN.
    """
    levels = played.reel.levels(smoothing)
    thresholds = _thresholds(levels)
    choices = [Choice(float(x), smoothing, refractory_s) for x in thresholds]
    num_events = np.array([played.reel.alerts(choice).size for choice in choices], np.int64)
    hours, confidence = played.reel.hours, bootstrap.confidence
    rates = [Rate.of(int(k), hours, confidence).measured for k in num_events]
    delays = np.stack([streams.delays(choice) for choice in choices])
    missed, missed_low, missed_high = _missed(delays, streams, bootstrap)
    median_s, median_low_s, median_high_s, p90_s = _quantiles(delays, streams, bootstrap)
    return TradeoffCurve(
        smoothing,
        thresholds,
        num_events,
        rate=np.array([one.known for one in rates]),
        rate_low=np.array([one.ends.low for one in rates]),
        rate_high=np.array([one.ends.high for one in rates]),
        missed=missed,
        missed_low=missed_low,
        missed_high=missed_high,
        median_s=median_s,
        median_low_s=median_low_s,
        median_high_s=median_high_s,
        p90_s=p90_s,
    )


def _thresholds(levels: FloatArray) -> FloatArray:
    """One above all levels, and levels at ranks that grow geometrically."""
    ordered = np.sort(levels)[::-1]
    ranks = np.unique(np.geomspace(1, ordered.size, _NUM_THRESHOLDS).round().astype(int))
    return np.append(np.nextafter(ordered[0], 2.0), np.unique(ordered[ranks - 1])[::-1])


def _missed(
    delays: FloatArray, streams: Streams, bootstrap: Bootstrap
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Share of streams without an alert at each threshold, and its interval."""
    if not delays.shape[1]:
        unknown = np.full(delays.shape[0], np.nan)
        return unknown, unknown, unknown
    missed = np.isinf(delays).astype(np.float64)

    def shares(weights: FloatArray) -> FloatArray:
        return (weights @ missed.T) / weights.sum(axis=1, keepdims=True)

    return missed.mean(axis=1), *bootstrap.band(shares, streams.clusters)


def _quantiles(
    delays: FloatArray, streams: Streams, bootstrap: Bootstrap
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Median with its interval, and 90th percentile, of the time to alert at each threshold."""
    found = np.full((4, delays.shape[0]), np.nan)
    if delays.shape[1]:
        asked = [(own, 0.5) for own in delays]
        found[:3] = np.transpose(
            threshold_choice.delay_intervals(asked, streams.clusters, bootstrap)
        )
        once = np.ones((1, delays.shape[1]))
        found[3] = [delay_quantiles(own, once, 0.9)[0] for own in delays]
    return found[0], found[1], found[2], found[3]
