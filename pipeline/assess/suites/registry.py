"""The suites of an evaluation: each answers one question that a score alone leaves open."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.assess.suites import (
    attribution,
    calibration,
    data,
    discrimination,
    floors,
    real,
    robustness,
    shortcuts,
    slices,
    sources,
    streams,
)
from pipeline.assess.suites.base import Evidence, Examined
from pipeline.errors import UserError

SUITES = {
    "discrimination": discrimination,
    "real": real,
    "sources": sources,
    "floors": floors,
    "shortcuts": shortcuts,
    "robustness": robustness,
    "calibration": calibration,
    "streams": streams,
    "slices": slices,
    "attribution": attribution,
    "data": data,
}
"""In the order of the report."""


def check(names: Sequence[str]) -> None:
    """Raise `UserError` for a suite that there is not."""
    unknown = sorted(set(names) - SUITES.keys())
    if unknown:
        raise UserError(
            f"conf/evaluate.yaml: suites: no suite {', '.join(unknown)}; there are "
            f"{', '.join(SUITES)}"
        )


def examine(evidence: Evidence, names: Sequence[str]) -> list[Examined]:
    """Run the suites of these names, in the order of `SUITES`.

    Raises:
        UserError: an unknown name.
    """
    check(names)
    return [
        Examined(name, suite.TITLE, suite.run(evidence))
        for name, suite in SUITES.items()
        if name in names
    ]
