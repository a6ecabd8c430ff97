"""Clips altered on purpose: what the detector says of the same clips before and after."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.assess import metrics, scores
from pipeline.assess.bootstrap import Bootstrap
from pipeline.assess.examples import Examples
from pipeline.assess.metrics import BoolArray, FloatArray, IntArray
from pipeline.assess.questions import Question
from pipeline.assess.scored import Scored
from pipeline.assess.suites.base import Evidence, State, predict_all
from pipeline.assess.summary import questions
from pipeline.manifest import CLASSES
from pipeline.transforms.base import Transform
from pipeline.video import Frames

Change = Callable[[Frames, str], Frames]
"""From uint8 (T, H, W, 3) RGB, which it leaves as they are, and a clip's id to altered frames."""
Asked = Literal["shooting", "origin"]
MAX_FPR = 0.01
FEWEST_RECORDINGS = 5
"""Of each answer, below which resamples of recordings say nothing of the next recording."""
GOOD = 0.6
"""An AUROC that is sure to be above this is worth losing; one sure to be below it is lost."""
_DECIMALS = 6


@dataclass(frozen=True)
class Sample:
    """Some clips of a part."""

    part: Scored
    rows: IntArray
    """Of `part.clips`."""

    @cached_property
    def clips(self) -> pa.Table:
        """Rows of `SCORE_SCHEMA`: what the detector says of the clips as they are."""
        return self.part.clips.take(self.rows)

    @cached_property
    def examples(self) -> Examples:
        """The clips as they are."""
        return Examples.from_clips(self.clips)


def rank(*names: str) -> bytes:
    """Where something comes in a draw that none of its rivals moves.

    Rendezvous hashing (Thaler and Ravishankar, 1998).
    """
    return hashlib.sha256("\0".join(names).encode()).digest()


def sample(part: Scored, most: int, among: BoolArray | None = None) -> Sample:
    """At most `most` labelled clips, of the classes in turn until one is used up.

    Args:
        part: where they are from.
        most: how many.
        among: (N,) which clips of the part may be drawn; all if None.
    """
    known = np.flatnonzero(pc.is_valid(part.clips["discharge"]).to_numpy(zero_copy_only=False))
    actual = Examples.from_clips(part.clips.take(known)).actual
    ids = part.clips["clip_id"].to_pylist()
    turns: list[tuple[int, bytes, int]] = []
    for number in range(len(CLASSES)):
        rows = [row for row in known[actual == number].tolist() if among is None or among[row]]
        ranked = sorted((rank(ids[row]), row) for row in rows)
        turns += [(turn, key, row) for turn, (key, row) in enumerate(ranked)]
    return Sample(part, np.array([row for *_, row in sorted(turns)[:most]], np.int64))


def drawn(transform: Transform, strength: float, **forced: Any) -> Change:
    """A transform as a change, drawn from the clip's id; strengths share a seed."""

    def change(frames: Frames, clip_id: str) -> Frames:
        parameters = transform.draw(generator(clip_id, transform.name), strength)
        return transform.apply(frames, parameters | forced)

    return change


def generator(clip_id: str, name: str) -> np.random.Generator:
    """Chance that depends on the clip and on the name of what is done to it alone."""
    return np.random.default_rng(int.from_bytes(rank(clip_id, name)[:8]))


def score(
    evidence: Evidence, chosen: Sample, changes: Mapping[str, Change], title: str
) -> dict[str, pa.Table]:
    """Rows of `SCORE_SCHEMA` for the clips of a sample after each change; a clip is read once."""
    names, ids = list(changes), chosen.clips["clip_id"].to_pylist()
    latest: dict[int, Frames] = {}

    def altered(number: int) -> Frames:
        clip, change = divmod(number, len(names))
        if clip not in latest:
            latest.clear()
            latest[clip] = chosen.part.read(int(chosen.rows[clip]))
        return changes[names[change]](latest[clip], ids[clip])

    flat = predict_all(evidence, title, len(ids) * len(names), altered)
    found = flat.reshape(len(ids), len(names), len(CLASSES))
    who = chosen.clips.select(scores.CLIP_SCHEMA.names)
    return {name: scores.score_table(who, found[:, i]) for i, name in enumerate(names)}


