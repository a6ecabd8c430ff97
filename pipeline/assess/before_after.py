"""The same clips before and after a change: AUROC, what is lost, and what to say of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pipeline.assess import wording
from pipeline.assess.evidence import Cell, State, Verdict, gravest_key
from pipeline.assess.examples import Examples
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.questions import CHANCE, FEWEST_RECORDINGS, WORTH_HAVING, Question
from pipeline.assess.statistics.summary import questions
from pipeline.numbers import metrics
from pipeline.numbers.intervals import percentiles
from pipeline.numbers.metrics import FloatArray

Asked = Literal["shooting", "origin"]
ASKED: Mapping[Asked, str] = {
    "shooting": "real shooting against all else",
    "origin": "real against fictional",
}
PLAIN = "the clips as they are"
"""What nothing was done to, in words."""
_AGREED = "every resample agrees"


@dataclass(frozen=True)
class PairedAuroc:
    """AUROC of the same clips before and after a change, under the same resamples.

    `before` and `after` are (1 + R,), the estimate itself first; empty where `reason` says why.
    """

    before: FloatArray
    after: FloatArray
    confidence: float
    reason: str | None = None

    @property
    def plain(self) -> Measured:
        """AUROC before, with its interval."""
        return self._measured(self.before)

    @property
    def altered(self) -> Measured:
        """AUROC after, with its interval."""
        return self._measured(self.after)

    @property
    def drop(self) -> Measured:
        """AUROC that the change costs, with its interval."""
        return self._measured(self.before - self.after)

    def beyond(self, share: float) -> Measured:
        """Return how much more of what lies above chance is kept than `share` of it."""
        return self._measured(self.after - CHANCE - share * (self.before - CHANCE))

    @property
    def is_good_before(self) -> bool:
        """Tells whether there is anything to lose, beyond chance."""
        return self.reason is None and self.plain.ends.low > WORTH_HAVING

    def _measured(self, values: FloatArray) -> Measured:
        if self.reason is not None:
            return Measured.unknown(self.reason)
        interval = percentiles(values[1:], self.confidence)
        assert interval is not None
        # That a resample of so many recordings has one answer alone is no news.
        interval = replace(interval, num_skipped=0).around(float(values[0]))
        found = Measured(float(values[0]), interval)
        return replace(found, note=_AGREED) if found.low == found.high else found


def compare(before: Examples, after: Examples, bootstrap: Bootstrap) -> dict[Asked, PairedAuroc]:
    """AUROC of each question for the same clips before and after a change."""
    first, second = questions(before), questions(after)
    return {asked: _compare(first[asked], second[asked], bootstrap) for asked in ASKED}


def _compare(before: Question, after: Question, bootstrap: Bootstrap) -> PairedAuroc:
    if reason := too_few(before):
        nothing = np.zeros(0)
        return PairedAuroc(nothing, nothing, bootstrap.confidence, reason)
    weightings = [np.ones((1, before.positive.size)), *bootstrap.weights(before.clusters)]
    rankings = (metrics.Ranking(one.positive, one.probability) for one in (before, after))
    found = [
        np.concatenate([metrics.auroc(ranking.counts(weights)) for weights in weightings])
        for ranking in rankings
    ]
    return PairedAuroc(found[0], found[1], bootstrap.confidence)


def too_few(question: Question) -> str | None:
    """Return why resamples would say nothing of a question; None where they do."""
    for answer, name in ((True, "positive"), (False, "negative")):
        found = question.num_recordings(answer)
        if found < FEWEST_RECORDINGS:
            return f"needs {FEWEST_RECORDINGS} recordings with {name} examples, has {found}"
    return None


def judge(
    name: str,
    what: str,
    pairs: Mapping[Asked, PairedAuroc],
    state: Callable[[PairedAuroc], State],
    plain: str = PLAIN,
) -> Verdict:
    """The graver verdict of the questions that the detector surely answers on plain clips.

    Args:
        name: of the verdict.
        what: begins its sentence, as in "Seeing the border alone,".
        pairs: of each question.
        state: judges a pair; it is not asked where the detector was not surely good before.
        plain: what the clips before the change are, in words.
    """
    known = {asked: state(pair) for asked, pair in pairs.items() if pair.is_good_before}
    if known:
        asked = gravest_key(known)
        now, before = said(pairs[asked].altered), said(pairs[asked].plain)
        says = f"the detector tells {ASKED[asked]} with AUROC {now}; of {plain} with"
        return Verdict(name, known[asked], f"{what} {says} {before}.")
    reasons = [pair.reason for pair in pairs.values() if pair.reason]
    if len(reasons) == len(pairs):
        return Verdict(name, "grey", f"Too few recordings: it {reasons[0]}.")
    return Verdict(
        name,
        "grey",
        f"On {plain} the detector is not surely better than AUROC "
        f"{WORTH_HAVING:g} at any question that enough recordings ask, so little can be lost.",
    )


def summary(pairs: Mapping[Asked, PairedAuroc]) -> dict[str, dict[str, Measured]]:
    """Return, for `metrics.json`, AUROC before and after and what is lost, by question."""
    return {
        asked: {"before": pair.plain, "after": pair.altered, "drop": pair.drop}
        for asked, pair in pairs.items()
    }


def said(auroc: Measured) -> str:
    """An AUROC with its interval, for a sentence."""
    return f"{wording.decimal(auroc.known)} ({_interval(auroc)})"


def cell(auroc: Measured) -> Cell:
    """A cell with an AUROC, or with what is lost of it."""
    return Cell(wording.number("auroc", auroc.value), _interval(auroc), auroc.value)


def _interval(auroc: Measured) -> str:
    return auroc.note or wording.interval("auroc", auroc)


def said_share(share: Measured) -> str:
    """The interval of a share in per cent, or the reason why there is none."""
    if share.interval is None:
        return share.reason or ""
    low, high = wording.percent(share.interval.low), wording.percent(share.interval.high)
    return f"{low.removesuffix(' %')} to {high}"


def share(share: Measured | None) -> Cell:
    """A cell with a share in per cent; a dash for None."""
    if share is None or share.value is None:
        return Cell(wording.DASH)
    return Cell(wording.percent(share.value), said_share(share), share.value)
