"""How what is scored now differs from what was scored before, or from what was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from pipeline.review.scored import Scores
from pipeline.store.manifest import FILES, File, open_table

Floats = NDArray[np.float64]
_LOUDNESS, _SOUND = "loudness", "has sound"
_COLUMNS = ("score", "p_real", _LOUDNESS, "brightness", "height", "seconds")
SHIFTED = 0.2
"""A population stability index beyond which a distribution is usually said to have shifted."""
_NUM_BINS = 10
_LEAST_SHARE = 1e-4


@dataclass(frozen=True)
class Shift:
    """How one thing is distributed then and now.

    Attributes:
        name: a column of a table of scores, or that there is sound.
        before, after: medians, or shares of the files that have sound.
        index: population stability index, over tenths of what was before.
        distance: Kolmogorov's: the largest difference of the shares below any value.
    """

    name: str
    before: float
    after: float
    index: float
    distance: float


def between(before: Mapping[str, Floats], after: Mapping[str, Floats]) -> list[Shift]:
    """Shifts of all that both sides have values of, by name; NaN where a file has none."""
    found = []
    for name, values in before.items():
        sides = [side[np.isfinite(side)] for side in (values, after.get(name, values[:0]))]
        if all(len(side) for side in sides):
            found.append(_shift(name, *sides))
    return found


def of_scores(scores: Scores) -> dict[str, Floats]:
    """What there is of the files that were scored."""
    found = {name: scores.numbers(name)[scores.is_scored] for name in _COLUMNS}
    return found | {_SOUND: np.isfinite(found[_LOUDNESS]).astype(np.float64)}


def of_training(clips: Path) -> dict[str, Floats]:
    """What ingest knows of the files that became clips; nothing where it has not run."""
    path = clips / FILES
    if not path.is_file():
        return {}
    with open_table(path, File) as file:
        table = file.read(["height", "duration_s", "sound_codec", "num_clips"])
    used = table.filter((table["num_clips"].to_numpy() > 0).tolist())
    return {
        "height": used["height"].to_numpy().astype(np.float64),
        "seconds": used["duration_s"].to_numpy().astype(np.float64),
        _SOUND: used["sound_codec"].is_valid().to_numpy().astype(np.float64),
    }


def _shift(name: str, before: Floats, after: Floats) -> Shift:
    inner = np.quantile(before, np.linspace(0, 1, _NUM_BINS + 1)[1:-1])
    # What lies outside of all that was before has bins of its own, and so has a value that many
    # share, as most files have one height.
    above = np.nextafter([*inner, before.max()], np.inf)
    edges = np.unique([before.min(), *inner, *above])
    num_bins = len(edges) + 1
    counts = [np.bincount(np.digitize(side, edges), minlength=num_bins) for side in (before, after)]
    shares = [np.maximum(count / count.sum(), _LEAST_SHARE) for count in counts]
    index = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    distance = float(ks_2samp(before, after).statistic)
    middle = np.mean if name == _SOUND else np.median
    return Shift(name, float(middle(before)), float(middle(after)), index, distance)
