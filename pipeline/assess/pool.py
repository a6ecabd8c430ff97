"""What is judged of known and of held-out sources, put together to compare sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.assess.examples import Examples
from pipeline.assess.metrics import BoolArray, IntArray
from pipeline.assess.placements import Placed, place
from pipeline.assess.suites.base import Evidence

NOTHING_TO_RANK = "no example with the other answer to be ranked against"


@dataclass(frozen=True)
class Pool:
    """The first part and the sources held out of training, together."""

    examples: Examples
    unseen: BoolArray
    """(N,) whether the example's source was held out."""

    @classmethod
    def of(cls, evidence: Evidence) -> Pool:
        """Pool what is judged; other parts, such as what training saw, stay out."""
        held_out = evidence.part("unseen")
        parts = [evidence.parts[0]]
        if held_out is not None and held_out is not parts[0]:
            parts.append(held_out)
        return cls(
            Examples.joined([part.examples for part in parts]),
            np.concatenate([np.full(len(part.examples), part is held_out) for part in parts]),
        )

    def place(self, chosen: BoolArray, strata: IntArray | None = None) -> Placed | None:
        """AUROC of the alert among some examples."""
        examples = self.examples
        return place(
            examples.is_shooting[chosen],
            examples.score[chosen],
            examples.clusters[chosen],
            int(examples.clusters.max()) + 1,
            None if strata is None else strata[chosen],
        )


def judged(placed: Placed | None, confidence: float) -> dict[str, Any]:
    """An AUROC as `questions.judge_auroc` gives it, also where there is none."""
    if placed is None:
        return {"value": None, "low": None, "high": None, "reason": NOTHING_TO_RANK}
    return placed.judged(confidence)
