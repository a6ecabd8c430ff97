"""Reads what `discern review report` found of a detector where it runs.

An evaluation presents it. The file names no person, no folder and no video, so that it may be
versioned with everything else that a report is made from.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from pipeline.errors import UserError
from pipeline.numbers.intervals import Interval

REPORT = "report.json"
"""The name of the file in the folder that evaluations look into."""
VERSION = 1
FILE, ALERT = KINDS = ("file", "alert")
"""What is scored: files, and alerts of streams."""
WITH_ALERT = "alerted"
"""The stratum of what there is an alert on."""
SHIFTED = 0.2
"""A population stability index beyond which a distribution is usually said to have shifted."""
_LARGEST = 2**53
"""Whole numbers up to it are the same as floats."""
_LEAST_HOURS = 1e-6
_ROUNDING = 1e-9
"""What sums of floats may be off by, as a share of them."""
_KINDS: Mapping[type, str] = {str: "text", int: "whole number", float: "number"}


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, or with bounds alone where it is not known yet (None)."""

    value: float | None
    interval: Interval

    def __post_init__(self) -> None:
        low, high = self.interval.low, self.interval.high
        _require(low <= high, "interval", f"from {low} to {high}")
        _require(self.interval.num_skipped >= 0, "num_skipped", self.interval.num_skipped)
        if self.value is not None:
            slack = _ROUNDING * max(1.0, abs(self.value))
            is_inside = low - slack <= self.value <= high + slack
            _require(is_inside, "value", f"{self.value} with an interval from {low} to {high}")

    def times(self, factor: float) -> Estimate:
        """Return the estimate of `factor` times what this one is of."""
        ends = factor * self.interval.low, factor * self.interval.high
        return Estimate(None if self.value is None else factor * self.value, Interval(*ends))


@dataclass(frozen=True)
class StratumCounts:
    """Videos of a stratum, those of them that were drawn at random, and those decided of these."""

    size: int
    drawn: int
    decided: int

    def __post_init__(self) -> None:
        good = 0 <= self.decided <= self.drawn <= self.size
        _require(good, "size, drawn, decided", (self.size, self.drawn, self.decided))


