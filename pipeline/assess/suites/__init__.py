"""The suites of an evaluation: each answers one question that a score alone leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from pipeline.assess.suites.base import Evidence, Examined
from pipeline.errors import UserError

NAMES = (
    "discrimination",
    "sources",
    "floors",
    "shortcuts",
    "robustness",
    "calibration",
    "streams",
    "slices",
    "attribution",
    "data",
)
"""Modules beside this one, in the order of the report."""


def check(names: Sequence[str]) -> None:
    """Raise `UserError` for a suite that there is not."""
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise UserError(
            f"conf/evaluate.yaml: suites: no suite {', '.join(unknown)}; there are "
            f"{', '.join(NAMES)}"
        )


def examine(evidence: Evidence, names: Sequence[str]) -> list[Examined]:
    """Run the suites of these names, in the order of `NAMES`.

    Raises:
        UserError: an unknown name.
    """
    check(names)
    modules = {name: import_module(f"{__name__}.{name}") for name in NAMES if name in names}
    return [Examined(name, suite.TITLE, suite.run(evidence)) for name, suite in modules.items()]
