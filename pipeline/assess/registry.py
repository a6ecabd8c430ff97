"""The suites of an evaluation: each answers one question that a score alone leaves open."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.assess.evidence import Evidence, Examined
from pipeline.assess.suites import discrimination, real
from pipeline.assess.suites.attribution import attribution
from pipeline.assess.suites.calibration import calibration
from pipeline.assess.suites.data import data
from pipeline.assess.suites.deployment import deployment
from pipeline.assess.suites.robustness import robustness
from pipeline.assess.suites.shortcuts import shortcuts
from pipeline.assess.suites.slices import slices
from pipeline.assess.suites.sources import floors, sources
from pipeline.assess.suites.streams import streams
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
    "deployment": deployment,
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