@dataclass(frozen=True)
class Deployment:
    """Holds what is known of one detector on one kind of thing.

    Attributes:
        kind: files, or alerts of streams.
        weights_sha256: of the detector.
        queues: numbers of its queues.
        videos: in all of them, without copies, each counted once.
        hours: of footage; None where nobody knows.
        days: on which there were alerts of streams; None of files.
        alerts, alerts_with_copies: videos, and files, with an alert.
        strata: by name, alerts first.
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
    strata: Mapping[str, StratumCounts]
    precision: Estimate | None
    recall: Estimate | None
    shootings: Estimate | None

    def __post_init__(self) -> None:
        _require(self.kind in KINDS, "kind", self.kind)
        is_set = len(set(self.queues)) == len(self.queues) and min(self.queues, default=0) > 0
        _require(is_set, "queues", list(self.queues))
        for name in ("videos", "alerts", "alerts_with_copies"):
            _require(getattr(self, name) >= 0, name, getattr(self, name))
        _require(self.alerts <= self.videos, "alerts", f"{self.alerts} of {self.videos} videos")
        copies = f"{self.alerts_with_copies} where alerts without copies is {self.alerts}"
        _require(self.alerts_with_copies >= self.alerts, "alerts_with_copies", copies)
        size = sum(one.size for one in self.strata.values())
        _require(size == self.videos, "strata", f"of {size} videos where videos is {self.videos}")
        long_enough = self.hours is None or self.hours == 0 or self.hours >= _LEAST_HOURS
        _require(long_enough, "hours", self.hours)
        _require(self.days is None or self.days > 0, "days", self.days)
        alerted = self.strata.get(WITH_ALERT, StratumCounts(0, 0, 0)).size
        told = f"of {alerted} videos with an alert where alerts is {self.alerts}"
        _require(alerted == self.alerts, "strata", told)
        for name in ("precision", "recall"):
            one = getattr(self, name)
            if one is not None:
                ends = (one.interval.low, one.interval.high, one.value or 0.0)
                _require(all(0 <= end <= 1 for end in ends), name, ends)
        if self.shootings is not None:
            within = self.shootings.interval
            good = within.low >= 0 and within.high <= self.videos * (1 + _ROUNDING)
            told = f"from {within.low} to {within.high} of {self.videos} videos"
            _require(good, "shootings", told)
        for name in ("recall", "shootings"):
            # What streams raised no alert on is kept by nobody.
            is_known = self.kind == ALERT and getattr(self, name) is not None
            _require(not is_known, name, "told of alerts of streams")


@dataclass(frozen=True)
class Agreement:
    """Tells how far people agree.

    Attributes:
        decisions: of each person, the most first; nobody is named.
        num_pairs, num_different: tasks of which two people were to decide and did, and on how many
            of these they said otherwise of whether it is a real shooting.
        kappa: agreement of these pairs beyond chance (Cohen, 1960, with shares of both people
            together, as Scott has it); None where there is nothing to agree on.
        error: share of decisions that are taken to be wrong.
        num_disputed: tasks that people decided otherwise, of origin or discharge.
    """

    decisions: tuple[int, ...]
    num_pairs: int
    num_different: int
    kappa: float | None
    error: float
    num_disputed: int

    def __post_init__(self) -> None:
        _require(min(self.decisions, default=0) >= 0, "decisions", list(self.decisions))
        good = 0 <= self.num_different <= self.num_pairs
        _require(good, "num_different", f"{self.num_different} of {self.num_pairs}")
        _require(self.kappa is None or -1 <= self.kappa <= 1, "kappa", self.kappa)
        _require(0 <= self.error <= 1, "error", self.error)
        total = sum(self.decisions)
        disputed = f"{self.num_disputed} of {total} decisions"
        _require(0 <= 2 * self.num_disputed <= total, "num_disputed", disputed)


@dataclass(frozen=True)
class Shift:
    """Tells how one thing is distributed then and now.

    Attributes:
        name: what it is.
        before, after: medians, or shares of the files that have sound.
        index: population stability index, over tenths of what was before.
        distance: Kolmogorov's: the largest difference of the shares below any value.
    """

    name: str
    before: float
    after: float
    index: float
    distance: float

    def __post_init__(self) -> None:
        _require(self.index >= 0, "index", self.index)
        _require(0 <= self.distance <= 1, "distance", self.distance)


@dataclass(frozen=True)
class SourceShare:
    """The share of files that a source had then, and has now."""

    name: str
    before: float
    after: float

    def __post_init__(self) -> None:
        for side in ("before", "after"):
            _require(0 <= getattr(self, side) <= 1, side, getattr(self, side))


@dataclass(frozen=True)
class Drift:
    """Tells how what is scored now differs from what was before.

    Attributes:
        weights_sha256: of the detector that scored what there is now.
        against: what it is compared with, in words.
        shifts: of scores and inputs.
        sources: their shares, where files are known by them.
        sources_index: population stability index of these shares; None where nobody knows them.
    """

    weights_sha256: str
    against: str
    shifts: tuple[Shift, ...]
    sources: tuple[SourceShare, ...]
    sources_index: float | None

    def __post_init__(self) -> None:
        for side in ("before", "after") if self.sources else ():
            total = sum(getattr(one, side) for one in self.sources)
            told = f"{total} {side} in all, and not 1"
            _require(math.isclose(total, 1, rel_tol=_ROUNDING), "sources", told)
        _require(
            self.sources_index is None or self.sources_index >= 0,
            "sources_index",
            self.sources_index,
        )


@dataclass(frozen=True)
class Deployed:
    """The whole file; `confidence` is that of its intervals."""

    version: int
    confidence: float
    deployments: tuple[Deployment, ...]
    agreement: Agreement
    drift: Drift | None

    def __post_init__(self) -> None:
        _require(0 < self.confidence < 1, "confidence", self.confidence)
        known = [(one.kind, one.weights_sha256) for one in self.deployments]
        twice = [one for one in known if known.count(one) > 1]
        _require(not twice, "deployments", f"twice of {twice[:1]}")

    def text(self) -> str:
        """The text of the file."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read(folder: Path) -> Deployed | None:
    """Return what a folder says of the detector where it runs; None where it says nothing.

    Raises:
        UserError: the file is not readable, of another version, or holds what cannot be.
    """
    path = folder / REPORT
    remedy = f"write it again: discern review report SCORES out={path}"
    try:
        told = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
        version = told.get("version") if isinstance(told, dict) else None
        if version != VERSION:
            raise ValueError(f"version is {version!r} and not {VERSION}")
        found: Deployed = _typed(Deployed, told, "")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: {error}; {remedy}") from error
    return found


def _require(good: bool, name: str, value: object) -> None:
    if not good:
        raise ValueError(f"{name} is {value}, which cannot be")


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _typed(kind: Any, value: Any, place: str) -> Any:
    """A value of JSON as a type of this module has it; `place` is where it stands."""
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        if not isinstance(value, dict) or value.keys() != hints.keys():
            names = ", ".join(field.name for field in fields(kind))
            raise ValueError(f"{place or 'the file'} does not hold {names}, and these alone")
        given = {name: _typed(hint, value[name], _in(place, name)) for name, hint in hints.items()}
        try:
            return kind(**given)
        except ValueError as error:
            raise ValueError(_in(place, str(error))) from error
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if value is None and NoneType in inner else _typed(inner[0], value, place)
    if origin is tuple and isinstance(value, list):
        return tuple(_typed(inner[0], one, f"{place}[{n}]") for n, one in enumerate(value))
    if origin is not None and issubclass(origin, Mapping) and isinstance(value, dict):
        return {name: _typed(inner[1], one, _in(place, name)) for name, one in value.items()}
    if type(value) is int and abs(value) > _LARGEST:
        raise ValueError(f"{place} is a whole number of more than {_LARGEST}, which cannot be")
    if kind is float and type(value) is int:
        value = float(value)
    if isinstance(value, str) and any("\ud800" <= one <= "\udfff" for one in value):
        raise ValueError(f"{place} is {value!a}, which is no text")
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise ValueError(f"{place} is {value!r}, which is no {_KINDS.get(kind, 'list of values')}")
    return value


def _in(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def most_changed(sources: Sequence[SourceShare]) -> list[SourceShare]:
    """Sources, that whose share has changed most first."""
    return sorted(sources, key=lambda one: (-abs(one.after - one.before), one.name))


def of_weights(deployed: Deployed, weights_sha256: str) -> Sequence[Deployment]:
    """Return what is told of these weights; nothing where all is of others."""
    return [one for one in deployed.deployments if one.weights_sha256 == weights_sha256]
