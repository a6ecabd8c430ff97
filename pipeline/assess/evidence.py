"""The evidence that a suite is given and the section that it gives back.

A suite is a module with `TITLE`, the heading of its section, and `run(evidence) -> Section`. It
reads the evidence, draws nothing, writes nothing, and gives the same section for the same evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeVar

import pyarrow as pa

from pipeline.assess import wording
from pipeline.assess.audit.facts import DataFacts, facts
from pipeline.assess.deployment_report import Deployed
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.settings import Folders, JudgingSettings
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.summary import Summary, summarize
from pipeline.config import ClipFormat
from pipeline.detect import scores
from pipeline.detect.answers import Answers
from pipeline.detect.operating_point import OperatingPoint
from pipeline.detect.scores import FILES, SCORES
from pipeline.numbers.metrics import FloatArray

State = Literal["green", "amber", "red", "grey"]
"""Good; not good enough to rest on; a fault; not to be told from this data."""
STATES: tuple[State, ...] = ("red", "amber", "grey", "green")
"""The gravest first: what cannot be told is graver than what is good."""
Spec = dict[str, Any]
"""A Plotly figure: `data` and `layout`, as `pipeline.assess.page.figures` makes them."""
Key = TypeVar("Key")
Predict = scores.Model
"""Calibrated probabilities: uint8 (B, T, H, W, 3) RGB to float64 (B, 4), order of `CLASSES`."""


@dataclass(frozen=True)
class Evidence:
    """Everything that suites may look at."""

    judged_sets: Sequence[JudgedSet]
    """The judged parts, at least one; the verdict of the report is about the first."""
    val: JudgedSet | None
    """Clips that the temperature was fitted on and that thresholds may be chosen on."""
    variants: JudgedSet | None
    """Frozen variants of test clips, scored; `clip_id` is that of the original."""
    predict: Predict
    batch_size: int
    clip: ClipFormat
    settings: JudgingSettings
    folders: Folders | None
    """None where a collection is judged instead of the packed splits."""
    progress: Callable[[Sequence[int], str], Iterable[int]] = lambda batches, title: batches
    """Wraps the numbers of batches, to show how far scoring is."""
    workers: int = 1
    """Batches that `predict` is asked about at once, in threads."""
    answers: Answers = field(default_factory=Answers)
    """What `predict` said before, and what was measured before; nothing by default."""
    long: Mapping[str, JudgedSet] = field(default_factory=dict)
    """Long recordings beside the judged splits and `val`, by the name of the split; they are played
    and count nowhere else."""
    deployed: Deployed | None = None
    """What people found of detectors where they run; None where nobody told."""
    weights_sha256: str = ""
    """Hash of the weights of the detector that is judged."""
    point: OperatingPoint | str = "no validation clips were judged"
    """The operating point, whatever suites ask for it; or why there is none."""

    @property
    def clip_s(self) -> float:
        """Length of a clip."""
        return self.clip.num_frames / self.clip.fps

    @cached_property
    def summaries(self) -> dict[str, Summary]:
        """All metrics of each judged set, by its name."""
        settings = self.settings
        return {
            one.name: replace(
                summarize(one.examples, settings.bootstrap, settings.num_bins),
                num_rejected=one.num_rejected,
                learned_from=one.learned_from,
            )
            for one in self.judged_sets
        }

    @cached_property
    def facts(self) -> DataFacts:
        """The audit of the data.

        Raises:
            UserError: a table of an earlier stage is missing or not readable.
        """
        return facts(self.folders, [*self.judged_sets, *self.long.values()])

    def judged_set(self, name: str) -> JudgedSet | None:
        """The judged set of that name, if there is one."""
        return next((one for one in self.judged_sets if one.name == name), None)


@dataclass(frozen=True)
class Verdict:
    """A judgement of one question: its colour and a sentence with the numbers behind it."""

    name: str
    """A key of `metrics.json` in lower case with underscores, unique within the suite."""
    state: State
    says: str


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what is written, what stands small below, what it is sorted by."""

    text: str
    soft: str = ""
    sort: float | None = None
    state: State | None = None


