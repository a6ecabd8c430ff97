"""The same clips before and after a change: AUROC, what is lost, and what to say of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipeline.assess.evidence import Cell, State, Verdict
from pipeline.assess.examples import Examples
from pipeline.assess.page import wording
from pipeline.assess.statistics import metrics
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.metrics import FloatArray
from pipeline.assess.statistics.questions import Question
from pipeline.assess.statistics.summary import questions

Asked = Literal["shooting", "origin"]
ASKED: Mapping[Asked, str] = {
    "shooting": "real shooting against all else",
    "origin": "real against fictional",
}
FEWEST_RECORDINGS = 5
"""Of each answer, below which resamples of recordings say nothing of the next recording."""
GOOD = 0.6
"""An AUROC that is sure to be above this is worth losing; one sure to be below it is lost."""
_DECIMALS = 6
_AGREED = "every resample agrees"


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
        rounded: dict[str, Any] = {k: round(float(v), _DECIMALS) for k, v in ends.items()}
        return rounded | ({"note": _AGREED} if rounded["low"] == rounded["high"] else {})


def compare(before: Examples, after: Examples, bootstrap: Bootstrap) -> dict[Asked, Pair]:
    """AUROC of each question for the same clips before and after a change."""
    first, second = questions(before), questions(after)
    return {asked: _compare(first[asked], second[asked], bootstrap) for asked in ASKED}


def _compare(before: Question, after: Question, bootstrap: Bootstrap) -> Pair:
    if reason := too_few(before):
        nothing = np.zeros(0)
        return Pair(nothing, nothing, bootstrap.confidence, reason)
    weightings = [np.ones((1, before.positive.size)), *bootstrap.weights(before.clusters)]
    rankings = (metrics.Ranking(one.positive, one.probability) for one in (before, after))
    found = [
        np.concatenate([metrics.auroc(ranking.counts(weights)) for weights in weightings])
        for ranking in rankings
    ]
    return Pair(found[0], found[1], bootstrap.confidence)


def too_few(question: Question) -> str | None:
    """Why resamples would say nothing of a question; None where they do."""
    for answer, name in ((True, "positive"), (False, "negative")):
        found = question.num_recordings(answer)
        if found < FEWEST_RECORDINGS:
            return f"needs {FEWEST_RECORDINGS} recordings with {name} examples, has {found}"
    return None


def judge(
    name: str, what: str, pairs: Mapping[Asked, Pair], state: Callable[[Pair], State]
) -> Verdict:
    """The graver verdict of the questions that the detector surely answers on plain clips.

    Args:
        name: of the verdict.
        what: begins its sentence, as in "Seeing the border alone,".
        pairs: of each question.
        state: judges a pair; it is not asked where the detector was not surely good before.
    """
    known = {asked: state(pair) for asked, pair in pairs.items() if pair.is_good_before}
    if known:
        asked = worst(known)
        now, before = said(pairs[asked].altered), said(pairs[asked].plain)
        says = f"the detector tells {ASKED[asked]} with AUROC {now}; of the clips as they are with"
        return Verdict(name, known[asked], f"{what} {says} {before}.")
    reasons = [pair.reason for pair in pairs.values() if pair.reason]
    if len(reasons) == len(pairs):
        return Verdict(name, "grey", f"Too few recordings: it {reasons[0]}.")
    return Verdict(
        name,
        "grey",
        f"On the clips as they are the detector is not surely better than AUROC {GOOD:g} at any "
        "question that enough recordings ask, so little can be lost.",
    )


def worst(states: Mapping[Any, State]) -> Any:
    """The key with the gravest state; the first of equals."""
    order: tuple[State, ...] = ("red", "amber", "green", "grey")
    return min(states, key=lambda key: order.index(states[key]))


def summary(pairs: Mapping[Asked, Pair]) -> dict[str, Any]:
    """For `metrics.json`: by question AUROC before and after, and what is lost."""
    return {
        asked: {"before": pair.plain, "after": pair.altered, "drop": pair.drop}
        for asked, pair in pairs.items()
    }


def said(result: Mapping[str, Any]) -> str:
    """An AUROC with its interval, for a sentence."""
    return f"{wording.decimal(result['value'])} ({_interval(result)})"


def cell(result: Mapping[str, Any]) -> Cell:
    """A cell with an AUROC, or with what is lost of it."""
    return Cell(wording.number("auroc", result["value"]), _interval(result), result["value"])


def _interval(result: Mapping[str, Any]) -> str:
    return str(result["note"]) if "note" in result else wording.interval("auroc", result)


def said_share(result: Mapping[str, Any]) -> str:
    """The interval of a share in per cent, or the reason why there is none."""
    if result["low"] is None:
        return str(result["reason"])
    low, high = wording.percent(result["low"]), wording.percent(result["high"])
    return f"{low.removesuffix(' %')} to {high}"


def share(result: Mapping[str, Any] | None) -> Cell:
    """A cell with a share in per cent; a dash for None."""
    if result is None or result["value"] is None:
        return Cell(wording.DASH)
    return Cell(wording.percent(result["value"]), said_share(result), result["value"])
