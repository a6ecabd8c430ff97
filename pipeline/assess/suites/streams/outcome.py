"""Tells in numbers what an operating point does on footage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.assess.statistics.measurement import Measured
from pipeline.detect.operating_point import PER_HOURS
from pipeline.numbers.intervals import Interval, exact_of_count
from pipeline.numbers.rounding import rounded

DELAY_SHARES = {"median_s": 0.5, "p90_s": 0.9}
"""Names of the delays that are reported, and the share of shootings that alert within each."""


@dataclass(frozen=True)
class Rate:
    """False alerts and the footage that they rose on."""

    measured: Measured
    """Per 1,000 hours, with exact Poisson bounds."""
    num_events: int
    hours: float
    """Footage without real gunfire, rounded as it is written."""
    num_recordings: int | None = None
    """Recordings that hold a false alert; None where nobody asked."""

    @classmethod
    def of(
        cls, num_events: int, hours: float, confidence: float, num_recordings: int | None = None
    ) -> Rate:
        """Bound a rate by the exact interval of its count (Garwood, 1936).

        The interval takes events as independent. Those within a refractory time are one event, and
        what remains of their dependence within a recording makes the true interval wider.
        """
        if hours <= 0:
            measured = Measured.unknown("no footage without real gunfire")
        else:
            bounds, scale = exact_of_count(num_events, confidence), PER_HOURS / hours
            ends = Interval(bounds.low * scale, bounds.high * scale)
            measured = Measured(num_events * scale, ends)
        return cls(measured, num_events, rounded(hours), num_recordings)

    def to_json(self) -> dict[str, Any]:
        """Return the keys of the measured number and the counts behind it."""
        found = self.measured.to_json() | {"num_events": self.num_events, "hours": self.hours}
        if self.num_recordings is not None:
            found["num_recordings"] = self.num_recordings
        return found


@dataclass(frozen=True)
class Outcome:
    """False alerts, missed shootings and delays; intervals of the latter are over recordings."""

    false_alerts: Rate
    missed: Measured
    """Share of streams whose shooting raises no alert before its footage ends."""
    median_s: Measured
    """Within so long half of the shootings alert; None where fewer ever do."""
    p90_s: Measured
    """Within so long nine in ten of the shootings alert; None where fewer ever do."""
    num_shootings: int
    num_recordings: int
    """Recordings that show them."""

    @property
    def delays(self) -> dict[str, Measured]:
        """The delays of `DELAY_SHARES`."""
        return {"median_s": self.median_s, "p90_s": self.p90_s}
