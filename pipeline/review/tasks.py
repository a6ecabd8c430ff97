"""Holds what a person is asked about a video, and what was decided of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.assess import deployment_report
from pipeline.footage.collection import ORIGINS

FILE, ALERT = deployment_report.KINDS
COST, UNCERTAIN, AUDIT, TIMES = ("cost", "uncertain", "audit", "times")
"""Why something is in a queue; what was drawn for the audit may be there for another reason too."""
UNSURE = "unsure"
VERDICTS = (*ORIGINS, UNSURE)
"""What may be decided of the origin."""
ANSWERS = {"yes": True, "no": False, UNSURE: None}
"""What may be decided of the discharge."""
LONGEST_S = 1e12
"""No video and no stream is longer, of those whose length nobody knows."""
PAGE = "page"
"""How a decision came here that is no import."""
_NAME_DIGITS = 16


def is_text(given: object) -> bool:
    """Whether something is text that can be kept; half of a surrogate pair is JSON, but none."""
    try:
        return isinstance(given, str) and bool(given.encode() or True)
    except UnicodeEncodeError:
        return False


@dataclass(frozen=True)
class Moment:
    """A part of a video that matters, in seconds of the file; None where nobody knows."""

    start_s: float
    end_s: float
    score: float | None = None
    p_discharge: float | None = None
    heard: bool | None = None


@dataclass(frozen=True)
class ReviewTask:
    """A video that stands for all of its copies.

    Attributes:
        name: the same for the same video, whatever scored it.
        kind: `FILE`, or `ALERT` of a stream, which has no file.
        id: of the listing, or of the alert.
        uri: where the file is, or the id of the stream.
        sha256: of its bytes, where they are known.
        seconds: length; of an alert, how long it was open.
        score, p_real, p_discharge, predicted, alert_s: what the detector says of it, as in a table
            of scores.
        moments: the parts that matter, the best first.
        copies: ids of its copies, the first ones.
        num_copies: of the videos in its cluster, with itself.
        weights_sha256, threshold: of the detector that scored it.
        is_silent: whether there is no sound; None where nobody knows.
        stills: protected ones of an alert, as a data URI.
        asks_times: whether it is known that a firearm is fired, and asked when; its moments are
            proposals then, and their scores how sure each is.
        source: where it comes from, where the listing says so.
    """

    name: str
    kind: str
    id: str
    uri: str
    sha256: str | None
    seconds: float | None
    score: float | None
    p_real: float | None
    p_discharge: float | None
    predicted: str | None
    alert_s: float | None
    moments: tuple[Moment, ...]
    copies: tuple[str, ...]
    num_copies: int
    weights_sha256: str
    threshold: float
    is_silent: bool | None = None
    stills: str | None = None
    asks_times: bool = False
    source: str | None = None

    def to_json(self) -> str:
        """One line of JSON, that `read` reads."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def read(cls, text: str) -> ReviewTask:
        """Return what `to_json` wrote."""
        told: dict[str, Any] = json.loads(text)
        moments = tuple(Moment(**one) for one in told.pop("moments"))
        return cls(**told | {"moments": moments, "copies": tuple(told["copies"])})


@dataclass(frozen=True)
class QueuePlace:
    """Tells where a task stands in a queue, and why.

    Attributes:
        reasons: of `COST`, `UNCERTAIN`, `AUDIT` and `TIMES`.
        stratum: of the audit, which every video of the queue belongs to one of.
        inclusion: the probability with which the audit draws it, whatever else it is there for;
            None where it was not drawn.
        flagged: whether the detector raised an alert on it or on a copy.
        value: expected cost of not looking at it, a minute of review.
        wanted: of how many people a decision is wanted, at least.
    """

    position: int
    task: str
    reasons: tuple[str, ...]
    stratum: str
    inclusion: float | None
    flagged: bool
    value: float
    wanted: int = 1


@dataclass(frozen=True)
class Decision:
    """Holds what somebody decided of a video.

    Attributes:
        task: its name.
        origin: one of `VERDICTS`.
        discharge: whether a firearm is fired; None where that is not sure.
        discharges_s: when, in seconds of the file; empty where nobody said.
        who: decided.
        by: how it came here: `PAGE`, or a format of an import.
        note: anything else.
        at: when, as `stamp` tells it; empty until it is kept, where an import does not tell.
        weights_sha256: of the detector whose score it was asked for.
        queue: number of the queue that it was asked in.
        inclusion: of that place, as `QueuePlace` has it.
    """

    task: str
    origin: str
    discharge: bool | None
    discharges_s: tuple[float, ...]
    who: str
    by: str
    note: str = ""
    at: str = ""
    weights_sha256: str = ""
    queue: int = 0
    inclusion: float | None = None

    @property
    def is_real_shooting(self) -> bool | None:
        """Return whether it is what an alert is raised on; None where that was not sure."""
        if self.discharge is False or self.origin not in ("real", UNSURE):
            return False
        return True if self.discharge and self.origin == "real" else None


def task_name(sha256: str | None, uri: str) -> str:
    """The name of the task of a video, by its bytes where they are known, else by its place."""
    made_of = f"sha256:{sha256}" if sha256 else f"uri:{uri}"
    return hashlib.sha256(made_of.encode("utf-8", "surrogatepass")).hexdigest()[:_NAME_DIGITS]


def stamp(moment: datetime) -> str:
    """A moment in UTC, in words that sort as moments do; without a zone it is taken to be UTC."""
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    text = known.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def answer_of(discharge: bool | None) -> str:
    """The word of `ANSWERS` for a discharge."""
    return next(word for word, value in ANSWERS.items() if value is discharge)


def moments_of(given: list[Mapping[str, Any]] | None) -> tuple[Moment, ...]:
    """Moments as a table of scores has them."""
    return tuple(Moment(**one) for one in given or ())
