"""Numbers in words, and the names of classes, questions and metrics in all of the report."""

from __future__ import annotations

from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.questions import (
    FALSE_POSITIVE_RATES,
    PARTIAL_AUROC,
    PARTIAL_MAX_FPR,
    tpr_key,
)
from pipeline.store.manifest import CLASSES

DASH = "–"
CLASS_NAMES = {
    "real_shooting": "real shooting",
    "fictional_shooting": "fictional shooting",
    "real_other": "real, no shooting",
    "fictional_other": "fictional, no shooting",
}
assert tuple(CLASS_NAMES) == CLASSES
ODD_FILES = {
    "damaged": "damaged",
    "ends_early": "cut off",
    "short": "shorter than a clip",
    "starts_late": "beginning missing",
    "still": "nothing moves",
}
"""Words for a scored file's marks; others are nothing to a reader."""
QUESTION_NAMES = {
    "shooting": "Is it a real shooting?",
    "origin": "Is it real or fictional?",
    "discharge": "Is a firearm discharged?",
}
METRIC_NAMES = {
    "auroc": "AUROC",
    PARTIAL_AUROC: f"AUROC below {100 * PARTIAL_MAX_FPR:g} % false alarms",
    "average_precision": "Average precision",
    **{tpr_key(x): f"Found at {100 * x:g} % false alarms" for x in FALSE_POSITIVE_RATES},
    "ece": "Calibration error (ECE)",
    "brier": "Brier score",
}
RATES = tuple(tpr_key(x) for x in FALSE_POSITIVE_RATES)
"""Metrics that are written as percentages."""


def count(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """A share as a percentage that never rounds a mistake away."""
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %".replace(".0 %", " %")


def decimal(value: float) -> str:
    """Three decimals, never rounded up to a perfect 1."""
    return "> 0.999" if 0.9995 <= value < 1 else f"{value:.3f}"


def number(metric: str, value: float | None) -> str:
    """A metric's value as its readers expect it."""
    if value is None:
        return DASH
    return percent(value) if metric in RATES else decimal(value)


def interval(metric: str, found: Measured) -> str:
    """The interval of a metric, or the reason why there is none."""
    if found.interval is None:
        return found.reason or ""
    low, high = number(metric, found.interval.low), number(metric, found.interval.high)
    return f"{low.removesuffix(' %')} to {high}"


FEW_SOURCES = 20
"""A claim on fewer says so: sources differ more than recordings of one."""


def few_sources(num_sources: int) -> str:
    """A sentence to append, with a space before it, where a claim rests on few real sources."""
    if not 0 < num_sources < FEW_SOURCES:
        return ""
    return f" This rests on {count(num_sources, 'real source')}, fewer than {FEW_SOURCES}."
