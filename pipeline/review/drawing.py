"""The audit sample: videos drawn at random in strata of their score, with known probabilities.

The detector has no say in which video of a stratum is drawn, so that what is decided of them tells
of all videos without bias. Strata make sure that some of each kind are looked at: alerts, which are
few, and what lies below the threshold, in which a missed shooting is rarer the lower the score is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.assess.deployment_report import WITH_ALERT

STRATA = (WITH_ALERT, "near", "middle", "rest")
"""Alerts; and of the others the highest hundredth of the scores, the next nine, and the rest."""
ALERTED = 0
_SHARES = (0.01, 0.10)


def strata(score: NDArray[np.float64], flagged: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The stratum of each of C videos, an index into `STRATA`.

    Args:
        score: (C,).
        flagged: (C,), whether there was an alert.
    """
    found = np.full(len(score), ALERTED)
    others = np.flatnonzero(~flagged)
    order = others[np.lexsort((others, -score[others]))]
    ends = [int(np.ceil(share * len(order))) for share in _SHARES]
    for number, members in enumerate(np.split(order, ends), ALERTED + 1):
        found[members] = number
    return found


def sizes(members: NDArray[np.int64], num: int) -> NDArray[np.int64]:
    """Return how many are drawn of each stratum: equally many, of those that are large enough.

    Args:
        members: (S,), of each stratum.
        num: to draw in all, if there are so many.
    """
    drawn = np.zeros(len(members), np.int64)
    while (left := num - int(drawn.sum())) > 0 and (drawn < members).any():
        room = np.flatnonzero(drawn < members)
        each = max(1, left // len(room))
        # What cannot be divided goes to the last stratum, of which most is not known.
        for number in room[::-1][: max(1, left // each)]:
            drawn[number] += min(each, members[number] - drawn[number])
    return drawn


def draw(
    stratum: NDArray[np.int64], num: int, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Draw an audit sample, in each stratum without replacement and all videos alike.

    Args:
        stratum: (C,) as `strata` tells it.
        num: of the sample.
        rng: draws it.

    Returns:
        Which videos are drawn, (C,), and with which probability each could be, (C,).
    """
    members = np.bincount(stratum, minlength=len(STRATA))
    drawn = np.zeros(len(stratum), bool)
    wanted = sizes(members, num)
    for number, size in enumerate(wanted.tolist()):
        here = np.flatnonzero(stratum == number)
        drawn[rng.choice(here, size, replace=False) if size else here[:0]] = True
    return drawn, (wanted / np.maximum(members, 1))[stratum]
