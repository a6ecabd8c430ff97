"""A number with its interval, or with the reason why it has none.

What the data cannot support is no number beside a reason, never a number that looks like one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from pipeline.numbers.intervals import MIN_RECORDINGS, Interval, exact_of_all_or_none
from pipeline.numbers.rounding import rounded


@dataclass(frozen=True)
class Measured:
    """A number and its interval, both rounded as they are written."""

    value: float | None
    """None where the data cannot support any."""
    interval: Interval | None = None
    """An infinite end is none in a table and in JSON."""
    reason: str | None = None
    """The reason why there is no interval, or no value."""
    note: str | None = None
    """A remark on how the interval was found."""

    def __post_init__(self) -> None:
        if self.value is not None:
            object.__setattr__(self, "value", rounded(self.value))
        if self.interval is not None:
            low, high = rounded(self.interval.low), rounded(self.interval.high)
            object.__setattr__(self, "interval", replace(self.interval, low=low, high=high))

    @classmethod
    def unknown(cls, reason: str | None) -> Measured:
        """No number, for a reason."""
        return cls(None, reason=reason)

    @classmethod
    def estimated(cls, value: float, interval: Interval | None, weakness: str | None) -> Measured:
        """A value with its interval over resamples, as far as they bear it.

        Args:
            value: NaN where only one class is present.
            interval: None where no resample has a value.
            weakness: why an interval would mean nothing; None where it means something.
        """
        if np.isnan(value):
            return cls.unknown("only one class is present")
        if weakness is None and interval is not None and interval.low == interval.high:
            weakness = "every resample agrees: too few mistakes to measure the uncertainty"
        if weakness is not None or interval is None:
            return cls(value, reason=weakness)
        return cls(value, interval.around(value))

    @property
    def low(self) -> float | None:
        """The lower end of the interval; None without one."""
        return None if self.interval is None else _finite(self.interval.low)

    @property
    def high(self) -> float | None:
        """The upper end of the interval; None without one."""
        return None if self.interval is None else _finite(self.interval.high)

    @property
    def row(self) -> tuple[float | None, float | None, float | None]:
        """Value, lower and upper end, for a table."""
        return self.value, self.low, self.high

    @property
    def known(self) -> float:
        """The value, where there must be one."""
        assert self.value is not None
        return self.value

    @property
    def ends(self) -> Interval:
        """The interval, where there must be one."""
        assert self.interval is not None
        return self.interval

    def bounded_exactly(
        self, num_trials: int, confidence: float, unit: str = "recordings"
    ) -> Measured:
        """Give a share of none or all, which no resample can vary, its exact interval.

        Each of `num_trials` units is then one trial that went the same way. Any other share, and
        one that has an interval, stays as it is.
        """
        is_settled = self.value in (0.0, 1.0) and num_trials >= MIN_RECORDINGS
        if self.interval is not None or not is_settled:
            return self
        return Measured(
            self.value,
            exact_of_all_or_none(self.known, num_trials, confidence),
            note=f"exact binomial interval over {num_trials} {unit}",
        )

    def to_json(self) -> dict[str, Any]:
        """Keys `value`, `low` and `high`, and those of `reason` and so on that say something."""
        found: dict[str, Any] = {"value": self.value, "low": self.low, "high": self.high}
        if self.interval is None or self.reason is not None:
            found["reason"] = self.reason
        if self.note is not None:
            found["note"] = self.note
        if self.interval is not None and self.interval.num_skipped:
            found["num_resamples_skipped"] = self.interval.num_skipped
        return found


def _finite(end: float) -> float | None:
    return end if np.isfinite(end) else None


@runtime_checkable
class Written(Protocol):
    """Something with a form of its own in a JSON file."""

    def to_json(self) -> Any:
        """Return what `json.dumps` can write."""


def named_fields(one: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, as they are."""
    return {field.name: getattr(one, field.name) for field in fields(one)}


def as_json(values: Any) -> Any:
    """Nested values as `json.dumps` can write them: what has a form of its own by its `to_json`,
    other dataclasses by their fields.
    """
    if isinstance(values, Written):
        return as_json(values.to_json())
    if is_dataclass(values):
        return as_json(named_fields(values))
    if isinstance(values, Mapping):
        return {name: as_json(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [as_json(value) for value in values]
    return values
