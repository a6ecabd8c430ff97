"""The operating point: the threshold and the smoothing for whoever runs the weights, with reasons.

An evaluation chooses it on validation clips and writes it to `operating_point.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import OperatingConfig
from pipeline.detect.alarm import Choice
from pipeline.errors import UserError

FILE = "operating_point.json"
_REMEDY = (
    "python evaluate.py, without a collection and with these weights, chooses one; with "
    "paths.reports=FOLDER, there and here, that of other weights stays"
)
PER_HOURS = 1000
"""Rates of false alerts are per so many hours of a stream."""


@dataclass(frozen=True)
class Cost:
    """Holds what the user allows."""

    false_alerts_per_1000_h: float
    stated: str
    """The false alerts that are allowed, in the words of the configuration."""


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
        """Return what is to be applied."""
        record = self.record
        return Choice(record["threshold"], record["smoothing"], record["refractory_s"])

    @property
    def supported(self) -> bool:
        """Return whether validation is long enough to show that the cost is kept."""
        return bool(self.record["supported"])

    @property
    def says(self) -> str:
        """Return how far the cost is kept, in words."""
        return str(self.record["says"])


def read(folder: Path, weights_sha256: str) -> OperatingPoint | str:
    """Return what the last evaluation into a folder chose for these weights, or why there is
    nothing.

    The words go on from a colon, and end with what makes one.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return f"no evaluation of the packed splits has left an {FILE}; {_REMEDY}"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["weights_sha256"] != weights_sha256:
            return f"{FILE} of the last evaluation is of other weights; {_REMEDY}"
        Choice(float(record["threshold"]), record["smoothing"], float(record["refractory_s"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: no operating point ({error!r}); run dvc repro evaluate or dvc checkout"
        ) from error
    return OperatingPoint(record)


def read_for(folder: Path, weights_sha256: str, config: OperatingConfig) -> OperatingPoint | str:
    """Return what `read` gives, unless it was chosen for another cost or refractory time than is
    stated.

    Raises:
        UserError: not exactly one cost is given.
    """
    found, stated = read(folder, weights_sha256), cost_of(config).stated
    if isinstance(found, str):
        return found
    if found.record["cost"]["stated"] != stated:
        chosen_for = found.record["cost"]["stated"]
        return f"{FILE} was chosen for {chosen_for}, and not for {stated}; {_REMEDY}"
    if found.choice.refractory_s != config.refractory_s:
        return f"{FILE} was chosen for another refractory time; {_REMEDY}"
    return found
