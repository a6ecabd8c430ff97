"""What people found of a detector where it runs, as `discern review report` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.assess.deployment_report import (
    REPORT,
    VERSION,
    Agreement,
    Deployed,
    Deployment,
    Drift,
    Estimate,
    Shift,
    SourceShare,
    StratumCounts,
)
from pipeline.numbers.intervals import Interval

WEIGHTS = "a" * 64


def estimate(value: float | None, low: float, high: float) -> Estimate:
    return Estimate(value, Interval(low, high))


def deployment(**changes: Any) -> Deployment:
    """Of 10,000 files in 1,000 hours, 50 with an alert, of which eight in ten are right."""
    values = {
        "kind": "file",
        "weights_sha256": WEIGHTS,
        "queues": (1, 2),
        "videos": 10_000,
        "hours": 1000.0,
        "days": None,
        "alerts": 50,
        "alerts_with_copies": 60,
        "strata": {"alerted": StratumCounts(50, 40, 40), "rest": StratumCounts(9950, 40, 40)},
        "precision": estimate(0.8, 0.7, 0.9),
        "recall": estimate(0.75, 0.6, 0.85),
        "shootings": estimate(53.3, 45.0, 70.0),
    }
    return Deployment(**values | changes)  # type: ignore[arg-type]


def shift(name: str, index: float) -> Shift:
    return Shift(name, 360.0, 720.0, index, 0.3)


def known(*deployments: Deployment, **changes: Any) -> Deployed:
    values = {
        "version": VERSION,
        "confidence": 0.95,
        "deployments": deployments or (deployment(),),
        "agreement": Agreement((120, 40), 30, 2, 0.8, 0.04, 3),
        "drift": Drift(
            WEIGHTS,
            "training",
            (shift("height", 0.5), shift("score", 0.1)),
            (SourceShare("phone", 0.5, 0.25), SourceShare("doom", 0.5, 0.75)),
            0.27,
        ),
    }
    return Deployed(**values | changes)  # type: ignore[arg-type]


def write(folder: Path, told: Deployed) -> Path:
    """Have it in a folder, as evaluations look for it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT).write_text(told.text(), encoding="utf-8")
    return folder / REPORT
