"""Writes numbers as reports and tables have them."""

from __future__ import annotations

DECIMALS = 6
"""Numbers of the report are rounded to so many, before a verdict rests on them too."""


def rounded(value: float) -> float:
    """A number as it is written."""
    return round(float(value), DECIMALS)
