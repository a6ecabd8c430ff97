"""Chooses the layer of the adapted detector: a new one, or that before with a shift.

New layers that learned from few sources rank other sources worse more often than better
(docs/experiments.md, "Adapting, simulated"), so one is taken only if sources left out say that
it is better, by more than a standard error. A shift leaves the ranking as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar

from pipeline.commands.adapt import judgement
from pipeline.commands.adapt.footage import CollectionClips
from pipeline.commands.adapt.judgement import AurocGain
from pipeline.config import TrainConfig
from pipeline.learn.origin import Floats, Layer, OriginExamples, balanced, evened, fit_calibrated

SHIFT_DEVIATION = 0.5
"""Standard deviation of shifts from one team's footage to the next, before any of it is seen."""
_MOST = 10.0


@dataclass(frozen=True)
class ChosenLayer:
    """The layer of the adapted detector, and what is known of it."""

    layer: Layer
    is_new: bool
    """Whether it is a new layer, rather than that before."""
    is_shifted: bool
    """Whether it is that before with a shift."""
    was: Floats
    """(F,): log odds of real of the files by the detector as it was."""
    new: Floats
    """(F,): by new layers that saw nothing of a file's source; NaN where there are none."""
    now: Floats
    """(F,): by layers of the kind chosen that saw nothing of a file's source."""
    gains: Mapping[str, AurocGain]
    """Of the new layers, see `judgement.gains`."""


def choose(
    training: OriginExamples,
    own: CollectionClips,
    before: Layer,
    cfg: TrainConfig,
    num_workers: int,
) -> ChosenLayer:
    """Fit a new layer, and take it if its gain is larger than its standard error.

    Args:
        training: what the detector learned the origin from.
        own: the collection.
        before: the layer of the detector.
        cfg: how it was trained.
        num_workers: fits at a time.
    """

    def refit(others: OriginExamples, examples: OriginExamples) -> Layer | None:
        return refitted(others, examples, cfg)

    def shift(others: OriginExamples, examples: OriginExamples) -> Layer:
        return shifted(before, examples)

    was = own.by_file(before.log_odds(own.examples.values))
    new = np.full(len(own.files), np.nan)
    # Files of one side alone are told from nothing, so that there is nothing to judge by.
    if own.examples.is_real.any() and not own.examples.is_real.all():
        new = judgement.left_out_once(training, own, refit, num_workers)
    gains = judgement.gains(was, new, own.origins, own.sources)
    gain = gains.get(judgement.ALL)
    if gain and gain.exceeds_error and (layer := refit(training, own.examples)):
        return ChosenLayer(layer, True, False, was, new, new, gains)
    now = judgement.left_out_once(training, own, shift, num_workers)
    kept = shift(training, own.examples)
    return ChosenLayer(kept, False, kept is not before, was, new, now, gains)


def refitted(training: OriginExamples, own: OriginExamples, cfg: TrainConfig) -> Layer | None:
    """A new layer, from the footage of training and one's own; None where one answer is missing."""
    examples = training.joined(own)
    if examples.is_real.all() or not examples.is_real.any():
        return None
    return fit_calibrated(examples, cfg)


def shifted(before: Layer, own: OriginExamples) -> Layer:
    """The same layer with a constant added to its log odds of real: it ranks as before.

    The constant is the most probable one, where such constants are normal around 0. Real and
    fictional count alike, and so do the sources of either, times their weights; all together count
    as many as there are sources. It is 0 where all examples are real or none is, since nothing
    tells then where one ends and the other begins, and where all are of one source, since nothing
    could be judged of it.
    """
    sources = np.unique(own.sources)
    if own.is_real.all() or not own.is_real.any() or len(sources) == 1:
        return before
    counted = balanced(own.is_real, own.groups, 1.0) * own.weights
    odds = evened(counted, own.is_real) * len(sources)
    shift = _most_probable(before.log_odds(own.values), own.is_real.astype(np.float64), odds)
    return replace(before, bias=before.bias + shift)


def _most_probable(log_odds: Floats, is_real: Floats, odds: Floats) -> float:
    def loss(shift: float) -> float:
        moved = log_odds + shift
        likelihood = float(odds @ (np.logaddexp(0, moved) - is_real * moved))
        return likelihood + (shift / SHIFT_DEVIATION) ** 2 / 2

    found = minimize_scalar(loss, bounds=(-_MOST, _MOST), method="bounded")
    return round(float(found.x), 4)