def stacked(tables: Mapping[str, pa.Table]) -> pa.Table:
    """Score tables below each other, with their names in the column `change`."""
    return pa.concat_tables(
        table.append_column("change", pa.array([name] * table.num_rows, pa.string()))
        for name, table in tables.items()
    )


@dataclass(frozen=True)
class Pair:
    """AUROC of the same clips before and after a change, under the same resamples.

    `before` and `after` are (1 + R,), the estimate itself first; empty where `reason` says why.
    """

    before: FloatArray
    after: FloatArray
    confidence: float
    reason: str | None = None

    @property
    def plain(self) -> dict[str, Any]:
        """AUROC before, with its interval."""
        return self._result(self.before)

    @property
    def altered(self) -> dict[str, Any]:
        """AUROC after, with its interval."""
        return self._result(self.after)

    @property
    def drop(self) -> dict[str, Any]:
        """AUROC that the change costs, with its interval."""
        return self._result(self.before - self.after)

    def beyond(self, share: float) -> dict[str, Any]:
        """How much more of what lies above chance is kept than `share` of it, with its interval."""
        return self._result(self.after - 0.5 - share * (self.before - 0.5))

    @property
    def is_good_before(self) -> bool:
        """Whether there is anything to lose, beyond chance."""
        return self.reason is None and bool(self.plain["low"] > GOOD)

    def _result(self, values: FloatArray) -> dict[str, Any]:
        if self.reason is not None:
            return {"value": None, "low": None, "high": None, "reason": self.reason}
        tail = (1 - self.confidence) / 2
        low, high = np.nanquantile(values[1:], [tail, 1 - tail])
        ends = {"value": values[0], "low": min(low, values[0]), "high": max(high, values[0])}
        return {name: round(float(value), _DECIMALS) for name, value in ends.items()}


def compare(before: Examples, after: Examples, asked: Asked, bootstrap: Bootstrap) -> Pair:
    """AUROC of a question for the same clips before and after a change."""
    question = questions(before)[asked]
    if reason := too_few(question):
        nothing = np.zeros(0)
        return Pair(nothing, nothing, bootstrap.confidence, reason)
    rankings = [
        metrics.Ranking(question.positive, probability)
        for probability in (question.probability, questions(after)[asked].probability)
    ]
    weightings = [np.ones((1, len(before))), *bootstrap.weights(question.clusters)]
    first, second = (
        np.concatenate([metrics.auroc(ranking.counts(weights)) for weights in weightings])
        for ranking in rankings
    )
    return Pair(first, second, bootstrap.confidence)


def too_few(question: Question) -> str | None:
    """Why resamples would say nothing of a question; None where they do."""
    for answer, name in ((True, "positive"), (False, "negative")):
        found = question.num_recordings(answer)
        if found < FEWEST_RECORDINGS:
            return f"needs {FEWEST_RECORDINGS} recordings with {name} examples, has {found}"
    return None


def threshold(val: Scored | None) -> float | None:
    """The score above which at most 1 % of the negatives of validation lie.

    None where validation holds no negatives.
    """
    if val is None:
        return None
    negatives = np.sort(val.examples.score[~val.examples.is_shooting])[::-1]
    # The slack keeps 1 of 100 within 1 % however 0.01 * 100 is rounded.
    allowed = int(MAX_FPR * negatives.size + 1e-9)
    return float(negatives[allowed]) if negatives.size else None


def worst(states: Mapping[Any, State]) -> Any:
    """The key with the gravest state; the first of equals."""
    order: tuple[State, ...] = ("red", "amber", "green", "grey")
    return min(states, key=lambda key: order.index(states[key]))
