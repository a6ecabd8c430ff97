"""Judged examples of known and of held-out sources, put together to compare sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.assess.evidence import Evidence
from pipeline.assess.examples import Examples
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.placements import PlacementAuroc, place
from pipeline.numbers.metrics import BoolArray, IntArray

NOTHING_TO_RANK = "no example with the other answer to be ranked against"


@dataclass(frozen=True)
class Pool:
    """The first part and the sources held out of training, together."""

    examples: Examples
    unseen: BoolArray
    """(N,) whether the example's source was held out."""

    @classmethod
    def of(cls, evidence: Evidence) -> Pool:
        """Pool the examples of `parts`."""
        found, held_out = parts(evidence), evidence.judged_set("unseen")
        return cls(
            Examples.joined([part.examples for part in found]),
            np.concatenate([np.full(len(part.examples), part is held_out) for part in found]),
        )

    def place(self, chosen: BoolArray, strata: IntArray | None = None) -> PlacementAuroc | None:
        """AUROC of the alert among some examples."""
        examples = self.examples
        return place(
            examples.is_shooting[chosen],
            examples.score[chosen],
            examples.clusters[chosen],
            int(examples.clusters.max()) + 1,
            None if strata is None else strata[chosen],
        )


def parts(evidence: Evidence) -> Sequence[JudgedSet]:
    """Return the parts that are pooled; others, such as what training saw, stay out."""
    first, held_out = evidence.judged_sets[0], evidence.judged_set("unseen")
    return [first] if held_out is None or held_out is first else [first, held_out]


def judged(placed: PlacementAuroc | None, confidence: float) -> Measured:
    """An AUROC with its interval, also where there is none."""
    return Measured.unknown(NOTHING_TO_RANK) if placed is None else placed.judged(confidence)
