"""Says what a score means where a detector is deployed, from what people decided there.

A score is the probability of a real shooting among footage like that of training. Where shootings
are rarer, most videos with a high score are none, and what looks like a cost is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

Floats = NDArray[np.float64]
_EDGE = 1e-4
_SHIFT_SD, _SLOPE_SD = 4.0, 0.5
"""How far from what the score says the truth may be, before anything was decided."""


@dataclass(frozen=True)
class PlattCalibration:
    """Log odds of a real shooting as a line over those of the score (Platt, 1999)."""

    shift: float = 0.0
    slope: float = 1.0
    num_votes: int = 0

    def probability(self, score: Floats) -> Floats:
        """The probability of a real shooting, (N,), of scores."""
        return np.asarray(expit(self.shift + self.slope * _odds(score)))


def fit(score: Floats, found: Floats, denied: Floats, error: float) -> PlattCalibration:
    """Fit a line to decisions, which may be wrong.

    Which videos were looked at hangs on their scores, and does not bias what is said of a score.

    Args:
        score: (N,) of videos that somebody decided.
        found, denied: (N,) people who said that each is a real shooting, and that it is none.
        error: share of decisions that are wrong.
    """
    if not len(score):
        return PlattCalibration()
    odds = _odds(score)

    def cost(line: Floats) -> float:
        # Of a vote, not of the truth: a slip happens at any score.
        chance = error + (1 - 2 * error) * expit(line[0] + line[1] * odds)
        likelihood = found @ np.log(chance) + denied @ np.log1p(-chance)
        prior = (line[0] / _SHIFT_SD) ** 2 + ((line[1] - 1) / _SLOPE_SD) ** 2
        return float(prior / 2 - likelihood)

    best = minimize(cost, np.array([0.0, 1.0]), method="L-BFGS-B", bounds=[(-20, 20), (0.05, 5)])
    shift, slope = best.x
    return PlattCalibration(float(shift), float(slope), int(found.sum() + denied.sum()))


def _odds(score: Floats) -> Floats:
    return np.asarray(logit(np.clip(score, _EDGE, 1 - _EDGE)))
