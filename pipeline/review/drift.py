"""Tells how what is scored now differs from what was scored before, or from what was trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, ks_2samp

from pipeline.assess.deployment_report import Drift, Shift, SourceShare
from pipeline.review.score_folder import Scores

Floats = NDArray[np.float64]
BRIGHTNESS, LOUDNESS, SOUND = "brightness", "loudness", "has sound"
_COLUMNS = ("score", "p_real", LOUDNESS, BRIGHTNESS, "height", "seconds")
FEWEST = 30
"""Fewest files of which a shift of a standard deviation is told from chance."""
_NUM_BINS = 10
_HALF, _CONFIDENCE = 0.5, 0.95


@dataclass(frozen=True)
class Inputs:
    """Holds what is known of some files.

    Attributes:
        numbers: by name, (N,) or fewer; NaN where a file has none.
        sources: (N,) of them, where they are known.
    """

    numbers: Mapping[str, Floats]
    sources: Sequence[str] = ()


def between(before: Inputs, after: Inputs, against: str, weights_sha256: str) -> Drift:
    """Shifts of all that both sides have enough values of.

    Args:
        before: what it is compared with.
        after: what there is now.
        against: the former, in words.
        weights_sha256: of the detector that scored the latter.
    """
    shifts = []
    for name, values in before.numbers.items():
        sides = [side[np.isfinite(side)] for side in (values, after.numbers.get(name, values[:0]))]
        if min(map(len, sides)) >= FEWEST:
            shifts.append(_shift(name, *sides))
    sources: tuple[SourceShare, ...] = ()
    index = None
    if min(len(before.sources), len(after.sources)) >= FEWEST:
        names = sorted({*before.sources, *after.sources})
        counts = [Counter(side.sources) for side in (before, after)]
        then, now = (np.array([count[name] for name in names]) for count in counts)
        index = _index(then, now)
        sources = tuple(
            SourceShare(name, float(one), float(other))
            for name, one, other in zip(names, then / then.sum(), now / now.sum(), strict=True)
        )
    return Drift(weights_sha256, against, tuple(shifts), sources, index)


def of_scores(scores: Scores) -> Inputs:
    """Return what there is of the files that were scored."""
    found = {name: scores.numbers(name)[scores.is_scored] for name in _COLUMNS}
    sources = scores.texts("source", np.flatnonzero(scores.is_scored).tolist())
    has_sound = np.isfinite(found[LOUDNESS]).astype(np.float64)
    # Files that nobody names a source of say nothing of others.
    return Inputs(found | {SOUND: has_sound}, [one for one in sources if one is not None])


def _shift(name: str, before: Floats, after: Floats) -> Shift:
    inner = np.quantile(before, np.linspace(0, 1, _NUM_BINS + 1)[1:-1])
    # What lies outside of all that was before has bins of its own, and so has a value that many
    # share, as most files have one height.
    above = np.nextafter([*inner, before.max()], np.inf)
    edges = np.unique([before.min(), *inner, *above])
    counts = [
        np.bincount(np.digitize(side, edges), minlength=len(edges) + 1) for side in (before, after)
    ]
    distance = float(ks_2samp(before, after).statistic)
    middle = np.mean if name == SOUND else np.median
    ends = float(middle(before)), float(middle(after))
    return Shift(name, *ends, _index(*counts), distance)


def _index(before: NDArray[np.int64], after: NDArray[np.int64]) -> float:
    """The population stability index of counts in equal bins, less what chance makes of so few.

    Two samples of one distribution differ too, by a chi square of one degree of freedom less than
    there are bins, times the sum of the inverses of their sizes (Yurdakul, 2018): its 95th
    percentile is taken away. Each bin has half a file more on both sides, so that an empty one is
    no infinite shift.
    """
    is_used = before + after > 0
    counts = [side[is_used] for side in (before, after)]
    shares = [(side + _HALF) / (side + _HALF).sum() for side in counts]
    index = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    sizes = sum(1 / side.sum() for side in counts)
    by_chance = sizes * chi2.ppf(_CONFIDENCE, max(1, int(is_used.sum()) - 1))
    return max(0.0, index - float(by_chance))
