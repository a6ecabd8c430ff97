"""Control of false discoveries among many differences (Benjamini and Hochberg, 1995)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import false_discovery_control

FALSE_DISCOVERY_RATE = 0.05
"""Share of the differences called so that chance alone may account for."""


def beyond_chance(chances: Sequence[float | None]) -> list[bool]:
    """Tell whether each difference is beyond chance among all of them; None was not tested."""
    tested = [number for number, chance in enumerate(chances) if chance is not None]
    found = np.zeros(len(chances), bool)
    if tested:
        adjusted = false_discovery_control([chances[number] for number in tested])
        found[tested] = adjusted <= FALSE_DISCOVERY_RATE
    return found.tolist()