@dataclass(frozen=True)
class Table:
    """A table that readers can sort; every row has as many cells as there are columns."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""


@dataclass(frozen=True)
class Figure:
    """A Plotly figure with its heading, and a sentence on how to read it."""

    title: str
    spec: Spec
    caption: str = ""
    wide: bool = False


@dataclass(frozen=True)
class ProtectedPreview:
    """A protected preview: a `data:` URI with a text that says what is on it."""

    uri: str
    alt: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side."""

    title: str
    pictures: Sequence[ProtectedPreview]
    caption: str = ""


Panel = Table | Figure | Gallery
Csv = tuple[Sequence[str], Sequence[Sequence[Any]]]
"""Header and rows."""


@dataclass(frozen=True)
class Section:
    """The findings of one suite."""

    lead: str
    """A few sentences for a reader without the vocabulary: what was asked, and how."""
    verdicts: Sequence[Verdict]
    panels: Sequence[Panel] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """JSON under the suite's name in `metrics.json`; no NaN, what is unknown is None."""
    plots: Mapping[str, Csv] = field(default_factory=dict)
    """Tables by file name, written to `suites/<suite>/` for `dvc plots`."""
    rows: Mapping[str, pa.Table] = field(default_factory=dict)
    """Tables by file name, written to `suites/<suite>/` as Parquet. With `tables`, they are what
    each number was counted from."""
    tables: Sequence[str] = (SCORES, FILES)
    """Tables of the report's folder that its numbers are counted from, where they are written."""
    beyond: str = ""
    """A sentence on numbers that no row of these stands for, and where they come from."""

    @property
    def state(self) -> State | None:
        """Its worst verdict; None where it judges nothing."""
        return gravest(one.state for one in self.verdicts)


@dataclass(frozen=True)
class Examined:
    """The findings of one suite, under its name and heading."""

    name: str
    title: str
    section: Section

    @property
    def state(self) -> State | None:
        """Its worst verdict; None where it judges nothing."""
        return self.section.state


def gravest(states: Iterable[State]) -> State | None:
    """The gravest of some states; None of none."""
    return min(states, key=STATES.index, default=None)


def gravest_told(states: Iterable[State]) -> State:
    """The gravest state that could be told; grey where none could.

    For parts of one question: what few recordings leave open does not hide what others show.
    """
    return gravest(state for state in states if state != "grey") or "grey"


def gravest_key(states: Mapping[Key, State]) -> Key:
    """The key with the `gravest_told` state; the first of equals."""
    grave = gravest_told(states.values())
    return next(key for key, state in states.items() if state == grave)


def text(value: Any) -> Cell:
    """Return a cell that shows text."""
    return Cell(str(value))


def count(value: int) -> Cell:
    """A cell with a number of things."""
    return Cell(f"{value:,}", sort=float(value))


def measured(metric: str, found: Measured) -> Cell:
    """A cell with a metric, its interval or the reason why it is missing.

    Args:
        metric: a name that `wording.number` knows how to write.
        found: what is shown.
    """
    return Cell(wording.number(metric, found.value), wording.interval(metric, found), found.value)


def predict_all(
    evidence: Evidence,
    title: str,
    num_clips: int,
    read: scores.Read,
    identity: Callable[[int], Any] | None = None,
) -> FloatArray:
    """Ask the detector about clips that are made for it, with progress shown.

    Args:
        evidence: holds the detector, and what it said before.
        title: of the progress.
        num_clips: N.
        read: makes a clip.
        identity: JSON values that decide the clip, and the code that makes it; without, nothing is
            kept of what is said.

    Returns:
        Probabilities (N, 4).
    """

    def asked(numbers: range) -> list[Any]:
        return ["made", *map(identity, numbers)] if identity else []

    return scores.answered(
        num_clips,
        read,
        evidence.predict,
        asked,
        batch_size=evidence.batch_size,
        answers=evidence.answers,
        progress=lambda starts: evidence.progress(starts, title),
        workers=evidence.workers,
    )
